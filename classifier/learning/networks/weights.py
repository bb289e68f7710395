"""Load the weights of a backbone from a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from classifier.keras_file import load_keras_file
from classifier.learning.networks.catalogue import Entry
from core.errors import ArtifactInvalid, WeightsUnavailable

_DEVIATIONS = np.array([0.229, 0.224, 0.225], np.float32)
"""Standard deviations of ImageNet's colours, as keras.applications has them."""


def load_weights_file(entry: Entry, model: Any, path: Path) -> None:
    """Put the weights of a file into a network without a head.

    The file is a Keras model (`.keras`) with the same layers, and it may have a head: for example one that
    `lookbook convert-backbone` wrote, or the `model.keras` of a published version.

    Raises:
        WeightsUnavailable: the file is missing, or its weights belong to another network.
    """
    if not path.is_file():
        raise WeightsUnavailable(f"expected a file of weights of {entry.name} at {path}, got none")
    try:
        _copy_weights(entry, path, model)
    except (ValueError, OSError, TypeError, ArtifactInvalid) as error:
        raise WeightsUnavailable(f"{path}: expected weights of {entry.name}: {error}") from error


def _copy_weights(entry: Entry, path: Path, model: Any) -> None:
    """Copy the weights layer by layer. Names cannot be compared, because Keras numbers unnamed layers anew."""
    source = load_keras_file(path)
    given, wanted = list(_with_weights(source)), list(_with_weights(model))
    if len(given) < len(wanted):
        raise ValueError(f"expected at least {len(wanted)} layers with weights, got {len(given)}")
    for layer, other in zip(wanted, given, strict=False):
        shapes, other_shapes = ([w.shape for w in part.get_weights()] for part in (layer, other))
        if shapes != other_shapes:
            raise ValueError(f"expected the shapes {shapes} for the layer {layer.name}, got {other_shapes}")
        layer.set_weights(other.get_weights())
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    if entry.family == "efficientnet" and sum(isinstance(layer, keras.layers.Rescaling) for layer in source.layers) > 1:
        _divide_by_deviations(model)


def _with_weights(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _with_weights(layer)
        elif layer.weights:
            yield layer


def _divide_by_deviations(model: Any) -> None:
    """Make the normalisation do what a second layer of rescaling does in an EfficientNet with downloaded weights.

    keras.applications divides there by the square roots of `_DEVIATIONS`. A graph with other weights lacks this layer,
    so the division goes into the variance: (x - m) / √v / √d = (x - m) / √(v d).
    """
    (layer,) = (layer for layer in model.layers if isinstance(layer, keras.layers.Normalization))
    mean, variance, count = layer.get_weights()
    layer.set_weights([mean, variance * _DEVIATIONS, count])
    layer.finalize_state()
