"""A picture in the making: cloth is painted piece by piece, and each pixel knows whose it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from classifier.learning.data.synthesis.cuts import Piece
from classifier.learning.data.synthesis.drawing import CANVAS, Cloth, Colour, Part, Point, curve, folds, plain

_SUPERSAMPLING = 3
"""Masks are drawn at this multiple of the picture and scaled down, so that edges are smooth."""
_MARGIN = 2
"""Pixels around a piece, for its smooth edge."""

PERSON = 0
"""The owner of pixels that show no garment. Garments are 1, 2, … in the order of the outfit."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the figure is in the picture: pixels per figure unit, and the pixel of its crown."""

    scale: float
    x: float
    y: float

    def place(self, points: Sequence[Point]) -> list[Point]:
        return [(self.x + x * self.scale, self.y + y * self.scale) for x, y in points]


class Canvas:
    """A picture, and an owner for each of its pixels."""

    def __init__(self, ground: Image.Image, frame: Frame, random: np.random.Generator) -> None:
        self.picture = ground
        self.owners = Image.new("L", ground.size, PERSON)
        self.frame = frame
        self._random = random

    def weave(self, cloth: Cloth) -> NDArray[np.float32]:
        """Return the fabric at the scale of the figure, with its folds, as float32 [side, side, 3]."""
        side = max(16, math.ceil(CANVAS * self.frame.scale))
        return cloth(side, self._random) * folds((side, side), self._random)[..., None]

    def paint(
        self,
        pieces: Sequence[Piece],
        fabric: NDArray[np.float32],
        dyes: dict[str, Colour] | None = None,
        owner: int = PERSON,
    ) -> None:
        """Paint pieces of a fabric from `weave`; `dyes` has the colours of pieces that are of other cloth."""
        for piece in pieces:
            self._paint(piece, fabric, None if not piece.dye or dyes is None else dyes[piece.dye], owner)

    def shape(self, outline: Sequence[Point], colour: Colour, tone: float = 1.0) -> None:
        """Paint one plain piece that belongs to the person."""
        self._paint(Piece(Part(outline, tone=tone)), None, colour, PERSON)

    def _paint(self, piece: Piece, fabric: NDArray[np.float32] | None, dye: Colour | None, owner: int) -> None:
        part = piece.part
        outline = self.frame.place(curve(part.outline, closed=True, rounds=2))
        box = self._box(outline)
        if box is None:
            return
        mask = self._mask(outline, box)
        size = mask.size
        if dye is not None or fabric is None:
            cloth = plain(dye or (0, 0, 0))(1, self._random)
        else:
            cloth = self._cut(fabric, box)
        light = _rounding(mask, 10 * self.frame.scale) * part.tone
        filled = np.clip(np.broadcast_to(cloth, (size[1], size[0], 3)) * light[..., None], 0, 255)
        pixels = Image.fromarray(filled.astype(np.uint8))
        self._sew(pixels, part, box, float(cloth.mean()))
        self.picture.paste(pixels, box[:2], mask)
        self.owners.paste(owner, box, mask.point([0] * 128 + [255] * 128))

    def _box(self, outline: Sequence[Point]) -> tuple[int, int, int, int] | None:
        """Return the pixels around an outline that are in the picture, or None if it is outside."""
        xs, ys = [x for x, _ in outline], [y for _, y in outline]
        box = (
            max(0, math.floor(min(xs)) - _MARGIN),
            max(0, math.floor(min(ys)) - _MARGIN),
            min(self.picture.width, math.ceil(max(xs)) + _MARGIN),
            min(self.picture.height, math.ceil(max(ys)) + _MARGIN),
        )
        return box if box[0] < box[2] and box[1] < box[3] else None

    def _mask(self, outline: Sequence[Point], box: tuple[int, int, int, int]) -> Image.Image:
        times = _SUPERSAMPLING
        mask = Image.new("L", ((box[2] - box[0]) * times, (box[3] - box[1]) * times), 0)
        points = [((x - box[0]) * times, (y - box[1]) * times) for x, y in outline]
        ImageDraw.Draw(mask).polygon(points, fill=255)
        return mask.reduce(times)

    def _cut(self, fabric: NDArray[np.float32], box: tuple[int, int, int, int]) -> NDArray[np.float32]:
        """Return the fabric of a box. It is repeated beyond its edges, and its print stays fixed to the figure."""
        side = len(fabric)
        rows = (np.arange(box[1], box[3]) - round(self.frame.y)) % side
        columns = (np.arange(box[0], box[2]) - round(self.frame.x) + side // 2) % side
        return fabric[rows[:, None], columns[None, :]]

    def _sew(self, pixels: Image.Image, part: Part, box: tuple[int, int, int, int], brightness: float) -> None:
        if not part.seams and not part.dots:
            return
        pen = ImageDraw.Draw(pixels, "RGBA")
        dark = (0, 0, 0, 90) if brightness > 90 else (255, 255, 255, 60)
        for seam in part.seams:
            points = self.frame.place(curve(seam, closed=False, rounds=1))
            line = [(x - box[0], y - box[1]) for x, y in points]
            pen.line(line, fill=dark, width=max(1, round(2.6 * self.frame.scale)), joint="curve")
        radius = max(0.8, 5 * self.frame.scale)
        for x, y in self.frame.place(part.dots):
            place = (x - box[0] - radius, y - box[1] - radius, x - box[0] + radius, y - box[1] + radius)
            pen.ellipse(place, fill=(232, 226, 206, 255), outline=(60, 50, 40, 160))


def _rounding(mask: Image.Image, radius: float) -> NDArray[np.float32]:
    """Return a brightness that falls towards the edge of a piece."""
    soft = mask.filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(0.66 + 0.36 * np.asarray(soft, np.float32) / 255, np.float32)


def ring(x: float, y: float, across: float, down: float, corners: int = 14) -> list[Point]:
    """Return the outline of an ellipse around (x, y)."""
    turns = [2 * math.pi * k / corners for k in range(corners)]
    return [(x + across * math.cos(turn), y + down * math.sin(turn)) for turn in turns]
