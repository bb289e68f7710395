"""Calibrate scores: fit a temperature, and measure how far the confidences are from the accuracy.

A calibrated model is right in 80 % of the pictures that it scores with 0.8. Temperature scaling (Guo et al. 2017, "On
Calibration of Modern Neural Networks") divides all logits by one number T. It changes confidences but no label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from core.errors import DatasetInvalid

BINS = 10
"""The number of bins of the calibration error. They have equal width."""
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""The fit searches between these temperatures. The best ones in Guo et al. 2017 lie between 0.8 and 4."""
TEMPERATURE, CALIBRATED_ON = "temperature", "temperature_pictures"
CALIBRATION_ERROR, ERROR_BEFORE = "calibration_error", "calibration_error_before"
"""The keys of a calibrated model in `metrics.json`."""
UNCALIBRATED = "uncalibrated"
"""The key of the reason why a trained model has no temperature."""
LEAST_PICTURES = 30
"""Fewer pictures determine no temperature. With 30 simulated ones, the fitted one is off by a fifth on average."""
HALVES_SEED = 0
"""The seed that draws the halves of the cross-fitting."""
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature, and the expected calibration error without it and with it."""

    temperature: float
    """Fitted on all pictures."""
    error_before: float
    error_after: float
    """Measured by cross-fitting: the scores of each half are divided by the temperature of the other half."""
    pictures: int


def calibrate(scores: NDArray[Any], labels: NDArray[np.int64], clusters: Sequence[str] | None = None) -> Calibration:
    """Return the temperature of softmax scores, float [N, labels], for the true labels, int64 [N].

    `clusters` has the name of each picture's cluster. A cluster is in one half only, because a temperature that was
    fitted on near-duplicates of a picture is not independent of it.

    Raises:
        DatasetInvalid: the pictures do not determine a temperature.
    """
    if len(labels) < LEAST_PICTURES:
        raise DatasetInvalid(f"a temperature needs at least {LEAST_PICTURES} labelled pictures, got {len(labels)}")
    logits = logits_of(scores)
    first = _first_half(len(labels), clusters)
    tempered = np.empty(scores.shape, np.float64)
    for half in (first, ~first):
        tempered[half] = softmax(logits[half] / fit_temperature(logits[~half], labels[~half]), axis=1)
    return Calibration(
        fit_temperature(logits, labels),
        calibration_error(scores, labels),
        calibration_error(tempered, labels),
        len(labels),
    )


def calibration_metrics(found: Calibration, earlier: float = 1.0) -> dict[str, float | int | str]:
    """Return the addition to the metrics of a calibrated model. `earlier`: the temperature that it has already."""
    return {
        TEMPERATURE: earlier * found.temperature,
        CALIBRATED_ON: found.pictures,
        ERROR_BEFORE: found.error_before,
        CALIBRATION_ERROR: found.error_after,
    }


def fit_temperature(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Return the temperature with the least cross-entropy of scores and labels (Guo et al. 2017, section 4.2).

    The cross-entropy is the mean of -log of the score of the true label.

    Raises:
        DatasetInvalid: the minimum lies outside the searched range. This happens if the model gets every picture right
            (then the smallest temperature is the best) or does not know the labels at all (then the largest is).
    """

    def loss(log_temperature: float) -> float:
        chances = log_softmax(logits / math.exp(log_temperature), axis=1)
        return -float(chances[np.arange(len(labels)), labels].mean())

    right = int((logits.argmax(axis=1) == labels).sum())
    # Without a wrong picture, the loss falls to zero with T, and so it has no minimum.
    if right < len(labels):
        # The loss is convex in 1 / T, and therefore has one minimum in log T, too.
        low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
        found = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)
        if min(found - low, high - found) > 1e-3:
            return math.exp(found)
    raise DatasetInvalid(
        f"no temperature between {MIN_TEMPERATURE} and {MAX_TEMPERATURE} fits: expected pictures of which the model "
        f"labels most correctly and some wrongly, got {right} correct of {len(labels)}"
    )


def logits_of(scores: ArrayLike) -> NDArray[np.float64]:
    """Return logits, float64 [N, labels], of softmax scores. They differ from the network's by a constant per picture.

    Such a constant changes neither the scores nor the temperature.
    """
    return np.log(np.maximum(np.asarray(scores, np.float64), _SMALLEST))


def calibration_error(scores: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """Return the expected calibration error (Guo et al. 2017, equation 3) of scores, float [N, labels].

    It is the mean difference between confidence and accuracy over the bins, weighted by the pictures in each.
    """
    confidence, correct = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, correct.astype(np.float64) - confidence, BINS)
    return float(np.abs(gaps).sum() / len(labels))


def _first_half(count: int, clusters: Sequence[str] | None) -> NDArray[np.bool_]:
    """Return which pictures are in the first half, bool [N]. Whole clusters are drawn until it has half of them."""
    numbers = np.arange(count) if clusters is None else np.unique(np.array(clusters), return_inverse=True)[1]
    sizes = np.bincount(numbers)
    order = np.random.default_rng(HALVES_SEED).permutation(len(sizes))
    # A cluster is drawn if its middle lies in the first half of the pictures.
    middles = np.cumsum(sizes[order]) - sizes[order] / 2
    drawn = np.zeros(len(sizes), np.bool_)
    drawn[order] = middles < count / 2
    first: NDArray[np.bool_] = drawn[numbers]
    return first
