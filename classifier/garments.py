"""Where the garments of a picture are: boxes and polygons around them, and where they lie in a decoded picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from core.types import Crop

GARMENT_NAMES = ("outer", "bottom", "dress", "top")
"""The garments of an outfit, in the order of the views of an input (`InputSpec.view`)."""

MARGIN = 0.05
"""Share of its width and height by which a box grows on each side before a picture is cropped to it."""

_FAR = 1e6
"""Largest distance in pixels from the picture at which points of a polygon are drawn."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around a garment, in pixels of the upright picture, counted from its top left corner."""

    garment: str
    x: float
    y: float
    width: float
    height: float

    def within(self, width: int, height: int) -> Box:
        """Return the part of the box that lies in a picture of this size. It may have no area."""
        left, top = max(0.0, self.x), max(0.0, self.y)
        right, bottom = min(float(width), self.x + self.width), min(float(height), self.y + self.height)
        return Box(self.garment, left, top, max(0.0, right - left), max(0.0, bottom - top))

    def crop(self, width: int, height: int) -> Crop | None:
        """Return the pixels of a picture of this size that the box covers, or None if it covers none."""
        if not all(map(math.isfinite, (self.x, self.y, self.width, self.height))):
            return None
        left, top = max(0, math.floor(self.x)), max(0, math.floor(self.y))
        right, bottom = min(width, math.ceil(self.x + self.width)), min(height, math.ceil(self.y + self.height))
        has_area = self.width > 0 and self.height > 0 and right > left and bottom > top
        return Crop(left, top, right - left, bottom - top) if has_area else None

    def grown(self) -> Box:
        """Return the box with MARGIN on each side."""
        x, y = MARGIN * self.width, MARGIN * self.height
        return Box(self.garment, self.x - x, self.y - y, self.width + 2 * x, self.height + 2 * y)


@dataclass(frozen=True, slots=True)
class Polygon:
    """The outline of a garment: the points (x[i], y[i]), in pixels as in `Box`."""

    garment: str
    x: tuple[float, ...]
    y: tuple[float, ...]

    def points(self) -> list[tuple[float, float]]:
        """Return the points that can be drawn: those that are finite, not farther than a million pixels away."""
        return [
            (min(max(x, -_FAR), _FAR), min(max(y, -_FAR), _FAR))
            for x, y in zip(self.x, self.y, strict=True)
            if math.isfinite(x) and math.isfinite(y)
        ]

    def bounds(self) -> Box:
        """Return the smallest box around the points. It has no area if there are fewer than three points."""
        points = self.points()
        if len(points) < 3:
            return Box(self.garment, 0.0, 0.0, 0.0, 0.0)
        left, top = (min(values) for values in zip(*points, strict=True))
        right, bottom = (max(values) for values in zip(*points, strict=True))
        return Box(self.garment, left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True)
class Garments:
    """The boxes and polygons that are known of a picture, in pixels of the upright picture at full size."""

    boxes: tuple[Box, ...] = ()
    polygons: tuple[Polygon, ...] = ()

    @classmethod
    def of(cls, boxes: Iterable[Box], polygons: Iterable[Polygon]) -> Self:
        return cls(tuple(boxes), tuple(polygons))

    def placed(self, region: Crop, scale: tuple[float, float]) -> Garments:
        """Return the garments in pixels of a picture that shows `region` scaled by (x, y)."""
        x, y = scale
        return Garments(
            tuple(
                Box(box.garment, (box.x - region.x) * x, (box.y - region.y) * y, box.width * x, box.height * y)
                for box in self.boxes
            ),
            tuple(
                Polygon(
                    shape.garment,
                    tuple((value - region.x) * x for value in shape.x),
                    tuple((value - region.y) * y for value in shape.y),
                )
                for shape in self.polygons
            ),
        )

    def usable(self, width: int, height: int) -> Garments:
        """Return the boxes and polygons that cover a pixel of a picture of this size."""
        return Garments(
            tuple(box for box in self.boxes if box.crop(width, height)),
            tuple(shape for shape in self.polygons if shape.bounds().crop(width, height)),
        )


NO_GARMENTS = Garments()


def union(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around one or more boxes."""
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right, bottom = max(box.x + box.width for box in boxes), max(box.y + box.height for box in boxes)
    return Box(boxes[0].garment, left, top, right - left, bottom - top)
