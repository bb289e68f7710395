"""Heat maps: transparent overlays that show which parts of a picture led to its label."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.prepare import placement
from core.types import Crop, PictureInfo

LONG_SIDE = 320
"""Maximum long side of a heat map in pixels: that of a thumbnail."""

OPACITY = 0.7
"""Opacity of the hottest part of a heat map, from 0 to 1."""

_HEAT = ((0.0, (49, 54, 149)), (0.5, (254, 224, 144)), (1.0, (165, 0, 38)))
"""Colours at 0, 0.5 and 1: the ends and the middle of ColorBrewer's RdYlBu, which suits colour-blind people."""


def heat_map(activation: NDArray[np.float32], side: int, picture: PictureInfo, crop: Crop | None = None) -> bytes:
    """Return the heat map of a class activation map, float32 [height, width], as a PNG with the picture's aspect ratio.

    `side` is the side of the square input of the model. `crop` is the part of the picture that was in it; the PNG is
    transparent outside. Only positive activations are shown, relative to the largest one.
    """
    whole = (picture.width, picture.height)
    scale = min(1.0, LONG_SIDE / max(whole))
    region = crop or Crop(0, 0, *whole)
    heat = _of_region(_relative(activation), side, (region.width, region.height))
    size = (max(1, round(region.width * scale)), max(1, round(region.height * scale)))
    coloured = _coloured(np.asarray(heat.resize(size, Image.Resampling.BILINEAR)))
    canvas = Image.new("RGBA", (max(1, round(whole[0] * scale)), max(1, round(whole[1] * scale))))
    canvas.paste(coloured, (round(region.x * scale), round(region.y * scale)))
    out = io.BytesIO()
    canvas.save(out, "PNG", optimize=True)
    return out.getvalue()


def _relative(activation: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the map scaled to the range from 0 to 1."""
    positive = np.maximum(activation, 0.0)
    if not positive.any():
        # The label won by its bias alone. The least negative places are then shown as the hottest.
        positive = activation - activation.min()
    return np.asarray(positive / max(float(positive.max()), 1e-9), np.float32)


def _of_region(relative: NDArray[np.float32], side: int, size: tuple[int, int]) -> Image.Image:
    """Return the map without the padding of the square, with one value per pixel that the model saw."""
    square = Image.fromarray(relative).resize((side, side), Image.Resampling.BICUBIC)
    left, top, width, height = placement(size, side)
    return square.crop((left, top, left + width, top + height))


def _coloured(heat: NDArray[np.float32]) -> Image.Image:
    heat = heat.clip(0.0, 1.0)
    stops = [stop for stop, _ in _HEAT]
    channels = [np.interp(heat, stops, [colour[i] for _, colour in _HEAT]) for i in range(3)]
    return Image.fromarray(np.stack([*channels, heat * OPACITY * 255], axis=-1).round().astype(np.uint8), "RGBA")
