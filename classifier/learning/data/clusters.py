"""Which pictures show the same photo, and on which side of a split each lot of them goes.

Pictures that are alike (core/fingerprints.py) are in one cluster, and so is whatever is alike to one of them: a copy
of a picture that was learned from must not be what a model is judged by.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from core.fingerprints import Fingerprint, alike, bands

CLUSTER_DIGITS = 16
"""A cluster is named by the first hexadecimal digits of the least SHA-256 in it: the same pictures, the same name."""


@dataclass(frozen=True, slots=True)
class PictureToCompare:
    """What is needed of a picture to compare it."""

    sha256: str
    fingerprint: Fingerprint | None
    """None: it shows next to nothing, and only its bytes are compared."""
    aspect: float
    """Width / height."""


def cluster(pictures: Iterable[PictureToCompare]) -> dict[str, str]:
    """SHA-256 -> name of its cluster."""
    roots: dict[str, str] = {}
    by_band: defaultdict[tuple[int, int], list[PictureToCompare]] = defaultdict(list)

    def root(sha256: str) -> str:
        while roots[sha256] != sha256:
            roots[sha256] = sha256 = roots[roots[sha256]]
        return sha256

    # In order of their names, so that a root is the least of its cluster.
    for picture in sorted(pictures, key=lambda picture: picture.sha256):
        roots[picture.sha256] = picture.sha256
        if picture.fingerprint is None:
            continue
        for band in enumerate(bands(picture.fingerprint)):
            for other in by_band[band]:
                mine, its = root(picture.sha256), root(other.sha256)
                if mine != its and _alike(picture, other):
                    roots[max(mine, its)] = min(mine, its)
            by_band[band].append(picture)
    return {sha256: root(sha256)[:CLUSTER_DIGITS] for sha256 in roots}


def _alike(first: PictureToCompare, second: PictureToCompare) -> bool:
    return alike(first.fingerprint or b"", second.fingerprint or b"", first.aspect / second.aspect)


def choose_side(name: str, shares: dict[str, float], rest: str) -> str:
    """On which side a cluster is: by chance, but always the same one, and whatever else is in the dataset.

    `shares` has the share, 0 to 1, of every side but `rest`.
    """
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
    for side, share in shares.items():
        if drawn < share:
            return side
        drawn -= share
    return rest
