"""The pictures of the benchmarks: JPEGs cut from the photographs inside scikit-image, made once a run."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

SIZES = (400, 1500)
"""Long sides in pixels: a shop's thumbnail and its large view."""
COUNTS = {400: 500, 1500: 250}
"""Number of different pictures of each size. Further pictures differ only in a JPEG comment."""

_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry")
_QUALITY, _GRAIN = 88, 3.0


def make_pictures(folder: Path, long_side: int) -> list[Path]:
    """Write JPEGs of this size into `folder` and return their paths.

    They have the shape 3 : 4, like most catalog pictures, and the grain of a photograph.
    """
    random = np.random.default_rng(long_side)
    sources = [Image.fromarray(getattr(data, name)()).convert("RGB") for name in _PHOTOGRAPHS]
    paths = []
    for number in range(COUNTS[long_side]):
        source = sources[number % len(sources)]
        height = round(min(source.height, source.width * 4 / 3) * random.uniform(0.6, 1.0))
        width = round(height * 3 / 4)
        left, top = random.integers(0, [source.width - width + 1, source.height - height + 1])
        size = (long_side * 3 // 4, long_side)
        cut = source.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
        grain = random.normal(0, _GRAIN, (size[1], size[0], 1))
        pixels = (np.asarray(cut) + grain).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{long_side}-{number:04}.jpg")
        Image.fromarray(pixels).save(paths[-1], "JPEG", quality=_QUALITY)
    return paths


def salted(picture: bytes, salt: str) -> bytes:
    """Return the same picture with a JPEG comment, so that its bytes are new to the service."""
    comment = salt.encode()
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + picture[2:]


def fresh(pictures: list[Path], count: int, salt: str) -> list[bytes]:
    """Return `count` pictures that no earlier run has used."""
    files = [path.read_bytes() for path in pictures]
    return [salted(files[number % len(files)], f"{salt} {number}") for number in range(count)]


def plain_pillow_pixels(data_: bytes, side: int) -> np.ndarray:
    """Return uint8 [side, side, 3] as most people compute it: decode the whole picture, then resize it."""
    with Image.open(io.BytesIO(data_)) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
