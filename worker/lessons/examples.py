"""What a head learns from: the reviewed items of jobs, with the groups that must stay together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifier.clusters import PictureToCompare, cluster, components
from core.vectors import decode_all
from db.views.lessons import ReviewedItem

LEAST_REVIEWS = 5
"""A label that the model does not have is taught from so many reviewed pictures."""


@dataclass(slots=True)
class Examples:
    """The usable reviewed items, and the number of the others by reason."""

    items: list[ReviewedItem] = field(default_factory=list)
    """Reviewed items with a label and a vector."""
    rejected: list[ReviewedItem] = field(default_factory=list)
    """Reviewed items with a vector for which no label fits."""
    left_out: Counter[str] = field(default_factory=Counter)

    def labels(self, rejected_as: str | None) -> list[tuple[ReviewedItem, str]]:
        """Return the examples with their labels. `rejected_as` is the label of those for which no label fits."""
        found = [(item, item.label) for item in self.items if item.label is not None]
        if rejected_as is not None:
            found += [(item, rejected_as) for item in self.rejected]
        return found


def sort_out(items: Iterable[ReviewedItem], has_backbone: Callable[[int], bool]) -> Examples:
    """Return the items that a head can learn from. `has_backbone`: whether a model version has the right backbone."""
    examples = Examples()
    for item in items:
        if item.vector is None:
            examples.left_out["no_vector"] += 1
        elif not has_backbone(item.model_version_id):
            examples.left_out["other_backbone"] += 1
        elif item.has_other_crop:
            # The label belongs to another part of the picture than the vector.
            examples.left_out["other_crop"] += 1
        elif item.label is None:
            examples.rejected.append(item)
        else:
            examples.items.append(item)
    return examples


def vectors_of(items: Sequence[ReviewedItem]) -> NDArray[np.float32]:
    """Return the vectors of items, float32 [N, length]. Every item has one."""
    return decode_all([item.vector or b"" for item in items]).astype(np.float32)


def groups_of(items: Sequence[ReviewedItem]) -> NDArray[np.int64]:
    """Return the group of each item, int64 [N].

    Items are in one group if they show the same photo (the same bytes, fingerprints that are alike, or a link by the
    linker) or the same product, directly or through other items.
    """
    pictures = {
        item.sha256: PictureToCompare(item.sha256, item.fingerprint, item.aspect)
        for item in items
        if item.sha256 is not None
    }
    clusters = cluster(pictures.values())
    keys: list[list[Hashable]] = [
        [
            ("picture", clusters.get(item.sha256 or "", item.item_id)),
            ("original", item.duplicate_of or item.item_id),
            *([] if item.product is None else [("product", item.product)]),
        ]
        for item in items
    ]
    first: dict[Hashable, int] = {}
    pairs = [(first.setdefault(key, number), number) for number, of_item in enumerate(keys) for key in of_item]
    before, after = np.array(pairs, np.int64).T
    return components(len(items), [(before, after)])


def replaced_labels(labelled: Sequence[tuple[ReviewedItem, str]], model_labels: Sequence[str]) -> set[str]:
    """Return the labels of the model that reviews replace by own labels.

    Of the reviewed pictures that the model gave the label, most get an own label, and no review gives the label itself.
    Such a label does not stay, because its training pictures would contradict the reviews.
    """
    known = set(model_labels)
    given = {label for _, label in labelled}
    of_label: Counter[str] = Counter()
    to_own: Counter[str] = Counter()
    for item, label in labelled:
        of_label[item.predicted] += 1
        to_own[item.predicted] += label not in known
    return {label for label in known - given if to_own[label] and 2 * to_own[label] > of_label[label]}
