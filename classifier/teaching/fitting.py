"""Fit a head on stored vectors: logistic regression with class weights, cross-validated, with a temperature.

The reviewed pictures are divided into folds. Pictures of one group (the same photo, or the same product) are in one
fold, because a head that has seen a picture is no independent judge of its duplicate. Each fold is scored by heads that
were fitted on the others. These scores choose the regularisation, fit the temperature and give all figures.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from classifier.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE, Calibration, calibrate
from classifier.teaching.head import Head
from core.errors import DatasetInvalid

FOLDS = 5
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""The inverse strengths of the regularisation (`C` of scikit-learn) that are tried, the strongest one first."""
COMPONENTS = 128
"""Principal components that the vectors are projected on before a fit, which makes fits several times faster. With
1,000 and 2,000 examples of garments@3, the accuracy on unseen pictures was the same as with all 1,280 dimensions."""
SEED = 0
_TOLERANCE, _MAX_STEPS = 1e-3, 200
_LEAST_LOGIT = -30.0
"""The logit of a label of which a fold has no example, far below those of all others."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Vectors, float [N, length], and their labels, int64 [N]."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Reviewed(Examples):
    """Examples from reviews."""

    groups: NDArray[np.int64]
    """The group of each picture, int64 [N]. Pictures of one group are never on two sides of a split."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted head, and what the folds say about it."""

    head: Head
    """Fitted on all examples. Its logits are divided by the temperature."""
    scores: NDArray[np.float64]
    """The scores of the reviewed pictures, float64 [N, labels], by heads that have not seen their group. Calibrated."""
    strength: float
    """The chosen one of `STRENGTHS`."""
    temperature: float
    calibration: Calibration | None
    """The errors without and with the temperature. None if the reviews are too few, or all of them are labelled right,
    to determine one. The temperature is then a cautious one."""


class Fitter:
    """Fits heads for `labels` labels on reviewed pictures. `kept` are examples that are learned from and not judged."""

    def __init__(self, reviewed: Reviewed, kept: Examples | None, labels: int) -> None:
        """Raises DatasetInvalid if there are fewer than two labels or reviewed groups of pictures."""
        if labels < 2:
            raise DatasetInvalid(f"a head needs examples of at least two labels, got {labels}")
        groups = len(np.unique(reviewed.groups))
        if groups < 2:
            raise DatasetInvalid(f"a head needs reviews of at least two different pictures or products, got {groups}")
        self.reviewed, self.count = reviewed, labels
        everything = [reviewed.vectors] if kept is None else [reviewed.vectors, kept.vectors]
        self._projection = _Projection.of(np.concatenate(everything))
        self._x = self._projection.apply(reviewed.vectors)
        self._kept_x = (
            np.empty((0, self._x.shape[1]), np.float32) if kept is None else self._projection.apply(kept.vectors)
        )
        self._kept_y = np.empty(0, np.int64) if kept is None else kept.labels
        folds = min(FOLDS, groups)
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
        self._folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = [
            (learned, judged) for learned, judged in _split(splitter, reviewed) if len(judged)
        ]

    def fit(self) -> Fitted:
        """Choose the regularisation, fit the head on all examples, and fit a temperature."""
        logits = {strength: np.empty((len(self.reviewed), self.count)) for strength in STRENGTHS}
        for learned, judged in self._folds:
            for strength, model in self._path(learned):
                logits[strength][judged] = _logits(model, self._x[judged], self.count)
        losses = {strength: self._loss(found) for strength, found in logits.items()}
        strength = min(STRENGTHS, key=lambda one: losses[one])
        found = logits[strength]
        *_, (_, model) = self._path(np.arange(len(self.reviewed)), (strength,))
        head = self._projection.head(model, self.count)
        calibration = self._calibrate(found)
        temperature = self._smoothed_temperature(found) if calibration is None else calibration.temperature
        return Fitted(head.tempered(temperature), _softmax(found / temperature), strength, temperature, calibration)

    def fit_on_share(self, share: float, strength: float) -> NDArray[np.int64]:
        """Return the labels, int64 [N], that the reviewed pictures get from heads fitted on a share of the groups."""
        predicted = np.empty(len(self.reviewed), np.int64)
        random = np.random.default_rng(SEED)
        for learned, judged in self._folds:
            groups = random.permutation(np.unique(self.reviewed.groups[learned]))
            chosen = groups[: max(1, round(share * len(groups)))]
            part = learned[np.isin(self.reviewed.groups[learned], chosen)]
            *_, (_, model) = self._path(part, (strength,))
            predicted[judged] = _logits(model, self._x[judged], self.count).argmax(axis=1)
        return predicted

    def learned_in_fold(self) -> int:
        """Return the number of reviewed pictures that a head of a fold is fitted on, on average."""
        return round(sum(len(learned) for learned, _ in self._folds) / len(self._folds))

    def _calibrate(self, logits: NDArray[np.float64]) -> Calibration | None:
        try:
            groups = [str(group) for group in self.reviewed.groups]
            return calibrate(_softmax(logits), self.reviewed.labels, groups)
        except DatasetInvalid:
            return None

    def _smoothed_temperature(self, logits: NDArray[np.float64]) -> float:
        """Return the temperature for targets (n + 1) / (n + 2) instead of 1, for n pictures.

        These targets, of Platt 1999 ("Probabilistic Outputs for Support Vector Machines", section 2.2), determine a
        temperature even if every picture is labelled right.
        """
        count = len(self.reviewed)
        targets = np.full(logits.shape, 1 / (count + 2) / (self.count - 1))
        targets[np.arange(count), self.reviewed.labels] = (count + 1) / (count + 2)

        def loss(log_temperature: float) -> float:
            return -float((targets * log_softmax(logits / math.exp(log_temperature), axis=1)).sum(axis=1).mean())

        bounds = (math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE))
        return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)

    def _loss(self, logits: NDArray[np.float64]) -> float:
        chances = log_softmax(logits, axis=1)
        return -float(chances[np.arange(len(self.reviewed)), self.reviewed.labels].mean())

    def _path(
        self, learned: NDArray[np.int64], strengths: Sequence[float] = STRENGTHS
    ) -> Iterator[tuple[float, LogisticRegression]]:
        """Yield a fitted model for each strength. Each fit begins with the weights of the one before."""
        x = np.concatenate((self._x[learned], self._kept_x))
        y = np.concatenate((self.reviewed.labels[learned], self._kept_y))
        model = LogisticRegression(
            class_weight="balanced", warm_start=True, tol=_TOLERANCE, max_iter=_MAX_STEPS, random_state=SEED
        )
        if len(np.unique(y)) < 2:
            raise DatasetInvalid("expected reviews of at least two labels that show more than one picture or product")
        for strength in strengths:
            model.set_params(C=strength)
            model.fit(x, y)
            yield strength, model


@dataclass(frozen=True, slots=True)
class _Projection:
    """The mean and the principal components of vectors: x -> (x - mean) · components."""

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.float32]) -> _Projection:
        found = PCA(min(COMPONENTS, *vectors.shape), svd_solver="randomized", random_state=SEED).fit(vectors)
        # The vectors get a length of about 1, so that the strengths of the regularisation suit every backbone.
        scale = np.sqrt(max(float(found.explained_variance_.sum()), float(np.finfo(np.float32).tiny)))
        return cls(found.mean_.astype(np.float32), np.ascontiguousarray(found.components_.T / scale, np.float32))

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return ((vectors - self.mean) @ self.components).astype(np.float32)

    def head(self, model: LogisticRegression, labels: int) -> Head:
        """Return the head that gives vectors the logits that the model gives their projections."""
        coefficients, intercept = _weights(model, labels)
        weights = self.components @ coefficients
        return Head(weights.astype(np.float32), (intercept - self.mean @ weights).astype(np.float32))


def _weights(model: LogisticRegression, labels: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the weights, float64 [components, labels], and the bias, float64 [labels], of a fitted model."""
    coefficients, intercept = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        # scikit-learn then has one logit: that of the second label, where the first one has 0.
        coefficients = np.concatenate((np.zeros_like(coefficients), coefficients))
        intercept = np.concatenate((np.zeros_like(intercept), intercept))
    weights = np.zeros((coefficients.shape[1], labels))
    bias = np.full(labels, _LEAST_LOGIT)
    weights[:, model.classes_], bias[model.classes_] = coefficients.T, intercept
    return weights, bias


def _logits(model: LogisticRegression, x: NDArray[np.float32], labels: int) -> NDArray[np.float64]:
    weights, bias = _weights(model, labels)
    logits: NDArray[np.float64] = x @ weights + bias
    return logits


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = np.exp(log_softmax(logits, axis=1))
    return scores


def _split(splitter: StratifiedGroupKFold, reviewed: Reviewed) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    # A label with fewer groups than folds is missing in some of them, of which scikit-learn warns or which it refuses.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield from splitter.split(reviewed.vectors, reviewed.labels, reviewed.groups)
