"""What a model looked at, as a picture to lay over the picture."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.prepare import placement
from core.types import Crop, PictureInfo

LONG_SIDE = 320
"""Long side of a heat map in pixels at most: a thumbnail's."""

OPACITY = 0.7
"""How much of the picture the hottest place hides."""

_HEAT = ((0.0, (49, 54, 149)), (0.5, (254, 224, 144)), (1.0, (165, 0, 38)))
"""Cold, warm and hot: ends and middle of ColorBrewer's RdYlBu, which colour-blind people can tell apart."""


def heat_map(activation: NDArray[np.float32], side: int, picture: PictureInfo, crop: Crop | None = None) -> bytes:
    """A class activation map, float32 [height, width], as a PNG with transparency, in the picture's own shape.

    `side` is that of the square that the model saw, `crop` the part of the picture that was in it: outside the PNG is
    transparent. Only what speaks for the label is shown, relative to the place that speaks for it most.
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
    """The map between 0 and 1."""
    spoken = np.maximum(activation, 0.0)
    if not spoken.any():
        # Nothing speaks for the label: it won by its constant. What speaks least against it is all there is to show.
        spoken = activation - activation.min()
    return np.asarray(spoken / max(float(spoken.max()), 1e-9), np.float32)


def _of_region(relative: NDArray[np.float32], side: int, size: tuple[int, int]) -> Image.Image:
    """The map without the square's padding, one value per pixel that the model saw."""
    square = Image.fromarray(relative).resize((side, side), Image.Resampling.BICUBIC)
    left, top, width, height = placement(size, side)
    return square.crop((left, top, left + width, top + height))


def _coloured(heat: NDArray[np.float32]) -> Image.Image:
    heat = heat.clip(0.0, 1.0)
    stops = [stop for stop, _ in _HEAT]
    channels = [np.interp(heat, stops, [colour[i] for _, colour in _HEAT]) for i in range(3)]
    return Image.fromarray(np.stack([*channels, heat * OPACITY * 255], axis=-1).round().astype(np.uint8), "RGBA")
