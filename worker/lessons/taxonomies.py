"""The taxonomy of a taught version: labels of the model that it starts from, and labels of the owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from classifier.taxonomy import Taxonomy
from db.tables import OwnTaxonomy
from worker.lessons.examples import LEAST_REVIEWS


def taught_taxonomy(
    model: Taxonomy, own: OwnTaxonomy | None, counts: Counter[str], kept: Iterable[str], name: str
) -> Taxonomy:
    """Return the labels that a head is taught: those of `kept`, and those with enough reviewed pictures (`counts`).

    First come those of the model in its order, then those of the owner in theirs.
    """
    wanted = set(kept) | {label for label, count in counts.items() if count >= LEAST_REVIEWS}
    rows: dict[str, list[dict[str, object]]] = model.to_json()
    of_model = {str(row["id"]) for row in rows["labels"]}
    added = [] if own is None else [row for row in own.labels if row["id"] not in of_model]
    labels = [row for row in (*rows["labels"], *added) if row["id"] in wanted]
    used = {row["group"] for row in labels}
    groups: dict[object, object] = {}
    for row in (*rows["groups"], *([] if own is None else own.groups)):
        if row["id"] in used:
            groups.setdefault(row["id"], row)
    return Taxonomy.from_json({"name": name, "version": "1", "groups": list(groups.values()), "labels": labels})


def untaught(counts: Counter[str], taught: Sequence[str]) -> int:
    """Return the reviewed pictures whose label is not taught, because there are too few of them."""
    return sum(count for label, count in counts.items() if label not in set(taught))
