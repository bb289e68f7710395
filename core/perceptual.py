"""Computing fingerprints (core/fingerprints.py) from pixels.

The hash is pHash of size 16 (N. Krawetz, "Looks Like It", 2011; `imagehash.phash(image, hash_size=16)`): its bits say
which of the 16 x 16 lowest frequencies of the brightness lie above their median. The cosine transform runs over all
pixels here rather than over a copy of 64 x 64: that costs less. docs/adr/0021-duplicates.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.fingerprints import BANDS, LENGTH, Fingerprint

FREQUENCIES = 16
"""How many of the lowest frequencies count, each way."""

_NARROWEST = 2 * FREQUENCIES
"""Pixels that it takes to show these frequencies (Nyquist)."""
_FAINTEST = 0.02
"""Levels of brightness (of 256): where half of the frequencies are weaker, the bits are noise."""
_ROWS_ADDED = 4
"""Rows that are added up, in whole numbers, before anything is multiplied."""
_BRIGHTNESS = (0.299, 0.587, 0.114)
"""What red, green and blue add to it (ITU-R BT.601, as in pHash)."""

_Matrix = NDArray[np.float32]


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint | None:
    """The fingerprint of a whole upright picture, uint8 [height, width, 3], scaled to a long side of 200 to 500 pixels.

    None if it is too narrow for one, or shows next to nothing: one colour, a gradient.
    """
    height, width, _ = pixels.shape
    if min(height, width) < _NARROWEST:
        return None
    both: _Matrix = _down(height) @ _rows_added(pixels).astype(np.float32) @ _across(width)
    low = both[:, :FREQUENCIES].ravel()
    ordered = np.sort(low)
    quarter = len(low) // 4
    if ordered[3 * quarter] - ordered[quarter] < 2 * _FAINTEST:
        return None
    median = (ordered[2 * quarter - 1] + ordered[2 * quarter]) / 2
    # Every eighth bit goes into the same band: of a picture whose halves mirror each other the odd frequencies across
    # are noise, and this keeps them out of half of the bands.
    bits = np.packbits((low > median).reshape(-1, BANDS).T)
    colour = np.rint(both[0, FREQUENCIES:]).astype(np.uint8)
    return Fingerprint(bits.tobytes() + colour.tobytes())


def bands_of(fingerprints: Sequence[Fingerprint]) -> NDArray[np.int32]:
    """`core.fingerprints.bands` of several at once: int32 [N, 8]."""
    bytes_ = np.frombuffer(b"".join(fingerprints), np.uint8).reshape(len(fingerprints), LENGTH)
    return np.ascontiguousarray(bytes_[:, : BANDS * 4]).view(">i4").astype(np.int32)


def _rows_added(pixels: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """uint16 [ceil(height / 4), width * 3]: sums of four rows, and of those that are left over."""
    height, width, channels = pixels.shape
    whole = height // _ROWS_ADDED * _ROWS_ADDED
    rows = pixels.reshape(height, width * channels)
    sums = rows[:whole].reshape(-1, _ROWS_ADDED, width * channels).sum(axis=1, dtype=np.uint16)
    return sums if whole == height else np.vstack((sums, rows[whole:].sum(axis=0, dtype=np.uint16)))


@lru_cache(maxsize=1024)
def _down(height: int) -> _Matrix:
    """float32 [16, ceil(height / 4)]: the cosine transform of sums of rows; its first row makes them a mean."""
    starts = np.arange(0, height, _ROWS_ADDED)
    sums = np.add.reduceat(_cosines(height), starts, axis=1)
    matrix: _Matrix = (sums / (np.diff(np.append(starts, height)) * height)).astype(np.float32)
    return matrix


@lru_cache(maxsize=1024)
def _across(width: int) -> _Matrix:
    """float32 [width * 3, 16 + 3]: the cosine transform of a row's brightness, and its mean red, green and blue."""
    brightness = (_cosines(width).T[:, None, :] * np.array(_BRIGHTNESS)[:, None]).reshape(width * 3, FREQUENCIES)
    return (np.hstack((brightness, np.tile(np.eye(3), (width, 1)))) / width).astype(np.float32)


def _cosines(length: int) -> NDArray[np.float64]:
    """float64 [16, length]: the first rows of the cosine transform, type II, not normalised."""
    cosines: NDArray[np.float64] = np.cos(
        np.arange(FREQUENCIES)[:, None] * (2 * np.arange(length) + 1) * (math.pi / (2 * length))
    )
    return cosines
