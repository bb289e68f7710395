"""Computes fingerprints (core/fingerprints.py) from pixels.

The hash is pHash of size 16 (N. Krawetz, "Looks Like It", 2011; `imagehash.phash(image, hash_size=16)`): each of
its bits says whether one of the 16 x 16 lowest frequencies of the brightness is above the median of all. Unlike pHash,
this code transforms all pixels and not a copy of 64 x 64 pixels, because that costs less. The figures are in
docs/adr/0021-duplicates.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.fingerprints import BANDS, FINGERPRINT_BYTES, Fingerprint

FREQUENCIES = 16
"""Number of the lowest frequencies that the hash uses in each direction."""

_MIN_SIDE = 2 * FREQUENCIES
"""Shortest side in pixels that can contain these frequencies (Nyquist)."""
_MIN_CONTRAST = 0.02
"""In levels of brightness (of 256). If half of the frequencies are weaker, the bits of the hash are only noise."""
_MAX_FLAT_RANGE = 4
"""Largest difference within a channel, in levels (of 256), of a picture with a single colour."""
_ROWS_PER_SUM = 4
"""Number of rows that are summed as integers before the multiplication."""
_BRIGHTNESS_WEIGHTS = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the brightness (ITU-R BT.601, as in pHash)."""

_Matrix = NDArray[np.float32]


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint | None:
    """Return the fingerprint of a whole upright picture, or None if it is too narrow or too uniform for a fingerprint.

    `pixels`: uint8 [height, width, 3], scaled so that the long side has 200 to 500 pixels. A picture of a single colour
    or of a gradient is too uniform.
    """
    height, width, _ = pixels.shape
    if min(height, width) < _MIN_SIDE:
        return None
    transformed: _Matrix = (
        _vertical_transform(height) @ _row_sums(pixels).astype(np.float32) @ _horizontal_transform(width)
    )
    frequencies = transformed[:, :FREQUENCIES].ravel()
    ordered = np.sort(frequencies)
    quarter = len(frequencies) // 4
    if ordered[3 * quarter] - ordered[quarter] < 2 * _MIN_CONTRAST:
        return None
    median = (ordered[2 * quarter - 1] + ordered[2 * quarter]) / 2
    # Every eighth bit goes into the same band. If the halves of a picture mirror each other, its odd horizontal
    # frequencies are noise, and this order keeps them out of half of the bands.
    bits = np.packbits((frequencies > median).reshape(-1, BANDS).T)
    colour = np.rint(transformed[0, FREQUENCIES:]).astype(np.uint8)
    return Fingerprint(bits.tobytes() + colour.tobytes())


def is_flat(pixels: NDArray[np.uint8]) -> bool:
    """Return whether a picture, uint8 [height, width, 3], has a single colour.

    JPEG changes such a picture by one or two levels. Even a plain fabric varies more, by its threads and its light.
    """
    # NumPy reduces whole rows at once, which takes a fortieth of the time of `np.ptp(pixels, axis=(0, 1))`.
    highest, lowest = pixels.max(axis=0).max(axis=0), pixels.min(axis=0).min(axis=0)
    return bool((highest - lowest).max() <= _MAX_FLAT_RANGE)


def bands_of(fingerprints: Sequence[Fingerprint]) -> NDArray[np.int32]:
    """Return the bands of several fingerprints: int32 [N, 8]. The values equal those of `core.fingerprints.bands`."""
    joined = np.frombuffer(b"".join(fingerprints), np.uint8).reshape(len(fingerprints), FINGERPRINT_BYTES)
    return np.ascontiguousarray(joined[:, : BANDS * 4]).view(">i4").astype(np.int32)


def _row_sums(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return the sums of every four rows, and of the remaining rows: uint16 [ceil(height / 4), width * 3]."""
    height, width, channels = pixels.shape
    whole = height // _ROWS_PER_SUM * _ROWS_PER_SUM
    rows = pixels.reshape(height, width * channels)
    sums = rows[:whole].reshape(-1, _ROWS_PER_SUM, width * channels).sum(axis=1, dtype=np.uint16)
    return sums if whole == height else np.vstack((sums, rows[whole:].sum(axis=0, dtype=np.uint16)))


@lru_cache(maxsize=1024)
def _vertical_transform(height: int) -> _Matrix:
    """Return the cosine transform of row sums: float32 [16, ceil(height / 4)]. Its first row computes the mean."""
    starts = np.arange(0, height, _ROWS_PER_SUM)
    sums = np.add.reduceat(_cosine_rows(height), starts, axis=1)
    matrix: _Matrix = (sums / (np.diff(np.append(starts, height)) * height)).astype(np.float32)
    return matrix


@lru_cache(maxsize=1024)
def _horizontal_transform(width: int) -> _Matrix:
    """Return the matrix for a row of pixels: float32 [width * 3, 16 + 3].

    Its columns are the cosine transform of the brightness, and the means of red, green and blue.
    """
    brightness = (_cosine_rows(width).T[:, None, :] * np.array(_BRIGHTNESS_WEIGHTS)[:, None]).reshape(
        width * 3, FREQUENCIES
    )
    return (np.hstack((brightness, np.tile(np.eye(3), (width, 1)))) / width).astype(np.float32)


def _cosine_rows(length: int) -> NDArray[np.float64]:
    """Return the first rows of the cosine transform (type II, not normalised): float64 [16, length]."""
    cosines: NDArray[np.float64] = np.cos(
        np.arange(FREQUENCIES)[:, None] * (2 * np.arange(length) + 1) * (math.pi / (2 * length))
    )
    return cosines
