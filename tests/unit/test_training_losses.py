"""The losses, samplers and schedules of training recipes, compared with the formulas of their papers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.learning.training.losses import label_loss, with_sub_labels
from classifier.learning.training.optimizers import learning_rates, make_optimizer
from classifier.learning.training.recipe_parts import (
    Constant,
    Cosine,
    Halving,
    Loss,
    Optimizer,
    Restarts,
    Sampler,
    Schedule,
)
from classifier.learning.training.sampling import drawn_counts, epoch_order

COUNTS = np.array([80.0, 15.0, 5.0])
SHARES = COUNTS / COUNTS.sum()
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], np.float32)
ONE_HOT = np.array([[0, 0, 1], [0, 1, 0]], np.float32)
MIXED = np.array([[0.7, 0, 0.3], [0.2, 0.8, 0]], np.float32)


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    values = logits.astype(np.float64)
    return np.asarray(values - np.log(np.exp(values).sum(axis=-1, keepdims=True)))


def loss(options: Loss, targets: NDArray[np.float32], log_scores: NDArray[Any]) -> NDArray[np.float32]:
    values = label_loss(options, COUNTS, COUNTS)(
        keras.ops.convert_to_tensor(targets), keras.ops.convert_to_tensor(log_scores.astype(np.float32))
    )
    return np.asarray(keras.ops.convert_to_numpy(values))


@pytest.mark.parametrize("targets", [ONE_HOT, MIXED])
def test_label_smoothing_is_that_of_keras(targets: NDArray[np.float32]) -> None:
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction=None)
    ours = loss(Loss(label_smoothing=0.1), targets, log_softmax(LOGITS))
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(theirs(targets, LOGITS)), rtol=1e-5)


@pytest.mark.parametrize("targets", [ONE_HOT, MIXED])
def test_the_focal_loss_is_that_of_keras(targets: NDArray[np.float32]) -> None:
    theirs = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, from_logits=True, reduction=None)
    ours = loss(Loss(focal=2.0), targets, log_softmax(LOGITS))
    np.testing.assert_allclose(ours, keras.ops.convert_to_numpy(theirs(targets, LOGITS)), rtol=1e-5)


def test_the_class_balanced_loss_weighs_a_label_by_its_effective_number() -> None:
    beta = 0.9
    effective = (1 - beta**COUNTS) / (1 - beta)
    weights = (1 / effective) / (1 / effective).sum() * 3
    expected = weights[[2, 1]] * -log_softmax(LOGITS)[[0, 1], [2, 1]]
    np.testing.assert_allclose(loss(Loss(class_balance=beta), ONE_HOT, log_softmax(LOGITS)), expected, rtol=1e-5)


def test_logit_adjustment_adds_the_logarithm_of_the_share_whatever_constant_the_logits_have() -> None:
    adjusted = log_softmax(LOGITS + 1.5 * np.log(SHARES))
    expected = -adjusted[[0, 1], [2, 1]]
    for log_scores in (log_softmax(LOGITS), LOGITS + 3.0):
        np.testing.assert_allclose(loss(Loss(logit_adjustment=1.5), ONE_HOT, log_scores), expected, rtol=1e-5)


def test_losses_combine_and_stay_finite_with_their_gradients_for_scores_of_0_and_1() -> None:
    options = Loss(label_smoothing=0.1, focal=0.5, class_balance=0.99, logit_adjustment=1.0)
    log_scores = keras.Variable(np.array([[0.0, -900.0, -900.0], [-900.0, 0.0, -900.0]], np.float32))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = tf.reduce_sum(label_loss(options, np.array([9.0, 1.0, 0.0]), COUNTS)(ONE_HOT, log_scores.value))
    gradient = tape.gradient(value, log_scores.value)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    # A wrong label whose score was rounded to 0 is still learned.
    assert float(gradient[0, 2]) < 0


def test_sub_labels_have_a_binary_cross_entropy_of_their_own() -> None:
    sub_labels, sub_logits = np.array([[1, 0, 1], [0, 0, 0]], np.float32), LOGITS[::-1] * 50
    both = with_sub_labels(label_loss(Loss(), COUNTS, COUNTS), 3)(
        np.hstack([ONE_HOT, sub_labels]), np.hstack([log_softmax(LOGITS), sub_logits]).astype(np.float32)
    )
    theirs = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(sub_labels, sub_logits)
    expected = -log_softmax(LOGITS)[[0, 1], [2, 1]] + keras.ops.convert_to_numpy(theirs)
    np.testing.assert_allclose(both, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("sampler", "expected"),
    # The square roots of 64, 16 and 4 are 8, 4 and 2: shares of 4/7, 2/7 and 1/7.
    [("natural", [64, 16, 4, 0]), ("square_root", [48, 24, 12, 0]), ("balanced", [28, 28, 28, 0])],
)
def test_a_sampler_draws_each_label_as_often_as_it_says(sampler: Sampler, expected: list[int]) -> None:
    labels = np.repeat([0, 1, 2], [64, 16, 4])
    assert drawn_counts(np.bincount(labels, minlength=4), sampler).tolist() == expected
    order = epoch_order(labels, sampler, np.random.default_rng(1))
    assert np.bincount(labels[order], minlength=4).tolist() == expected
    # Pictures of a label are drawn equally often, up to one.
    for label in range(3):
        times = np.bincount(order, minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1
    assert not np.array_equal(order, epoch_order(labels, sampler, np.random.default_rng(2)))


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (Constant(), [0.1, 0.1, 0.1, 0.1, 0.1]),
        (Halving(kind="halving", every=2), [0.1, 0.1, 0.05, 0.05, 0.025]),
        (Cosine(kind="cosine"), [0.1 * (1 + np.cos(np.pi * epoch / 5)) / 2 for epoch in range(5)]),
        (
            Cosine(kind="cosine", warm_up=0.4),
            [0, 0.05, 0.1, *(0.1 * (1 + np.cos(np.pi * share)) / 2 for share in (1 / 3, 2 / 3))],
        ),
        (
            Restarts(kind="restarts", period=1, growth=3.0),
            [0.1, 0.1, 0.1 * (1 + np.cos(np.pi / 3)) / 2, 0.1 * (1 + np.cos(2 * np.pi / 3)) / 2, 0.1],
        ),
    ],
    ids=["constant", "halving", "cosine", "warm-up", "restarts"],
)
def test_the_learning_rate_follows_its_schedule(schedule: Schedule, expected: list[float]) -> None:
    rates = learning_rates(0.1, schedule, epochs=5, steps_per_epoch=20)
    at = [float(rates(epoch * 20)) if callable(rates) else rates for epoch in range(5)]
    np.testing.assert_allclose(at, expected, atol=1e-4)


def test_a_recipe_chooses_the_optimizer_of_keras() -> None:
    sgd = make_optimizer(Optimizer(kind="sgd", momentum=0.9, weight_decay=0.01), 0.1, Constant(), 1, 1, average=0.5)
    assert isinstance(sgd, keras.optimizers.SGD)
    assert (sgd.momentum, sgd.weight_decay, sgd.use_ema, sgd.ema_momentum) == (0.9, 0.01, True, 0.5)
    adam = make_optimizer(Optimizer(kind="adam", clip_norm=2.0), 0.1, Constant(), 1, 1, average=0.0)
    assert type(adam) is keras.optimizers.Adam
    assert (adam.global_clipnorm, adam.weight_decay, adam.use_ema) == (2.0, None, False)
    assert type(make_optimizer(Optimizer(), 0.1, Constant(), 1, 1, average=0.0)) is keras.optimizers.AdamW
