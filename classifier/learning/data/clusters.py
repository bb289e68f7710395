"""Group pictures that show the same photo into clusters, and choose the side of the split for each cluster.

Two pictures that are alike (core/fingerprints.py) are in one cluster, and so is every picture that is alike to one of
them. A cluster is on one side only, because a model must not be evaluated on copies of its training pictures.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from core.fingerprints import Fingerprint, alike, bands

CLUSTER_DIGITS = 16
"""A cluster has as its name these first hexadecimal digits of the least SHA-256 in it, so the name is reproducible."""


@dataclass(frozen=True, slots=True)
class PictureToCompare:
    """The properties of a picture that are needed to compare it."""

    sha256: str
    fingerprint: Fingerprint | None
    """None if the picture shows too little. Then only its bytes are compared."""
    aspect: float
    """Width / height."""


def cluster(pictures: Iterable[PictureToCompare]) -> dict[str, str]:
    """Return the name of each picture's cluster: SHA-256 -> name."""
    roots: dict[str, str] = {}
    by_band: defaultdict[tuple[int, int], list[PictureToCompare]] = defaultdict(list)

    def root(sha256: str) -> str:
        while roots[sha256] != sha256:
            roots[sha256] = sha256 = roots[roots[sha256]]
        return sha256

    # The order makes the least SHA-256 the root of its cluster.
    for picture in sorted(pictures, key=lambda picture: picture.sha256):
        roots[picture.sha256] = picture.sha256
        if picture.fingerprint is None:
            continue
        for band in enumerate(bands(picture.fingerprint)):
            for other in by_band[band]:
                first, second = root(picture.sha256), root(other.sha256)
                if first != second and _alike(picture, other):
                    roots[max(first, second)] = min(first, second)
            by_band[band].append(picture)
    return {sha256: root(sha256)[:CLUSTER_DIGITS] for sha256 in roots}


def _alike(first: PictureToCompare, second: PictureToCompare) -> bool:
    return alike(first.fingerprint or b"", second.fingerprint or b"", first.aspect / second.aspect)


def choose_side(name: str, shares: dict[str, float], rest: str) -> str:
    """Choose the side of a cluster by a hash of its name.

    The choice is therefore random, but the same in every dataset. `shares` has the share (0 to 1) of every side except
    `rest`.
    """
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    for side, share in shares.items():
        if drawn < share:
            return side
        drawn -= share
    return rest
