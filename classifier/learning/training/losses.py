"""The loss of a recipe, from log scores: logarithms of the scores that a head gives to the labels.

Log scores are logits up to a constant per picture, so every formula for logits applies to every head. The logarithm is
computed by the head (`log_scores`), because that of a score that was rounded to 0 would have no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from classifier.learning.training.recipe_parts import Loss

LossFunction = Callable[[Any, Any], Any]

_SMALLEST_REST = 1e-7
"""The least value of 1 - p in the focal loss. The gradient of 0 to a power below 1 would be infinite."""


def label_loss(options: Loss, counts: NDArray[np.float64], drawn: NDArray[np.float64]) -> LossFunction:
    """Return the loss of targets and log scores, both float [N, labels]: float [N], one value per picture.

    Targets sum to 1 and may be mixed. `counts` is the number of training pictures of each label, and `drawn` the
    number of its pictures that the sampler draws in an epoch. A label without pictures counts as one with one picture.
    """
    weights = np.asarray(_label_weights(options.class_balance, counts), np.float32)
    adjustment = np.asarray(options.logit_adjustment * np.log(_shares(drawn)), np.float32)
    smoothing, gamma = options.label_smoothing, options.focal

    def loss(targets: Any, log_scores: Any) -> Any:
        own_weights = keras.ops.sum(targets * weights, axis=-1)
        smoothed = targets * (1.0 - smoothing) + smoothing / len(weights)
        adjusted = log_scores
        if options.logit_adjustment:
            adjusted = keras.ops.log_softmax(log_scores + adjustment, axis=-1)
        terms = -smoothed * adjusted
        if gamma:
            rest = keras.ops.maximum(-keras.ops.expm1(adjusted), _SMALLEST_REST)
            terms = terms * keras.ops.power(rest, gamma)
        return own_weights * keras.ops.sum(terms, axis=-1)

    return loss


def with_sub_labels(main: LossFunction, label_count: int) -> LossFunction:
    """Return the loss of a head with sub-labels: `main` for the first half, plus cross-entropy of the second half.

    The second half of the answers are logits of independent sub-labels. Their loss is the mean over the labels.
    """

    def loss(targets: Any, answers: Any) -> Any:
        wanted, logits = targets[:, label_count:], answers[:, label_count:]
        # -t log s - (1 - t) log(1 - s), with the sigmoid s of the logit, as max(x, 0) - x t + log(1 + exp(-|x|)).
        terms = keras.ops.relu(logits) - logits * wanted + keras.ops.log1p(keras.ops.exp(-keras.ops.abs(logits)))
        return main(targets[:, :label_count], answers[:, :label_count]) + keras.ops.mean(terms, axis=-1)

    return loss


def _label_weights(beta: float, counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weight of each label, the inverse of its effective number of pictures (Cui et al. 2019)."""
    weights = (1.0 - beta) / (1.0 - beta ** np.maximum(counts, 1.0))
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    present = np.maximum(counts, 1.0)
    shares: NDArray[np.float64] = present / present.sum()
    return shares
