"""Divide the logits of a network by a temperature, for every head."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from classifier.artifact import SCORES, TEMPERATURE_LAYER
from classifier.calibration import UNCALIBRATED, calibrate, calibration_metrics
from classifier.clusters import PictureToCompare, cluster
from classifier.keras_graph import has_layer, only_scores
from classifier.learning.data.pictures import Pictures
from classifier.prepare import PADDING
from core.errors import DatasetInvalid
from core.perceptual import fingerprint

_SMALLEST = float(np.finfo(np.float32).tiny)
_UNTEMPERED = "scores_before_temperature"
"""The name of the layer that gave the scores before a temperature was added."""


def calibrate_network(model: Any, pictures: Pictures) -> tuple[Any, dict[str, float | int | str]]:
    """Return a network with a temperature that fits the labels of pictures.

    The second value is an addition to the metrics. If no temperature fits, the network is returned as it is, and the
    addition has the reason under UNCALIBRATED.
    """
    network = only_scores(model)
    scores = np.concatenate([network.predict(pixels, verbose=0) for pixels in pictures.blocks()])
    try:
        found = calibrate(scores, pictures.labels, clusters_of(pictures))
    except DatasetInvalid as error:
        return model, {UNCALIBRATED: error.detail}
    return tempered(model, found.temperature), calibration_metrics(found)


def tempered(model: Any, temperature: float) -> Any:
    """Return the network whose scores are softmax(logits / temperature).

    A last layer that is dense with softmax is changed in place: softmax((W x + b) / T) = softmax((W / T) x + b / T).
    Behind every other head, the graph gets a layer that divides the logarithms of the scores, which are logits up to a
    constant per picture. The score of a group stays the sum of the scores of its labels.
    """
    layer = model.get_layer(SCORES)
    if isinstance(layer, keras.layers.Dense) and layer.activation is keras.activations.softmax:
        layer.set_weights([weights / temperature for weights in layer.get_weights()])
        return model
    if has_layer(model, TEMPERATURE_LAYER):
        model.get_layer(TEMPERATURE_LAYER).scale /= temperature
        return model
    layer.name = _UNTEMPERED
    logits = keras.ops.log(keras.ops.maximum(layer.output, _SMALLEST))
    divided = keras.layers.Rescaling(1 / temperature, dtype="float32", name=TEMPERATURE_LAYER)(logits)
    scores = keras.layers.Softmax(dtype="float32", name=SCORES)(divided)
    outputs = {**model.output, SCORES: scores} if isinstance(model.output, dict) else scores
    return keras.Model(model.input, outputs, name=model.name)


def clusters_of(pictures: Pictures) -> list[str]:
    """Return the name of the cluster of each picture, by its prepared pixels.

    Fingerprints suit sides of 200 pixels or more. At smaller sides, fewer near-duplicates are found.
    """
    # With the view `views`, the first picture of each input is the whole one.
    blocks = (pixels if pixels.ndim == 4 else pixels[:, 0] for pixels in pictures.blocks())
    compared = [_to_compare(_without_padding(picture)) for pixels in blocks for picture in pixels]
    names = cluster(compared)
    return [names[picture.sha256] for picture in compared]


def _to_compare(picture: NDArray[np.uint8]) -> PictureToCompare:
    height, width, _ = picture.shape
    content = np.ascontiguousarray(picture)
    return PictureToCompare(hashlib.sha256(content.tobytes()).hexdigest(), fingerprint(content), width / height)


def _without_padding(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the part of a prepared picture inside its padding. A picture that is all padding is returned whole."""
    filled = (picture != PADDING).any(axis=2)
    rows, columns = (np.flatnonzero(filled.any(axis=axis)) for axis in (1, 0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else picture
