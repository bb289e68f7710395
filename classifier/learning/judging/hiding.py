"""Variants of a picture without its garments, and with nothing but them, by the boxes and polygons of its dataset."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.garments import union
from classifier.learning.data.prepared import prepare_bytes
from classifier.learning.judging.variants import Original
from classifier.outlines import Outline, draw_mask, find_outlines
from classifier.prepare import PADDING, InputSpec

_GREY = (PADDING, PADDING, PADDING)


def without_garments(original: Original, spec: InputSpec) -> NDArray[np.uint8] | None:
    """Return the picture with one grey rectangle over all garments, or None if no garment is known.

    The outline of a garment would tell what it is, so the rectangle covers the boxes of all garments together.
    """
    image, outlines = _opened(original)
    if not outlines:
        return None
    covered = union([outline.box for outline in outlines]).grown().crop(*image.size)
    if covered is not None:
        image.paste(_GREY, (covered.x, covered.y, covered.x + covered.width, covered.y + covered.height))
    return _prepared(image, original, spec)


def only_garments(original: Original, spec: InputSpec) -> NDArray[np.uint8] | None:
    """Return the picture with grey outside of the polygons (or, without them, the boxes), or None without a garment."""
    image, outlines = _opened(original)
    if not outlines:
        return None
    mask = Image.fromarray(draw_mask(outlines, image.size, image.size))
    return _prepared(Image.composite(image, Image.new("RGB", image.size, _GREY), mask), original, spec)


def _opened(original: Original) -> tuple[Image.Image, list[Outline]]:
    image = original.image()
    return image, find_outlines(image, original.garments, None)


def _prepared(image: Image.Image, original: Original, spec: InputSpec) -> NDArray[np.uint8]:
    out = io.BytesIO()
    # This format keeps every pixel and costs next to nothing.
    image.save(out, "BMP")
    return prepare_bytes(out.getvalue(), original.row, spec)
