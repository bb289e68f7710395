"""Pictures to measure with: JPEGs cut from the photographs inside scikit-image, made once a run."""

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
"""How many different ones there are of each size; beyond that they differ in a comment only."""

_PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "immunohistochemistry")
_QUALITY, _GRAIN = 88, 3.0


def make_pictures(folder: Path, long_side: int) -> list[Path]:
    """JPEGs of the size in `folder`: cut-outs, 3 : 4 like most catalog pictures, with a photograph's grain."""
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
    """The same picture as other bytes: a JPEG comment makes it one that nobody has seen before."""
    comment = salt.encode()
    return picture[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + picture[2:]


def fresh(pictures: list[Path], count: int, salt: str) -> list[bytes]:
    """`count` pictures that no run before this one has seen."""
    files = [path.read_bytes() for path in pictures]
    return [salted(files[number % len(files)], f"{salt} {number}") for number in range(count)]


def as_plain_pillow_opens_it(data_: bytes, side: int) -> np.ndarray:
    """What most people write: the whole picture decoded, then resized. uint8 [side, side, 3]."""
    with Image.open(io.BytesIO(data_)) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
