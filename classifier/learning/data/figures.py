"""The figures of a dataset: pictures per label and split, their sizes, and which sub-labels go with which labels."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from classifier.learning.data.index import PictureIndex

QUANTILES = {"smallest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "largest": 1.0}


def label_counts(index: PictureIndex) -> dict[str, Counter[str]]:
    """Return the number of pictures of each label by split, in the order of the taxonomy. "" counts the unlabelled."""
    found = {label: Counter[str]() for label in [*index.note.taxonomy.label_ids, ""]}
    grouped = index.table.group_by(["label", "split"]).aggregate([([], "count_all")])
    for row in grouped.to_pylist():
        found[row["label"] or ""][row["split"]] += row["count_all"]
    return found


def size_quantiles(index: PictureIndex) -> dict[str, dict[str, float]]:
    """Return quantiles of width, height and width / height of the readable pictures. Empty if there are none."""
    width, height = sizes(index)
    if not len(width):
        return {}
    measured: dict[str, NDArray[Any]] = {
        "width": width,
        "height": height,
        "width / height": np.round(width / height, 3),
    }
    levels = np.array(list(QUANTILES.values()))
    return {
        name: dict(zip(QUANTILES, np.quantile(values, levels, method="nearest").tolist(), strict=True))
        for name, values in measured.items()
    }


def sizes(index: PictureIndex) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return width and height of the readable pictures: int32 [M] each."""
    readable = index.numbers("width") > 0
    return index.numbers("width")[readable], index.numbers("height")[readable]


def sub_label_matrix(index: PictureIndex) -> NDArray[np.int64]:
    """Return how many pictures have a label (row) together with a sub-label (column): int64 [labels, labels]."""
    labels = index.note.taxonomy.label_ids
    number = {label: position for position, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    column = index.table.column("sub_labels").combine_chunks()
    of_pictures = pc.list_parent_indices(column).to_numpy()
    main = index.label_numbers()[of_pictures]
    sub = np.array([number[label] for label in pc.list_flatten(column).to_pylist()], np.int64)
    np.add.at(matrix, (main[main >= 0], sub[main >= 0]), 1)
    return matrix


def garment_counts(index: PictureIndex) -> dict[str, int]:
    """Return the number of boxes of each garment."""
    garments = pc.struct_field(pc.list_flatten(index.table.column("boxes").combine_chunks()), "garment")
    return {row["values"]: row["counts"] for row in pc.value_counts(garments).to_pylist()}


def all_figures(index: PictureIndex) -> dict[str, Any]:
    """Return all figures as JSON."""
    labels = index.note.taxonomy.label_ids
    matrix = sub_label_matrix(index)
    counts = label_counts(index)
    return {
        "pictures": len(index),
        "labelled": int((index.label_numbers() >= 0).sum()),
        "unreadable": int((~index.numbers("readable")).sum()),
        "products": int(pc.count_distinct(index.table.column("product")).as_py()),
        "labels": {label: dict(row) for label, row in counts.items() if label},
        "unlabelled": dict(counts[""]),
        "sizes": size_quantiles(index),
        "sub_labels": {
            labels[row]: {labels[column]: int(matrix[row, column]) for column in np.flatnonzero(matrix[row])}
            for row in np.flatnonzero(matrix.any(axis=1))
        },
        "garments": garment_counts(index),
    }
