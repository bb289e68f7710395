"""Fingerprints of pictures: by them the same photo is recognised at another size, in another format or quality.

A fingerprint is 35 bytes: a perceptual hash of 256 bits, and the mean colour (red, green, blue) of the whole upright
picture. core/perceptual.py computes it; what is called alike was calibrated (docs/duplicates.md).
"""

from __future__ import annotations

import struct

Fingerprint = bytes

BANDS = 8
"""Parts of the hash, 32 bits each. Pictures are compared only if they agree in one of them: every pair whose hashes
differ in fewer bits than there are bands does."""

MAX_DISTANCE = 20
"""So many of the 256 bits may differ."""
MAX_COLOUR_DIFFERENCE = 3
"""So many of 256 levels may the mean colour differ, in each of red, green and blue."""
MAX_ASPECT_RATIO = 1.03
"""So many times as wide for its height may one be: small copies have rounded sides."""

_HASH = 32
"""Bytes of the hash; the colour follows."""
LENGTH = _HASH + 3
"""Bytes in all."""


def bands(fingerprint: Fingerprint) -> tuple[int, ...]:
    """The bands of a fingerprint's hash, as signed integers of 32 bits."""
    return struct.unpack_from(f">{BANDS}i", fingerprint)


def distance(first: Fingerprint, second: Fingerprint) -> int:
    """How many bits the hashes of two fingerprints differ in: 0 to 256."""
    return (int.from_bytes(first[:_HASH], "big") ^ int.from_bytes(second[:_HASH], "big")).bit_count()


def alike(first: Fingerprint, second: Fingerprint, aspects: float) -> bool:
    """Whether two fingerprints are of the same picture; `aspects` is the quotient of their widths per height."""
    return (
        1 / MAX_ASPECT_RATIO <= aspects <= MAX_ASPECT_RATIO
        and all(abs(a - b) <= MAX_COLOUR_DIFFERENCE for a, b in zip(first[_HASH:], second[_HASH:], strict=True))
        and distance(first, second) <= MAX_DISTANCE
    )
