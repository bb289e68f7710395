"""Evaluate a model: compute metrics from its scores on labelled pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.taxonomy import Taxonomy


def evaluate(scores: NDArray[np.float32], labels: NDArray[np.int64], taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the metrics of scores, float32 [N, labels], against the true labels, int64 [N].

    They are accuracy, recall@3, macro-F1 (the mean of F1 = 2PR / (P + R) over the labels), balanced accuracy (the mean
    of the recalls), accuracy of groups, the expected calibration error (Guo et al. 2017, ten bins of equal width), and
    the confusion matrix (rows: true, columns: predicted). Each label has precision, recall, F1 and support.
    """
    predicted = scores.argmax(axis=1)
    count = len(taxonomy.labels)
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    hits = confusion.diagonal().astype(float)
    support, chosen = confusion.sum(axis=1), confusion.sum(axis=0)
    recall = np.divide(hits, support, out=np.zeros(count), where=support > 0)
    precision = np.divide(hits, chosen, out=np.zeros(count), where=chosen > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros(count), where=both > 0)
    # Labels without examples do not count, because they say nothing about the model.
    present = support > 0
    groups = np.array([[group.id for group in taxonomy.groups].index(label.group) for label in taxonomy.labels])
    top3 = np.argsort(-scores, axis=1)[:, :3]
    return {
        "pictures": len(labels),
        "accuracy": float(hits.sum() / len(labels)),
        "recall_at_3": float((top3 == labels[:, None]).any(axis=1).mean()),
        "macro_f1": float(f1[present].mean()),
        "balanced_accuracy": float(recall[present].mean()),
        "group_accuracy": float((groups[predicted] == groups[labels]).mean()),
        "calibration_error": _calibration_error(scores.max(axis=1), predicted == labels),
        "labels": [
            {
                "id": label.id,
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, label in enumerate(taxonomy.labels)
        ],
        "confusion": confusion.tolist(),
    }


def _calibration_error(confidence: NDArray[np.float32], correct: NDArray[np.bool_]) -> float:
    bins = np.minimum((confidence * 10).astype(int), 9)
    error = 0.0
    for number in range(10):
        inside = bins == number
        if inside.any():
            gap = abs(float(correct[inside].mean()) - float(confidence[inside].mean()))
            error += gap * float(inside.mean())
    return error
