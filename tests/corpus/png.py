"""Writes PNG files of every kind (PNG 1.3), most of which Pillow cannot write."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x89PNG\r\n\x1a\n"
END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, and the steps to the right and downwards of the passes of Adam7."""
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(name: bytes, data: bytes = b"") -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def header(width: int, height: int, depth: int = 8, colour: int = RGB, *, interlaced: bool = False) -> bytes:
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return chunk(b"IHDR", sides + bytes([depth, colour, 0, 0, interlaced]))


def write(
    samples: NDArray[np.integer], depth: int, colour: int, extra: Iterable[bytes] = (), *, interlaced: bool = False
) -> bytes:
    """Return samples [height, width, channels], each below 2**depth, as a PNG with `extra` chunks before the pixels."""
    height, width = samples.shape[:2]
    steps = _PASSES if interlaced else ((0, 0, 1, 1),)
    passes = [samples[top::down, left::right] for left, top, right, down in steps]
    rows = b"".join(b"\x00" + _row(row, depth) for part in passes if part.size for row in part)
    start = MAGIC + header(width, height, depth, colour, interlaced=interlaced) + b"".join(extra)
    return start + chunk(b"IDAT", zlib.compress(rows)) + END


def _row(row: NDArray[np.integer], depth: int) -> bytes:
    values = row.reshape(-1)
    if depth == 16:
        return values.astype(">u2").tobytes()
    bits = (values[:, None] >> np.arange(depth - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def with_checksums(data: bytes) -> bytes:
    """Return a PNG with the right checksums of all chunks that are complete."""
    position, repaired = len(MAGIC), data
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        if end + 4 <= len(data):
            crc = zlib.crc32(data[position + 4 : end]).to_bytes(4, "big")
            repaired = repaired[:end] + crc + repaired[end + 4 :]
        position = end + 4
    return repaired
