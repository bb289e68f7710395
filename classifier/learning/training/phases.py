"""Train a model: first a new head on cached features, then the head together with the upper part of the backbone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np

from classifier.learning.data.pictures import Pictures
from classifier.learning.training.batches import (
    BatchOrder,
    make_batches,
    make_batches_in_order,
    make_feature_batches,
)
from classifier.learning.training.network import Network, build_network
from classifier.learning.training.recipe import Recipe
from classifier.taxonomy import Taxonomy


class Reporter(Protocol):
    """Receives the progress of a training."""

    def phase(self, name: str, steps: int) -> None:
        """Note that a phase of `steps` steps begins."""
        ...

    def step(self, note: str) -> None:
        """Note that a step is done. `note` describes the state in a few words."""
        ...


@dataclass(frozen=True, slots=True)
class Curves:
    """Loss and accuracy after each epoch of the fine-tuning."""

    loss: list[float]
    accuracy: list[float]
    validation_loss: list[float]
    validation_accuracy: list[float]


def train(
    recipe: Recipe, taxonomy: Taxonomy, training: Pictures, validation: Pictures, reporter: Reporter
) -> tuple[Any, Curves]:
    """Train a model for the labels of a taxonomy: uint8 pixels to the scores of its head.

    If the backbone starts from random weights, there is no head phase, and the second phase trains all layers.

    Args:
        training: pictures with the side `recipe.crop_from`.
        validation: pictures with the side `recipe.size`. The model is never trained on them.

    Raises:
        DatasetInvalid: the head learns sub-labels, and no picture has one.
        WeightsUnavailable: the weights of the backbone cannot be loaded.
    """
    keras.utils.set_random_seed(recipe.seed)
    network = build_network(recipe, taxonomy)
    network.check(training)
    if network.backbone.pretrained:
        train_head = _train_new_parts if network.backbone.has_new_part else _train_head
        train_head(recipe, network, training, reporter)
    curves = _fine_tune(recipe, network, training, validation, reporter)
    return network.model, curves


def _train_head(recipe: Recipe, network: Network, training: Pictures, reporter: Reporter) -> None:
    """Train the head on features of the backbone, which are computed once."""
    pooled = keras.Model(network.model.input, network.pooled)
    targets = network.targets(training)
    reporter.phase("features", math.ceil(len(training) / recipe.batch))
    features = np.empty((len(training), *network.pooled.shape[1:]), np.float32)
    start = 0
    for pixels, _ in make_batches_in_order(recipe, training, targets):
        features[start : start + len(pixels)] = pooled.predict_on_batch(pixels)
        start += len(pixels)
        reporter.step("")
    head = keras.Model(network.pooled, network.trained.output)
    order = BatchOrder(len(training), recipe.batch, recipe.seed)
    steps = range(order.steps_per_epoch * recipe.head.epochs)
    batches = make_feature_batches(features, training, targets, order, steps)
    _fit_head(recipe, network, head, batches, order.steps_per_epoch, reporter)


def _train_new_parts(recipe: Recipe, network: Network, training: Pictures, reporter: Reporter) -> None:
    """Train the head together with the new part of the backbone. The features change, so they are not computed once."""
    for layer in network.trained.layers:
        layer.trainable = layer.name not in network.backbone.pretrained
    order = BatchOrder(len(training), recipe.batch, recipe.seed)
    steps = range(order.steps_per_epoch * recipe.head.epochs)
    batches = make_batches(recipe, training, network.targets(training), order, steps, changed=False)
    _fit_head(recipe, network, network.trained, batches, order.steps_per_epoch, reporter)


def _fit_head(
    recipe: Recipe, network: Network, model: Any, batches: Any, steps_per_epoch: int, reporter: Reporter
) -> None:
    optimizer = keras.optimizers.AdamW(recipe.head.learning_rate, weight_decay=recipe.weight_decay)
    model.compile(optimizer, network.loss(_loss(recipe)), jit_compile=False)
    reporter.phase("head", recipe.head.epochs)
    report = keras.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: reporter.step(f"loss {logs['loss']:.3f}"))
    model.fit(
        batches,
        epochs=recipe.head.epochs,
        steps_per_epoch=steps_per_epoch,
        # The batches are already shuffled.
        shuffle=False,
        callbacks=[report],
        verbose=0,
    )


def _fine_tune(
    recipe: Recipe, network: Network, training: Pictures, validation: Pictures, reporter: Reporter
) -> Curves:
    model, backbone = network.trained, network.backbone
    for layer in model.layers:
        early = backbone.block_of(layer.name) < recipe.fine_tune.from_block
        freezable = early or isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not (freezable and layer.name in backbone.pretrained)
    targets = network.targets(training)
    order = BatchOrder(len(training), recipe.batch, recipe.seed)
    steps = order.steps_per_epoch
    model.compile(_optimizer(recipe, steps), network.loss(_loss(recipe)), metrics=[network.accuracy], jit_compile=False)
    reporter.phase("fine-tuning", steps * recipe.fine_tune.epochs)
    history = model.fit(
        make_batches(recipe, training, targets, order, range(steps * recipe.fine_tune.epochs)),
        epochs=recipe.fine_tune.epochs,
        steps_per_epoch=steps,
        # The batches are already shuffled.
        shuffle=False,
        validation_data=make_batches_in_order(recipe, validation, network.targets(validation)),
        # The validation uses the averaged weights, and the model has them after fit().
        callbacks=[keras.callbacks.SwapEMAWeights(), _ReportingCallback(reporter)],
        verbose=0,
    ).history
    return Curves(history["loss"], history["accuracy"], history["val_loss"], history["val_accuracy"])


def _optimizer(recipe: Recipe, steps_per_epoch: int) -> Any:
    steps = steps_per_epoch * recipe.fine_tune.epochs
    warm_up = int(steps * recipe.fine_tune.warm_up)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=recipe.fine_tune.learning_rate, warmup_steps=warm_up
    )
    return keras.optimizers.AdamW(
        schedule,
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clip_norm,
        use_ema=True,
        ema_momentum=recipe.fine_tune.average,
    )


def _loss(recipe: Recipe) -> Any:
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)


class _ReportingCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports every step, and the validation accuracy after every epoch."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter
        self._validated = ""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._reporter.step(f"loss {(logs or {}).get('loss', math.nan):.3f}{self._validated}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._validated = f", validation {(logs or {}).get('val_accuracy', math.nan):.3f} after epoch {epoch + 1}"
