"""The printed and woven patterns of synthetic outfits, by name.

A pattern makes a fabric from two colours: the ground and the print. Sizes are in thousandths of a figure's height.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from classifier.learning.data.synthesis.drawing import (
    CANVAS,
    Cloth,
    Colour,
    Point,
    checks,
    denim,
    dots,
    plain,
    stripes,
)

Motif = Callable[[ImageDraw.ImageDraw, float, float, float, Colour, np.random.Generator], None]
"""Draws one figure of a print: pen, centre x and y, radius in pixels, colour, random numbers."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern, and the words with which a label file describes it."""

    make: Callable[[Colour, Colour], Cloth]
    print_name: str
    """The value of 프린트."""
    material: str = ""
    """The value of 소재 that the pattern implies. Empty: the cut decides."""


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a * (1 - share) + b * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _field(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y of each pixel in thousandths of the side."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) * (CANVAS / side)
    return np.broadcast_to(axis[None, :], (side, side)), np.broadcast_to(axis[:, None], (side, side))


def _two(where: NDArray[np.bool_], print_: Colour, ground: Colour) -> NDArray[np.float32]:
    return np.where(where[..., None], np.array(print_, np.float32), np.array(ground, np.float32))


def _by_rule(rule: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]]) -> Callable[..., Cloth]:
    """Return the maker of a fabric whose print is where `rule` of x and y is true."""

    def of_colours(ground: Colour, print_: Colour) -> Cloth:
        return lambda side, _: _two(rule(*_field(side)), print_, ground)

    return of_colours


def _tartan(ground: Colour, line: Colour) -> Cloth:
    bright = _mix(line, (255, 240, 200), 0.6)

    def make(side: int, _: np.random.Generator) -> NDArray[np.float32]:
        x, y = _field(side)
        cloth = checks(ground, line, 64)(side, _)
        thin = ((x % 64) < 5) | ((y % 64) < 5)
        return np.where(thin[..., None], cloth * 0.4 + np.array(bright, np.float32) * 0.6, cloth).astype(np.float32)

    return make


def _houndstooth(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.bool_]:
    u, v = x / 26 % 1, y / 26 % 1
    corner = (u < 0.5) & (v < 0.5)
    return np.asarray(corner | ((u + v) % 0.5 < 0.25) & ((u < 0.5) ^ (v < 0.5)))


def _argyle(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.bool_]:
    u, v = x / 62 % 1 - 0.5, y / 84 % 1 - 0.5
    return np.asarray((np.abs(u) + np.abs(v) < 0.44) ^ (np.abs(np.abs(u) - np.abs(v)) < 0.03))


def _zigzag(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray((y + np.abs(x % 48 - 24)) % 40 < 18)


def _rings(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.bool_]:
    row = np.floor(y / 74)
    return np.asarray(np.hypot((x + 37 * (row % 2)) % 74 - 37, y % 74 - 37) % 17 < 8.5)


def _ribs(ground: Colour, line: Colour) -> Cloth:
    return stripes(ground, _mix(ground, line, 0.22), 14, upright=True)


def _noise(side: int, cells: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return smooth noise with mean 0 and deviation about 1, as [side, side]."""
    coarse = Image.fromarray(random.normal(0, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def _camouflage(ground: Colour, print_: Colour) -> Cloth:
    def make(side: int, random: np.random.Generator) -> NDArray[np.float32]:
        cloth = np.broadcast_to(np.array(ground, np.float32), (side, side, 3)).copy()
        for colour, limit in ((print_, 0.35), (_mix(ground, (24, 22, 16), 0.62), 0.75)):
            cloth[_noise(side, 20, random) > limit] = colour
        return cloth

    return make


def _tie_dye(ground: Colour, print_: Colour) -> Cloth:
    def make(side: int, random: np.random.Generator) -> NDArray[np.float32]:
        x, y = _field(side)
        away = np.hypot(x - random.uniform(300, 700), y - 340) + 34 * _noise(side, 14, random)
        share = (0.5 + 0.5 * np.sin(away / 15))[..., None]
        return np.asarray(np.array(ground, np.float32) * (1 - share) + np.array(print_, np.float32) * share, np.float32)

    return make


def _brushed(ground: Colour, print_: Colour, strength: float) -> Cloth:
    """Return a fabric with coloured fibres, such as tweed."""

    def make(side: int, random: np.random.Generator) -> NDArray[np.float32]:
        share = np.clip(random.normal(0.3, strength, (side, side, 1)), 0, 1).astype(np.float32)
        return np.array(ground, np.float32) * (1 - share) + np.array(print_, np.float32) * share

    return make


def _sheen(ground: Colour, print_: Colour, cells: tuple[int, int]) -> Cloth:
    """Return a fabric with highlights, such as leather or silk."""

    def make(side: int, random: np.random.Generator) -> NDArray[np.float32]:
        coarse = Image.fromarray(random.normal(0, 1, cells).astype(np.float32))
        light = np.clip(np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC)), 0, 2)[..., None]
        share = 0.3 * light
        return np.asarray(np.array(ground, np.float32) * (1 - share) + np.array(print_, np.float32) * share, np.float32)

    return make


def _scattered(ground: Colour, print_: Colour, motif: Motif, period: float, radius: float) -> Cloth:
    """Return a print of motifs, one in each cell of a shaken grid."""

    def make(side: int, random: np.random.Generator) -> NDArray[np.float32]:
        image = Image.new("RGB", (side, side), ground)
        pen = ImageDraw.Draw(image)
        unit = side / CANVAS
        cells = int(CANVAS // period) + 1
        shaken = random.uniform(-0.28, 0.28, (cells, cells, 2))
        for row in range(cells):
            for column in range(cells):
                dx, dy = shaken[row, column]
                x = (column + 0.5 * (row % 2) + dx) * period * unit
                y = (row + 0.5 + dy) * period * unit
                motif(pen, x, y, max(1.0, radius * unit), print_, random)
        return np.asarray(image, np.float32)

    return make


def _star_points(x: float, y: float, radius: float, corners: int, inner: float, turn: float) -> list[Point]:
    return [
        (
            x + np.cos(turn + k * np.pi / corners) * radius * (inner if k % 2 else 1),
            y + np.sin(turn + k * np.pi / corners) * radius * (inner if k % 2 else 1),
        )
        for k in range(2 * corners)
    ]


def _flower(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, random: np.random.Generator
) -> None:
    turn = random.uniform(0, 6)
    leaf = (x + radius * 1.2 * np.cos(turn), y + radius * 1.2 * np.sin(turn))
    pen.line([(x, y), leaf], fill=(92, 132, 84), width=max(1, round(radius / 2)))
    pen.polygon(_star_points(x, y, radius, 5, 0.62, turn), fill=colour)
    core = radius * 0.3
    pen.ellipse((x - core, y - core, x + core, y + core), fill=(246, 214, 110))


def _leaf(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, random: np.random.Generator
) -> None:
    turn = random.uniform(0, 6.3)
    for k in range(5):
        angle = turn + (k - 2) * 0.45
        tip = (x + radius * np.cos(angle), y + radius * np.sin(angle))
        side = (x + radius * 0.5 * np.cos(angle + 0.22), y + radius * 0.5 * np.sin(angle + 0.22))
        pen.polygon([(x, y), side, tip], fill=colour)


def _heart_or_star(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, random: np.random.Generator
) -> None:
    if random.random() < 0.5:
        pen.polygon(_star_points(x, y, radius, 5, 0.42, -np.pi / 2), fill=(255, 226, 60))
        return
    half = radius * 0.55
    for cx in (x - half, x + half):
        pen.ellipse((cx - half, y - radius, cx + half, y + half * 0.3), fill=colour)
    pen.polygon(
        [(x - radius * 1.05, y - half * 0.5), (x + radius * 1.05, y - half * 0.5), (x, y + radius)], fill=colour
    )


def _spot(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, random: np.random.Generator
) -> None:
    wide, high = radius * random.uniform(0.7, 1.3), radius * random.uniform(0.6, 1.0)
    pen.ellipse((x - wide, y - high, x + wide, y + high), fill=colour)
    inner = (150, 100, 50)
    pen.ellipse((x - wide * 0.5, y - high * 0.5, x + wide * 0.5, y + high * 0.5), fill=inner)


def _drop(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, random: np.random.Generator
) -> None:
    turn = random.uniform(0, 6.3)
    tail = (x + 1.9 * radius * np.cos(turn), y + 1.9 * radius * np.sin(turn))
    across = (radius * np.sin(turn), -radius * np.cos(turn))
    pen.polygon([(x - across[0], y - across[1]), tail, (x + across[0], y + across[1])], fill=colour)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    pen.ellipse((x - radius * 0.5, y - radius * 0.5, x + radius * 0.5, y + radius * 0.5), fill=(120, 40, 110))


def _medallion(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, _: np.random.Generator
) -> None:
    pen.polygon(_star_points(x, y, radius, 8, 0.78, 0), outline=colour, width=max(1, round(radius / 4)))
    pen.polygon(_star_points(x, y, radius * 0.55, 4, 0.4, 0), fill=colour)


def _blot(
    pen: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour, random: np.random.Generator
) -> None:
    corners = [(x + random.normal(0, radius), y + random.normal(0, radius)) for _ in range(4)]
    pen.polygon(corners, fill=colour)


PATTERNS: Mapping[str, Pattern] = {
    "plain": Pattern(lambda ground, _: plain(ground), "무지"),
    "denim": Pattern(lambda ground, _: denim(ground), "무지", "데님"),
    "ribs": Pattern(_ribs, "무지", "니트"),
    "tweed": Pattern(partial(_brushed, strength=0.3), "무지", "트위드"),
    "suede": Pattern(partial(_brushed, strength=0.1), "무지", "스웨이드"),
    "leather": Pattern(partial(_sheen, cells=(24, 30)), "무지", "가죽"),
    "silk": Pattern(partial(_sheen, cells=(5, 24)), "무지", "실크"),
    "stripes": Pattern(partial(stripes, period=52), "스트라이프"),
    "wide stripes": Pattern(partial(stripes, period=110), "스트라이프"),
    "pinstripes": Pattern(_by_rule(lambda x, _: x % 22 < 4), "스트라이프", "우븐"),
    "gingham": Pattern(partial(checks, period=34), "깅엄"),
    "checks": Pattern(partial(checks, period=72), "체크"),
    "tartan": Pattern(_tartan, "체크"),
    "houndstooth": Pattern(_by_rule(_houndstooth), "하운즈 투스"),
    "argyle": Pattern(_by_rule(_argyle), "아가일", "니트"),
    "zigzag": Pattern(_by_rule(_zigzag), "지그재그"),
    "rings": Pattern(_by_rule(_rings), "그래픽"),
    "dots": Pattern(partial(dots, period=40), "도트"),
    "camouflage": Pattern(_camouflage, "카무플라쥬"),
    "tie-dye": Pattern(_tie_dye, "타이다이"),
    "flowers": Pattern(partial(_scattered, motif=_flower, period=54, radius=16), "플로럴"),
    "small flowers": Pattern(partial(_scattered, motif=_flower, period=34, radius=9), "플로럴"),
    "leaves": Pattern(partial(_scattered, motif=_leaf, period=72, radius=52), "플로럴"),
    "hearts": Pattern(partial(_scattered, motif=_heart_or_star, period=62, radius=19), "그래픽"),
    "leopard": Pattern(partial(_scattered, motif=_spot, period=32, radius=11), "호피"),
    "paisley": Pattern(partial(_scattered, motif=_drop, period=52, radius=13), "페이즐리"),
    "medallions": Pattern(partial(_scattered, motif=_medallion, period=76, radius=27), "그래픽", "자카드"),
    "blots": Pattern(partial(_scattered, motif=_blot, period=120, radius=42), "그래픽"),
}


def cloth_of(pattern: str, ground: Colour, print_: Colour, contrast: float) -> Cloth:
    """Return the fabric of a pattern. With `contrast` 0 the print has the colour of its ground, with 1 its own."""
    return PATTERNS[pattern].make(ground, _mix(ground, print_, contrast))
