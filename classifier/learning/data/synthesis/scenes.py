"""The grounds before which figures stand: a studio, a street, or a room with a mirror."""

from __future__ import annotations

import colorsys
from enum import StrEnum

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from classifier.learning.data.synthesis.drawing import Colour


class Format(StrEnum):
    """How a picture was shot."""

    STUDIO = "studio"
    """Before plain paper."""
    STREET = "street"
    """Outside, before houses and trees."""
    MIRROR = "mirror"
    """A photograph of a mirror, with the phone in the hand."""


def draw_scene(size: tuple[int, int], kind: Format, hue: float, random: np.random.Generator) -> Image.Image:
    """Return the ground of a picture. `hue` (0 to 1) tints it weakly, as the walls of one shop do."""
    draw = {Format.STUDIO: _studio, Format.STREET: _street, Format.MIRROR: _mirror}[kind]
    return draw(size, hue, random)


def _tint(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(channel * 255) for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value))
    return red, green, blue


def _studio(size: tuple[int, int], hue: float, random: np.random.Generator) -> Image.Image:
    width, height = size
    near = np.array(_tint(hue, random.uniform(0.0, 0.12), random.uniform(0.84, 0.97)), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = np.hypot((x - random.uniform(0.3, 0.7) * width) / width, (y - 0.35 * height) / height)
    light = 1.02 - 0.22 * np.clip(away, 0, 1)
    floor = height * random.uniform(0.86, 0.93)
    light *= 1 - 0.07 * np.clip((y - floor) / (0.05 * height), 0, 1)
    return Image.fromarray(np.clip(near * light[..., None], 0, 255).astype(np.uint8))


def _street(size: tuple[int, int], hue: float, random: np.random.Generator) -> Image.Image:
    width, height = size
    ground = Image.new("RGB", size, _tint(0.58, 0.2, random.uniform(0.75, 0.95)))
    pen = ImageDraw.Draw(ground)
    road = height * random.uniform(0.68, 0.8)
    x = -width * 0.1
    while x < width:
        wide = width * random.uniform(0.22, 0.45)
        roof = height * random.uniform(-0.1, 0.25)
        wall = _tint(hue + random.normal(0, 0.1), random.uniform(0.05, 0.35), random.uniform(0.35, 0.8))
        pen.rectangle((x, roof, x + wide, road), fill=wall)
        _windows(pen, (x, roof, x + wide, road), random)
        x += wide
    pen.rectangle((0, road, width, height), fill=_tint(0.1, 0.04, random.uniform(0.4, 0.66)))
    pen.rectangle((0, road, width, road + height * 0.03), fill=_tint(0.1, 0.03, random.uniform(0.6, 0.8)))
    for _ in range(int(random.integers(0, 3))):
        _tree(pen, random.uniform(0, width), road, height * random.uniform(0.14, 0.22), random)
    return ground.filter(ImageFilter.GaussianBlur(height * random.uniform(0.004, 0.012)))


def _windows(pen: ImageDraw.ImageDraw, wall: tuple[float, float, float, float], random: np.random.Generator) -> None:
    left, top, right, bottom = wall
    pane = _tint(random.uniform(0.5, 0.65), 0.3, random.uniform(0.2, 0.75))
    rows, columns = int(random.integers(3, 6)), int(random.integers(2, 4))
    wide, high = (right - left) / columns, (bottom - top) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = left + wide * (column + 0.22), top + high * (row + 0.22)
            pen.rectangle((x, y, x + wide * 0.56, y + high * 0.56), fill=pane)


def _tree(pen: ImageDraw.ImageDraw, x: float, foot: float, crown: float, random: np.random.Generator) -> None:
    pen.rectangle((x - crown * 0.08, foot - crown * 2, x + crown * 0.08, foot), fill=(92, 70, 52))
    for _ in range(7):
        cx, cy = x + random.normal(0, crown * 0.4), foot - crown * 2.4 + random.normal(0, crown * 0.4)
        half = crown * random.uniform(0.3, 0.6)
        pen.ellipse(
            (cx - half, cy - half, cx + half, cy + half),
            fill=_tint(0.3 + random.normal(0, 0.03), 0.45, random.uniform(0.35, 0.6)),
        )


def _mirror(size: tuple[int, int], hue: float, random: np.random.Generator) -> Image.Image:
    width, height = size
    wall = _tint(hue, random.uniform(0.04, 0.22), random.uniform(0.7, 0.93))
    ground = Image.new("RGB", size, wall)
    pen = ImageDraw.Draw(ground)
    floor = height * random.uniform(0.78, 0.88)
    pen.rectangle((0, floor, width, height), fill=_tint(0.08, 0.4, random.uniform(0.45, 0.7)))
    for k in range(6):
        pen.line((width * k / 5, floor, width * (k * 1.6 - 1.5) / 5, height), fill=_tint(0.07, 0.45, 0.4))
    for _ in range(int(random.integers(1, 4))):
        x, y = width * random.uniform(-0.1, 0.9), height * random.uniform(0.1, 0.6)
        box = (x, y, x + width * random.uniform(0.12, 0.3), y + height * random.uniform(0.1, 0.4))
        pen.rectangle(box, fill=_tint(random.random(), random.uniform(0.1, 0.5), random.uniform(0.4, 0.9)))
    ground = ground.filter(ImageFilter.GaussianBlur(height * 0.004))
    pen = ImageDraw.Draw(ground)
    left, right = width * random.uniform(0.02, 0.1), width * random.uniform(0.9, 0.98)
    frame = _tint(random.uniform(0.05, 0.12), random.uniform(0.1, 0.6), random.uniform(0.15, 0.9))
    pen.rectangle(
        (left, height * 0.015, right, height * random.uniform(0.95, 1.05)), outline=frame, width=max(2, width // 45)
    )
    return ground
