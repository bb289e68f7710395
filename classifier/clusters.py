"""Group pictures that show the same photo into clusters, and choose the side of the split for each cluster.

Two pictures that are alike (core/fingerprints.py) are in one cluster, and so is every picture that is alike to one of
them. A cluster is on one side only, because a model must not be evaluated on copies of its training pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.fingerprints import (
    BANDS,
    FINGERPRINT_BYTES,
    MAX_ASPECT_QUOTIENT,
    MAX_COLOUR_DIFFERENCE,
    MAX_DISTANCE,
    Fingerprint,
)
from core.perceptual import bands_of

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
    # In this order, the least SHA-256 of a cluster comes first.
    ordered = sorted(pictures, key=lambda picture: picture.sha256)
    compared = [number for number, picture in enumerate(ordered) if picture.fingerprint is not None]
    fingerprints = [ordered[number].fingerprint or b"" for number in compared]
    aspects = np.array([ordered[number].aspect for number in compared], np.float64)
    roots = np.arange(len(ordered))
    roots[compared] = np.array(compared, np.int64)[_alike_roots(fingerprints, aspects)]
    return {picture.sha256: ordered[root].sha256[:CLUSTER_DIGITS] for picture, root in zip(ordered, roots, strict=True)}


def components(count: int, pairs: Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> NDArray[np.int64]:
    """Return the least number that each of the numbers 0 to `count` - 1 is connected with by the pairs: int64 [count].

    The numbers of a component move to its least number in rounds (Y. Shiloach and U. Vishkin, "An O(log n) Parallel
    Connectivity Algorithm", 1982).
    """
    roots = np.arange(count)
    links = [*pairs]
    if not links:
        return roots
    first, second = (np.concatenate(side) for side in zip(*links, strict=True))
    while (different := roots[first] != roots[second]).any():
        first, second = first[different], second[different]
        low = np.minimum(roots[first], roots[second])
        np.minimum.at(roots, roots[first], low)
        np.minimum.at(roots, roots[second], low)
        while not np.array_equal(shorter := roots[roots], roots):
            roots = shorter
    return roots


def _alike_roots(fingerprints: list[Fingerprint], aspects: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the first picture of each picture's cluster: int64 [N]. Only pictures that share a band are compared."""
    count = len(fingerprints)
    roots = np.arange(count)
    if count < 2:
        return roots
    values = np.frombuffer(b"".join(fingerprints), np.uint8).reshape(-1, FINGERPRINT_BYTES)
    bands = bands_of(fingerprints)
    for band in range(BANDS):
        order = np.argsort(bands[:, band], kind="stable")
        ordered_band = bands[order, band]
        starts = np.arange(count)
        found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        # Compare each picture with the next one of the same band, then with the one after it, and so on.
        for step in range(1, count):
            starts = starts[starts + step < count]
            starts = starts[ordered_band[starts] == ordered_band[starts + step]]
            if not len(starts):
                break
            first, second = order[starts], order[starts + step]
            # Thousands of copies of one picture are soon in one cluster. Comparing all their pairs would take hours.
            apart = roots[first] != roots[second]
            first, second = first[apart], second[apart]
            alike = _are_alike(values[first], values[second], aspects[first] / aspects[second])
            found.append((first[alike], second[alike]))
            if step & (step - 1) == 0:
                roots, found = components(count, [(np.arange(count), roots), *found]), []
        roots = components(count, [(np.arange(count), roots), *found])
    return roots


def _are_alike(
    first: NDArray[np.uint8], second: NDArray[np.uint8], aspect_quotients: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return whether the fingerprints of each pair are alike (`core.fingerprints.alike`): bool [N]."""
    hash_bytes = BANDS * 4
    distances = np.bitwise_count(first[:, :hash_bytes] ^ second[:, :hash_bytes]).sum(axis=1)
    colours = np.abs(first[:, hash_bytes:].astype(np.int16) - second[:, hash_bytes:].astype(np.int16)).max(axis=1)
    same: NDArray[np.bool_] = (
        (distances <= MAX_DISTANCE)
        & (colours <= MAX_COLOUR_DIFFERENCE)
        & (aspect_quotients <= MAX_ASPECT_QUOTIENT)
        & (aspect_quotients >= 1 / MAX_ASPECT_QUOTIENT)
    )
    return same


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
