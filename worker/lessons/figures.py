"""Figures of a taught head, with intervals by bootstrap over groups of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS, SEED, TAIL = 1000, 0, 0.025
"""Bootstrap samples, the seed that draws them, and the share of them beyond each end of an interval."""


def group_intervals(
    predicted: NDArray[np.int64], truth: NDArray[np.int64], groups: NDArray[np.int64], labels: int
) -> dict[str, list[float]]:
    """Return the 95 % percentile intervals of accuracy and macro-F1 (Efron and Tibshirani 1993, chapter 13).

    Groups are drawn and not pictures, because the pictures of a group are right or wrong together.
    """
    numbers = np.unique(groups, return_inverse=True)[1]
    count = int(numbers.max()) + 1
    random = np.random.default_rng(SEED)
    cells = truth * labels + predicted
    drawn = []
    for _ in range(DRAWS):
        weights = random.multinomial(count, np.full(count, 1 / count))[numbers]
        confusion = np.bincount(cells, weights, labels * labels).reshape(labels, labels)
        drawn.append((accuracy_of(confusion), macro_f1_of(confusion)))
    low, high = np.quantile(np.array(drawn), [TAIL, 1 - TAIL], axis=0)
    return {"accuracy": [float(low[0]), float(high[0])], "macro_f1": [float(low[1]), float(high[1])]}


def accuracy_of(confusion: NDArray[Any]) -> float:
    """Return the share of the pictures on the diagonal of a confusion matrix (rows: true, columns: predicted)."""
    return float(confusion.diagonal().sum() / max(confusion.sum(), 1))


def macro_f1_of(confusion: NDArray[Any]) -> float:
    """Return the mean of F1 = 2 TP / (2 TP + FP + FN) over the labels that pictures have."""
    support = confusion.sum(axis=1)
    both = support + confusion.sum(axis=0)
    f1 = 2 * confusion.diagonal() / np.maximum(both, 1)
    return float(f1[support > 0].mean()) if (support > 0).any() else 0.0
