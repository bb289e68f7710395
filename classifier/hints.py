"""Hints: numbers of an item that say why a person should look at it first.

All functions take arrays, and none needs a picture. Vectors are compared by their cosine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

NEIGHBOURS = 50
"""Training pictures that vote on a label. On 341 unseen photographs, votes of 50 found wrong predictions best (area
under the ROC curve 0.83, and 0.67 to 0.79 with 5 to 20)."""
KNOWN_NEIGHBOUR = 5
"""The distance to this nearest training picture says how unlike anything known a picture is (Sun et al. 2022,
"Out-of-Distribution Detection with Deep Nearest Neighbors"). docs/hints.md compares it with other distances."""
_KNOWN_SHARE = 0.99
"""The share of the validation pictures that count as known."""
_VOTE_WIDTH = 0.1
"""A vote weighs exp((cosine - 1) / width), so that near neighbours outweigh the far ones of a rare label."""
_CONFIDENT = 0.9
"""The score that a label without a mean must reach, so that the first reviews of a job can already be wrong."""
_BLOCK = 2000
"""Vectors that are compared at a time."""
_SMALLEST = 1e-6


class Reference:
    """The training pictures of a model, to which other pictures are compared."""

    def __init__(self, train: Floats, train_labels: NDArray[np.integer[Any]], validation: Floats) -> None:
        """`train` [N, length] and `validation` [M, length] are vectors, `train_labels` int [N] numbers of labels."""
        self._train = unit(train)
        self._labels = np.asarray(train_labels)
        self._far = float(np.quantile(self._distances(self._cosines(validation)), _KNOWN_SHARE))

    def compare(self, vectors: Floats, labels: NDArray[np.integer[Any]]) -> tuple[Floats, Floats]:
        """Return the agreement and the familiarity, float [N] each, of vectors [N, length] with the labels int [N].

        The agreement is the share of the votes of the nearest training pictures for the label, 0 to 1. The familiarity
        is below 1 if a picture is farther from the training pictures than 99 % of the validation pictures.
        """
        agreement, familiarity = np.empty(len(vectors)), np.empty(len(vectors))
        for start in range(0, len(vectors), _BLOCK):
            part = slice(start, start + _BLOCK)
            cosines = self._cosines(vectors[part])
            agreement[part] = self._votes(cosines, labels[part])
            familiarity[part] = self._far / np.maximum(self._distances(cosines), _SMALLEST)
        return agreement, familiarity

    def _cosines(self, vectors: Floats) -> NDArray[np.float32]:
        return unit(vectors) @ self._train.T

    def _distances(self, cosines: NDArray[np.float32]) -> Floats:
        rank = min(KNOWN_NEIGHBOUR, cosines.shape[1])
        return 1 - np.partition(cosines, -rank, axis=1)[:, -rank]

    def _votes(self, cosines: NDArray[np.float32], labels: NDArray[np.integer[Any]]) -> Floats:
        count = min(NEIGHBOURS, cosines.shape[1])
        nearest = np.argpartition(cosines, -count, axis=1)[:, -count:]
        weights = np.exp((np.take_along_axis(cosines, nearest, axis=1) - 1) / _VOTE_WIDTH)
        agrees = self._labels[nearest] == np.asarray(labels)[:, None]
        votes: Floats = (weights * agrees).sum(axis=1) / weights.sum(axis=1)
        return votes


def margins(scores: Floats) -> Floats:
    """Return by how much the best score of each row, float [N, labels], is above the second."""
    if scores.shape[1] < 2:
        return np.ones(len(scores))
    best = np.partition(scores, -2, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0]


def label_quality(scores: Floats, given: NDArray[np.integer[Any]]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the quality of given labels, float [N], and whether each is probably wrong, bool [N].

    `scores` float [N, labels] are the calibrated scores, and `given` int [N] the labels that people or a catalog gave.
    The quality is the score of the given label (C. Kuan and J. Mueller, "Model-agnostic label quality scoring to detect
    real-world label errors", 2022). A label is probably wrong if the picture counts for another label in the confident
    joint: among the labels whose score reaches the mean score of the pictures that were given them, another one has the
    highest (C. Northcutt et al., "Confident Learning", 2021, equation 1). As in the package cleanlab, a label that is
    also the predicted one is never probably wrong.
    """
    rows = np.arange(len(given))
    quality = scores[rows, given].astype(np.float64)
    sums = np.bincount(given, weights=quality, minlength=scores.shape[1])
    counts = np.bincount(given, minlength=scores.shape[1])
    # A label that nobody gave has no mean.
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), _CONFIDENT)
    confident = np.where(scores >= thresholds, scores, -1.0)
    best = confident.argmax(axis=1)
    return quality, (confident[rows, best] >= 0) & (best != given) & (scores.argmax(axis=1) != given)


def diverse(vectors: Floats, count: int) -> NDArray[np.int64]:
    """Return the rows of up to `count` vectors [N, length] that cover all of them, in the order of their choice.

    Greedy k-center (T. Gonzalez, "Clustering to Minimize the Maximum Intercluster Distance", 1985): the first is the
    one nearest to the mean, and each further one is the farthest from all before. It ends when only copies remain.
    """
    units = unit(vectors)
    chosen = [int((units @ units.mean(axis=0)).argmax())]
    nearest = units @ units[chosen[0]]
    while len(chosen) < min(count, len(units)):
        farthest = int(nearest.argmin())
        if nearest[farthest] > 1 - _SMALLEST:
            break
        chosen.append(farthest)
        nearest = np.maximum(nearest, units @ units[farthest])
    return np.array(chosen, np.int64)


def unit(vectors: Floats) -> NDArray[np.float32]:
    """Return vectors [N, length] with the length 1. Zero vectors stay zero."""
    rows = np.asarray(vectors, np.float32)
    made: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _SMALLEST)
    return made
