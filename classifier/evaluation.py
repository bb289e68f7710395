"""Evaluate a model: compute metrics from its scores on labelled pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.calibration import calibration_error
from classifier.taxonomy import Taxonomy
from core.confidences import HISTOGRAM_BINS, bin_of

DRAWS, DRAWS_SEED = 1000, 0
"""The number of bootstrap samples, and the seed that draws them."""
CONFIDENCES = "confidences"
"""The member of the metrics that counts the pictures to judge by, by bin of confidence."""
CONFIDENCE = 0.95
"""The share of the bootstrap samples whose figures lie in the interval."""


def evaluate(scores: NDArray[np.float32], labels: NDArray[np.int64], taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the metrics of scores, float32 [N, labels], against the true labels, int64 [N].

    They are accuracy, recall@3, macro-F1 (the mean of F1 = 2PR / (P + R) over the labels), balanced accuracy (the mean
    of the recalls), accuracy of groups, the expected calibration error (Guo et al. 2017, ten bins of equal width), and
    the confusion matrix (rows: true, columns: predicted). Each label has precision, recall, F1 and support. `intervals`
    has the lower and the upper end of the 95 % confidence interval of each of the first five. `confidences` counts the
    pictures by bin of confidence.
    """
    predicted = scores.argmax(axis=1)
    top3 = np.argsort(-scores, axis=1)[:, :3]
    among3 = (top3 == labels[:, None]).any(axis=1)
    count = len(taxonomy.labels)
    # The first matrix has the pictures whose label is not among the first three answers, the second has the others.
    outcomes = np.zeros((2, count, count), np.int64)
    np.add.at(outcomes, (among3.astype(int), labels, predicted), 1)
    confusion = outcomes.sum(axis=0)
    precision, recall, f1 = _of_labels(confusion)
    same_group = _same_group(taxonomy)
    return {
        "pictures": len(labels),
        **_figures(outcomes, same_group),
        "calibration_error": calibration_error(scores, labels),
        "intervals": _intervals(outcomes, same_group),
        "labels": [
            {
                "id": label.id,
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(confusion[i].sum()),
            }
            for i, label in enumerate(taxonomy.labels)
        ],
        "confusion": confusion.tolist(),
        CONFIDENCES: count_confidences(scores),
    }


def count_confidences(scores: NDArray[np.float32]) -> list[int]:
    """Return how many pictures with these scores, float32 [N, labels], are in each bin of confidence."""
    bins = [bin_of(confidence) for confidence in scores.max(axis=1).tolist()]
    counts: list[int] = np.bincount(bins, minlength=HISTOGRAM_BINS).tolist()
    return counts


def _figures(outcomes: NDArray[np.int64], same_group: NDArray[np.bool_]) -> dict[str, float]:
    """Return the figures of the numbers of pictures, int64 [label not or is among the first three, true, predicted]."""
    confusion = outcomes.sum(axis=0)
    _, recall, f1 = _of_labels(confusion)
    # Labels without examples do not count, because they say nothing about the model.
    present = confusion.sum(axis=1) > 0
    pictures = confusion.sum()
    return {
        "accuracy": float(confusion.diagonal().sum() / pictures),
        "recall_at_3": float(outcomes[1].sum() / pictures),
        "macro_f1": float(f1[present].mean()),
        "balanced_accuracy": float(recall[present].mean()),
        "group_accuracy": float(confusion[same_group].sum() / pictures),
    }


def _of_labels(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return precision, recall and F1 of each label. They are 0 if they are undefined."""
    hits = confusion.diagonal().astype(float)
    support, chosen = confusion.sum(axis=1), confusion.sum(axis=0)
    zeros = np.zeros(len(hits))
    precision = np.divide(hits, chosen, out=zeros.copy(), where=chosen > 0)
    recall = np.divide(hits, support, out=zeros.copy(), where=support > 0)
    both = precision + recall
    return precision, recall, np.divide(2 * precision * recall, both, out=zeros, where=both > 0)


def _same_group(taxonomy: Taxonomy) -> NDArray[np.bool_]:
    """Return which labels have the same group: bool [labels, labels]."""
    groups = np.array([label.group for label in taxonomy.labels])
    same: NDArray[np.bool_] = groups[:, None] == groups
    return same


def _intervals(outcomes: NDArray[np.int64], same_group: NDArray[np.bool_]) -> dict[str, list[float]]:
    """Return the percentile bootstrap interval of each figure (Efron and Tibshirani 1993, chapter 13).

    A bootstrap sample draws as many pictures as there are, with repetition. The figures depend only on how many
    pictures have each outcome, and these numbers have a multinomial distribution. So the numbers are drawn directly.
    """
    pictures = int(outcomes.sum())
    samples = np.random.default_rng(DRAWS_SEED).multinomial(pictures, outcomes.ravel() / pictures, DRAWS)
    drawn = [_figures(sample.reshape(outcomes.shape), same_group) for sample in samples]
    tail = (1 - CONFIDENCE) / 2
    return {name: np.quantile([figures[name] for figures in drawn], [tail, 1 - tail]).tolist() for name in drawn[0]}
