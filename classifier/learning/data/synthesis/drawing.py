"""How garments are drawn: outlines of cloth, fabrics, folds and grain. samples/draw.py uses it too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

CANVAS = 1000
"""Side of the square in whose coordinates garments and fabrics are defined."""

Point = tuple[float, float]
Colour = tuple[int, int, int]
Cloth = Callable[[int, np.random.Generator], NDArray[np.float32]]
"""Returns the fabric's pixels as float32 [side, side, 3] in 0..255."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of cloth. Its outline's corners are rounded into curves when it is drawn."""

    outline: Sequence[Point]
    seams: Sequence[Sequence[Point]] = ()
    tone: float = 1.0
    """Brightness: below 1 the part is darker than its cloth, above 1 lighter."""
    dots: Sequence[Point] = ()
    """Centres of buttons or eyelets."""


def plain(colour: Colour) -> Cloth:
    return lambda side, _: np.broadcast_to(np.array(colour, np.float32), (side, side, 3)).copy()


def stripes(first: Colour, second: Colour, period: int, *, upright: bool = False) -> Cloth:
    def make(side: int, _: np.random.Generator) -> NDArray[np.float32]:
        line = (np.arange(side) // max(1, period * side // CANVAS // 2)) % 2
        field = np.broadcast_to(line[None, :] if upright else line[:, None], (side, side))
        return np.where(field[..., None] == 0, np.array(first), np.array(second)).astype(np.float32)

    return make


def checks(ground: Colour, line: Colour, period: int) -> Cloth:
    def make(side: int, _: np.random.Generator) -> NDArray[np.float32]:
        scaled = max(2, period * side // CANVAS)
        bands = ((np.arange(side) % scaled) < scaled // 2).astype(np.float32)
        share = (bands[:, None] + bands[None, :])[..., None] / 2
        return np.asarray(np.array(ground, np.float32) * (1 - share) + np.array(line, np.float32) * share, np.float32)

    return make


def dots(ground: Colour, dot: Colour, period: int) -> Cloth:
    def make(side: int, _: np.random.Generator) -> NDArray[np.float32]:
        scaled = period * side / CANVAS
        y, x = np.mgrid[0:side, 0:side] / scaled
        shifted = x + 0.5 * (np.floor(y) % 2)
        inside = np.hypot(shifted % 1 - 0.5, y % 1 - 0.5) < 0.22
        return np.where(inside[..., None], np.array(dot), np.array(ground)).astype(np.float32)

    return make


def denim(colour: Colour) -> Cloth:
    def make(side: int, random: np.random.Generator) -> NDArray[np.float32]:
        y, x = np.mgrid[0:side, 0:side]
        twill = ((x + y) // 3 % 2) * 10.0 + random.normal(0, 9, (side, side))
        fade = 26 * np.exp(-(((x / side - 0.5) / 0.16) ** 2))
        return np.asarray(np.array(colour, np.float32) + (twill + fade)[..., None].astype(np.float32))

    return make


def curve(corners: Sequence[Point], *, closed: bool, rounds: int = 3) -> list[Point]:
    """Return a curve that rounds the corners (Chaikin's corner cutting, 1974, with 1/10 instead of 1/4)."""
    points = list(corners)
    for _ in range(rounds):
        following = points[1:] + points[:1] if closed else points[1:]
        cut: list[Point] = [] if closed else [points[0]]
        for (x0, y0), (x1, y1) in zip(points, following, strict=False):
            cut += [(0.9 * x0 + 0.1 * x1, 0.9 * y0 + 0.1 * y1), (0.1 * x0 + 0.9 * x1, 0.1 * y0 + 0.9 * y1)]
        points = cut if closed else [*cut, points[-1]]
    return points


def folds(size: tuple[int, int], random: np.random.Generator) -> NDArray[np.float32]:
    """Return the brightness of soft hanging folds, around 1, as [height, width] of `size` = (width, height).

    It is noise of two sizes, stretched downwards.
    """
    made = np.ones((size[1], size[0]), np.float32)
    for across, down, strength in ((9, 4, 0.10), (22, 7, 0.05)):
        noise = Image.fromarray(random.normal(0, 1, (down, across)).astype(np.float32))
        made += strength * np.asarray(noise.resize(size, Image.Resampling.BICUBIC))
    y = np.linspace(1.05, 0.94, size[1], dtype=np.float32)
    return made * y[:, None]


def rounding(mask: Image.Image) -> NDArray[np.float32]:
    """Return a brightness that falls towards the edge of a part, like cloth that turns away from the light."""
    small = mask.resize((250, 250))
    soft = small.filter(ImageFilter.GaussianBlur(9)).resize(mask.size, Image.Resampling.BICUBIC)
    return np.asarray(0.62 + 0.38 * np.asarray(soft, np.float32) / 255, np.float32)


def grain(picture: Image.Image, random: np.random.Generator, strength: float = 1.6) -> Image.Image:
    """Return the picture with the noise of a sensor; `strength` is its standard deviation in grey levels."""
    noise = random.normal(0, strength, (picture.height, picture.width, 1))
    return Image.fromarray(np.clip(np.asarray(picture, np.float32) + noise, 0, 255).astype(np.uint8))
