"""Fingerprints of pictures. They identify the same photo at another size, in another format or at another quality.

A fingerprint has 35 bytes: a perceptual hash of 256 bits, and the mean colour (red, green, blue) of the whole upright
picture. core/perceptual.py computes it. Measurements determined the limits below (docs/duplicates.md).
"""

from __future__ import annotations

import struct

Fingerprint = bytes

BANDS = 8
"""Number of 32-bit parts of the hash. Pictures are compared only if one of these bands is equal in both. Two hashes
that differ in fewer bits than there are bands always share a band."""

MAX_DISTANCE = 20
"""Two hashes of the same picture differ in at most this number of their 256 bits."""
MAX_COLOUR_DIFFERENCE = 3
"""Two mean colours of the same picture differ by at most this number of 256 levels, in red, green and blue each."""
MAX_ASPECT_QUOTIENT = 1.03
"""The aspect ratios of two copies differ by at most this factor, because small copies have rounded sides."""

_HASH_BYTES = 32
"""Length of the hash in bytes. The mean colour follows it."""
FINGERPRINT_BYTES = _HASH_BYTES + 3
"""Length of a fingerprint in bytes."""


def bands(fingerprint: Fingerprint) -> tuple[int, ...]:
    """Return the bands of a fingerprint's hash as signed 32-bit integers."""
    return struct.unpack_from(f">{BANDS}i", fingerprint)


def distance(first: Fingerprint, second: Fingerprint) -> int:
    """Return the number of bits in which the hashes of two fingerprints differ, from 0 to 256."""
    return (int.from_bytes(first[:_HASH_BYTES], "big") ^ int.from_bytes(second[:_HASH_BYTES], "big")).bit_count()


def alike(first: Fingerprint, second: Fingerprint, aspect_quotient: float) -> bool:
    """Return whether two fingerprints show the same picture.

    `aspect_quotient` is the first picture's ratio of width to height, divided by that of the second.
    """
    return (
        1 / MAX_ASPECT_QUOTIENT <= aspect_quotient <= MAX_ASPECT_QUOTIENT
        and all(
            abs(a - b) <= MAX_COLOUR_DIFFERENCE for a, b in zip(first[_HASH_BYTES:], second[_HASH_BYTES:], strict=True)
        )
        and distance(first, second) <= MAX_DISTANCE
    )
