"""The learning curve of a head: how accurate it is with fewer reviews, and of which label more would help most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.teaching.fitting import Fitted, Fitter

SHARES = (0.25, 0.5)
"""The shares of the reviews with which the curve is measured, in addition to all of them."""
MORE = 50
"""The number of additional reviews of a label whose use is estimated."""
_PRIOR = 0.5
"""Is added to the numbers of errors, so that none is 0 (Jeffreys' prior)."""
_STEEPEST = 1.0
"""The largest exponent of the power law. Error rates of classifiers fall at most about as fast as 1 / n."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of the curve: heads fitted on so many reviews label this share of the others right."""

    reviews: int
    accuracy: float
    recalls: list[float | None]
    """By label. None: no reviewed picture has the label."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The estimated use of `MORE` reviews of one label."""

    label: int
    reviews: int
    """Reviews of the label now."""
    errors: int
    """Reviewed pictures that have the label and get another one, or get it and have another one."""
    gain: float
    """The estimated increase of the accuracy, as a share of all pictures."""


def learning_curve(fitter: Fitter, fitted: Fitted) -> tuple[list[Point], list[Advice]]:
    """Return the curve, fewest reviews first, and the advice, most useful label first."""
    truth = fitter.reviewed.labels
    whole = fitter.learned_in_fold()
    predicted = {share: fitter.fit_on_share(share, fitted.strength) for share in SHARES}
    predicted[1.0] = fitted.scores.argmax(axis=1)
    points = [
        Point(round(share * whole), float((found == truth).mean()), _recalls(found, truth, fitter.count))
        for share, found in sorted(predicted.items())
    ]
    half, full = (_errors(predicted[share], truth, fitter.count) for share in (0.5, 1.0))
    return points, _advise(half, full, np.bincount(truth, minlength=fitter.count))


def _recalls(predicted: NDArray[np.int64], truth: NDArray[np.int64], labels: int) -> list[float | None]:
    return [
        float((predicted[truth == label] == label).mean()) if (truth == label).any() else None
        for label in range(labels)
    ]


def _errors(predicted: NDArray[np.int64], truth: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Return the errors that concern each label, int64 [labels]. Each error concerns two."""
    wrong = predicted != truth
    return np.bincount(truth[wrong], minlength=labels) + np.bincount(predicted[wrong], minlength=labels)


def _advise(half: NDArray[np.int64], full: NDArray[np.int64], counts: NDArray[np.int64]) -> list[Advice]:
    """Extrapolate the errors of each label by a power law through its errors at half of the reviews and at all.

    Learning curves are well described by error(n) = a n^-b (Hestness et al. 2017, "Deep Learning Scaling is
    Predictable, Empirically"). With b from two points, `MORE` reviews multiply the error by (n / (n + MORE))^b. An
    error concerns two labels, so each of them counts half of it.
    """
    slopes = np.clip(np.log2((half + _PRIOR) / (full + _PRIOR)), 0.0, _STEEPEST)
    kept = (np.maximum(counts, 1) / (counts + MORE)) ** slopes
    gains = full / 2 * (1 - kept) / counts.sum()
    advice = [Advice(label, int(counts[label]), int(full[label]), float(gains[label])) for label in range(len(counts))]
    return sorted(advice, key=lambda one: (-one.gain, -one.errors, one.reviews))
