"""Splits a dataset by family, and measures what a split leaks.

A family is what must stay on one side: pictures that share a product or a cluster, directly or through other pictures.
A split leaks if a model is judged by pictures that it has nearly learned.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.clusters import PictureToCompare, cluster, components
from classifier.learning.data.folder import TEST
from classifier.learning.data.index import PictureIndex
from classifier.learning.data.pictures import TRAIN, VALIDATION

EXAMPLES = 3
"""Number of examples of each kind of leak."""


@dataclass(frozen=True, slots=True)
class Families:
    """The cluster and the family of each picture of an index, as numbers: int64 [N] each."""

    clusters: NDArray[np.int64]
    families: NDArray[np.int64]


def find_families(index: PictureIndex) -> Families:
    """Return the clusters and families of the pictures of an index that was made with decoding.

    Pictures that cannot be read are alone in their cluster.
    """
    columns = (index.column(name) for name in ("sha256", "fingerprint", "width", "height"))
    compared: dict[str, PictureToCompare] = {}
    names: list[str] = []
    for number, (sha256, fingerprint, width, height) in enumerate(zip(*columns, strict=True)):
        names.append(sha256 or f"unreadable {number}")
        if sha256 and sha256 not in compared:
            compared[sha256] = PictureToCompare(sha256, fingerprint, width / height if height else 1.0)
    named = cluster(compared.values())
    clusters = _numbers([named.get(name, name) for name in names])
    products = _numbers(index.column("product"))
    families = components(len(names), [_links(clusters), _links(products)])
    return Families(clusters, families)


def _numbers(values: Sequence[str]) -> NDArray[np.int64]:
    """Return for each value the position at which it occurs first."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(value, number) for number, value in enumerate(values)], np.int64)


def _links(firsts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.arange(len(firsts)), firsts


def assign_sides(
    families: NDArray[np.int64], labels: NDArray[np.int64], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Return the side of each picture. Families stay whole, and labels are shared out as evenly as families allow.

    Labels are shared out from the rarest to the most frequent. A family goes to the side that lacks most pictures of
    this label (K. Sechidis, G. Tsoumakas and I. Vlahavas, "On the Stratification of Multi-Label Data", 2011).

    Args:
        families: the family of each picture, int64 [N].
        labels: the label of each picture, -1 for none, int64 [N].
        shares: the share of each side, such as {"train": 0.8, "validation": 0.1, "test": 0.1}.
        seed: decides the order of the families.
    """
    sides = list(shares)
    # Pictures without a label are shared out like those of one more label.
    labels = np.where(labels < 0, labels.max(initial=-1) + 1, labels)
    totals = np.bincount(labels)
    lacking = np.outer(list(shares.values()), totals)
    members = _counts_by_family(families, labels)
    smallest = min(share for share in shares.values() if share > 0)
    order = list(members)
    random.Random(seed).shuffle(order)
    # A family that is large for the smallest side would overfill it at the end, so it is placed first.
    order.sort(key=lambda family: all(n <= smallest * totals[label] / 2 for label, n in members[family].items()))
    rarest_first = np.argsort(totals, kind="stable")
    rank = {int(label): number for number, label in enumerate(rarest_first)}
    by_rarest: dict[int, list[int]] = {}
    for family in order:
        by_rarest.setdefault(min(members[family], key=rank.__getitem__), []).append(family)
    chosen: dict[int, int] = {}
    for label in map(int, rarest_first):
        for family in by_rarest.get(label, ()):
            best = max(range(len(sides)), key=lambda side: (lacking[side, label], lacking[side].sum()))
            chosen[family] = best
            for other, number in members[family].items():
                lacking[best, other] -= number
    return [sides[chosen[family]] for family in families.tolist()]


def _counts_by_family(families: NDArray[np.int64], labels: NDArray[np.int64]) -> dict[int, Counter[int]]:
    members: dict[int, Counter[int]] = {}
    for family, label in zip(families.tolist(), labels.tolist(), strict=True):
        members.setdefault(family, Counter())[label] += 1
    return members


def measure_leaks(
    index: PictureIndex, families: Families, sides: Sequence[str], held_out: tuple[str, ...] = (VALIDATION, TEST)
) -> dict[str, Any]:
    """Return the overlap between the pictures to judge by and those to learn from, as JSON.

    `names`, `products` and `clusters` each have: `shared`, how many are on both sides; `pictures`, how many pictures to
    judge by this concerns; `examples`. `held_out` is the number of all pictures to judge by.
    """
    measures: dict[str, Sequence[Any]] = {
        "names": index.column("name"),
        "products": index.column("product"),
        "clusters": families.clusters.tolist(),
    }
    keys = index.column("key")
    report: dict[str, Any] = {
        "learned": sum(side == TRAIN for side in sides),
        "held_out": sum(side in held_out for side in sides),
    }
    concerned = set[int]()
    for measure, values in measures.items():
        learned: dict[Any, int] = {}
        for number, (value, side) in enumerate(zip(values, sides, strict=True)):
            if side == TRAIN:
                learned.setdefault(value, number)
        pictures = [
            number
            for number, (value, side) in enumerate(zip(values, sides, strict=True))
            if side in held_out and value in learned
        ]
        concerned.update(pictures)
        report[measure] = {
            "shared": len({values[number] for number in pictures}),
            "pictures": len(pictures),
            "examples": [[keys[learned[values[number]]], keys[number]] for number in pictures[:EXAMPLES]],
        }
    return report | {"leaked": len(concerned)}
