"""Where training computes, and in which arithmetic: all visible GPUs, and mixed precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from classifier.artifact import FEATURES
from classifier.learning.training.recipe_parts import Precision


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow can use."""
    return [device.name for device in tf.config.list_logical_devices("GPU")]


def strategy_for(devices: Sequence[str]) -> Any:
    """Return a `tf.distribute.Strategy` for some devices. With several, each gets a part of every batch.

    With one device or none, TensorFlow chooses the device itself.
    """
    return tf.distribute.MirroredStrategy(devices) if len(devices) > 1 else tf.distribute.get_strategy()


def use_precision(model: Any, precision: Precision) -> None:
    """Make the backbone of a model compute in a precision. Its weights, its first layers and the head stay in float32.

    The normalisation of pixels stays in float32, because float16 cannot hold its values.
    """
    for layer in model.layers[1:]:
        if layer.name == FEATURES:
            break
        if not isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            layer.dtype_policy = precision


def scaled(optimizer: Any, precision: Precision) -> Any:
    """Return the optimizer, with a factor on the loss in mixed_float16, whose gradients would otherwise round to 0."""
    return keras.optimizers.LossScaleOptimizer(optimizer) if precision == "mixed_float16" else optimizer
