"""Check a Keras model that was trained elsewhere, and give it the form that Lookbook serves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import keras
import numpy as np

from classifier.artifact import FEATURES, FLATTEN, HIDDEN, POOL, SCORES
from classifier.keras_graph import has_layer, only_scores
from classifier.prepare import InputSpec
from classifier.taxonomy import Taxonomy
from core.errors import ArtifactInvalid

_TRIED_PICTURES = 4
_SUM_TOLERANCE = 1e-3
"""The largest difference of a sum of scores from 1."""
_ENDING = "global average pooling or Flatten, dropout, at most one hidden Dense layer with ReLU, and Dense with softmax"


class PixelRange(StrEnum):
    """The values of the pixels that a model was trained with."""

    BYTES = "0..255"
    UNIT = "0..1"
    SIGNED = "-1..1"

    @property
    def scale_and_offset(self) -> tuple[float, float]:
        """By these numbers, bytes are multiplied, and moved after it."""
        if self is PixelRange.BYTES:
            return 1.0, 0.0
        return (1 / 255, 0.0) if self is PixelRange.UNIT else (1 / 127.5, -1.0)


@dataclass(frozen=True, slots=True)
class _Ending:
    """The head of a model: its features, and its layers from pooling to scores."""

    features: Any
    flat: bool
    hidden: Any
    scores: Any


def input_size(model: Any) -> int | None:
    """Return the side of the square pictures that a model takes, or None if it takes several sizes.

    Raises:
        ArtifactInvalid: it does not take one RGB picture.
    """
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[3] != 3 or shape[1] != shape[2]:
        raise ArtifactInvalid(f"expected a model of one input [N, size, size, 3], got {shape}")
    return None if shape[1] is None else int(shape[1])


def adopt(model: Any, taxonomy: Taxonomy, spec: InputSpec, pixels: PixelRange) -> Any:
    """Return the graph, uint8 [N, size, size, 3] to softmax scores [N, labels], with the layers that maps are made of.

    Raises:
        ArtifactInvalid: the input or the output has another shape, the scores do not sum to 1, or the model ends with
            layers from which no activation maps can be made.
    """
    size = input_size(model)
    if size not in (None, spec.size):
        raise ArtifactInvalid(f"expected a model of pictures of {spec.size} pixels, got one of {size}")
    known = has_layer(model, FEATURES) and has_layer(model, SCORES) and model.input.dtype == "uint8"
    graph = model if known else _wrapped(model, spec, pixels)
    _check_scores(graph, taxonomy, spec)
    return graph


def _check_scores(graph: Any, taxonomy: Taxonomy, spec: InputSpec) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (_TRIED_PICTURES, *spec.shape), np.uint8)
    scores = np.asarray(only_scores(graph).predict(noise, verbose=0))
    labels = len(taxonomy.labels)
    if scores.shape != (_TRIED_PICTURES, labels):
        raise ArtifactInvalid(f"expected {labels} scores per picture, one for each label, got {scores.shape[1:]}")
    sums = scores.sum(axis=1)
    if not (np.isfinite(scores).all() and scores.min() >= 0 and np.abs(sums - 1).max() <= _SUM_TOLERANCE):
        raise ArtifactInvalid(f"expected scores that sum to 1 (softmax), got sums of {sums.min():g} to {sums.max():g}")


def _wrapped(model: Any, spec: InputSpec, pixels: PixelRange) -> Any:
    ending = _find_ending(model)
    inputs = keras.Input(spec.shape, dtype="uint8", name="pixels")
    scale, offset = pixels.scale_and_offset
    x = keras.layers.Rescaling(scale, offset, dtype="float32", name="pixel_range")(inputs)
    features = keras.Model(model.inputs[0], ending.features, name="backbone")(x)
    x = keras.layers.Identity(dtype="float32", name=FEATURES)(features)
    x = (keras.layers.Flatten(name=FLATTEN) if ending.flat else keras.layers.GlobalAveragePooling2D(name=POOL))(x)
    if ending.hidden is not None:
        x = _copied(ending.hidden, HIDDEN, "relu")(x)
    return keras.Model(inputs, _copied(ending.scores, SCORES, "softmax")(x), name="adopted")


def _copied(dense: Any, name: str, activation: str) -> Any:
    weights = dense.get_weights()
    layer = keras.layers.Dense(dense.units, activation=activation, dtype="float32", name=name)
    layer.build((None, weights[0].shape[0]))
    layer.set_weights([weights[0], weights[1] if len(weights) > 1 else np.zeros(dense.units, np.float32)])
    return layer


def _find_ending(model: Any) -> _Ending:
    """Follow the model back from its output to the features, which have height and width."""
    if len(model.outputs) != 1:
        raise ArtifactInvalid(f"expected a model of one output, got {len(model.outputs)}")
    kinds = keras.layers
    dense: list[Any] = []
    softmax = False
    tensor = model.outputs[0]
    while True:
        layer = tensor._keras_history.operation
        if isinstance(layer, kinds.GlobalAveragePooling2D | kinds.Flatten) and 1 <= len(dense) <= 2 and softmax:
            flat = isinstance(layer, kinds.Flatten)
            if flat and (len(dense) == 2 or len(layer.input.shape) != 4):
                raise ArtifactInvalid("expected Flatten of [N, height, width, channels], and no hidden layer after it")
            return _Ending(layer.input, flat, dense[1] if len(dense) == 2 else None, dense[0])
        is_softmax = isinstance(layer, kinds.Softmax) or _activation(layer) == "softmax"
        if is_softmax and not dense and not softmax:
            softmax = True
            if isinstance(layer, kinds.Dense):
                dense.append(layer)
        elif isinstance(layer, kinds.Dense) and _activation(layer) == ("relu" if dense else "linear") and softmax:
            dense.append(layer)
        elif not isinstance(layer, kinds.Dropout | kinds.Identity):
            raise ArtifactInvalid(f"expected a model that ends with {_ENDING}; got {type(layer).__name__} {layer.name}")
        tensor = layer.input


def _activation(layer: Any) -> str:
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))
