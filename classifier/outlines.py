"""The outlines of what a model should see of a picture: given boxes and polygons, else segments, else none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from classifier.garments import GARMENT_NAMES, Box, Garments, Polygon, union
from classifier.segmenting import Segment, SegmenterFile, segment


@dataclass(frozen=True, slots=True)
class Outline:
    """A garment or a person in a picture: the box around it, in pixels, and its shape if more than the box is known."""

    name: str
    box: Box
    shape: tuple[Polygon, ...] | Segment | None = None


def find_outlines(image: Image.Image, given: Garments, segmenter: SegmenterFile | None) -> list[Outline]:
    """Return the outlines of a picture. `given` are its garments in pixels of `image`.

    Boxes and polygons outside of the picture or without an area do not count. A garment without a box has that of its
    polygons. If no garment counts, the segmenter is asked, if there is one.
    """
    usable = given.usable(*image.size)
    outlines = [outline for name in GARMENT_NAMES if (outline := _given(name, usable)) is not None]
    if outlines or segmenter is None:
        return outlines
    return [_segmented(found, image.size) for found in segment(image, segmenter)]


def draw_mask(outlines: Sequence[Outline], size: tuple[int, int], scaled: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels the outlines of a picture of `size` cover once it is `scaled`: bool [height, width].

    Pixels that the outline only touches are covered, too.
    """
    x, y = scaled[0] / size[0], scaled[1] / size[1]
    drawn = Image.new("L", scaled)
    draw = ImageDraw.Draw(drawn)
    for outline in outlines:
        if isinstance(outline.shape, Segment):
            segment_mask = Image.fromarray(outline.shape.mask.astype(np.uint8) * 255)
            drawn.paste(255, mask=segment_mask.resize(scaled, Image.Resampling.BILINEAR).point(_rounded))
        elif outline.shape:
            for polygon in outline.shape:
                draw.polygon([(px * x, py * y) for px, py in polygon.points()], fill=255)
        else:
            box = outline.box
            draw.rectangle((box.x * x, box.y * y, (box.x + box.width) * x, (box.y + box.height) * y), fill=255)
    return np.asarray(drawn) > 0


def _rounded(value: int) -> int:
    return 255 * (value >= 128)


def _given(name: str, garments: Garments) -> Outline | None:
    boxes = [box for box in garments.boxes if box.garment == name]
    shapes = tuple(shape for shape in garments.polygons if shape.garment == name)
    if not boxes and not shapes:
        return None
    return Outline(name, union(boxes or [shape.bounds() for shape in shapes]), shapes or None)


def _segmented(found: Segment, size: tuple[int, int]) -> Outline:
    left, top, right, bottom = found.bounds()
    width, height = size
    box = Box(found.name, left * width, top * height, (right - left) * width, (bottom - top) * height)
    return Outline(found.name, box, found)
