"""Compare two model versions: their figures, and their answers on the same pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answers of two models on the same pictures."""

    pictures: int
    changed: tuple[int, ...]
    """The positions of the pictures that get another label."""
    only_first_right: int
    only_second_right: int
    p_value: float
    """How often chance alone would make a difference at least as large if both models were equally good."""


def compare_answers(first: NDArray[np.float32], second: NDArray[np.float32], labels: NDArray[np.int64]) -> Comparison:
    """Compare scores of two models, float32 [N, labels] each, on the same pictures with the true labels, int64 [N].

    The p-value is that of McNemar's test (McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions or percentages") in its exact form: among the pictures that one model alone gets right, each
    model has half in the mean (binomial, two-sided).
    """
    answers, others = first.argmax(axis=1), second.argmax(axis=1)
    only_first = int(((answers == labels) & (others != labels)).sum())
    only_second = int(((answers != labels) & (others == labels)).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    changed = tuple(np.flatnonzero(answers != others).tolist())
    return Comparison(len(labels), changed, only_first, only_second, p_value)
