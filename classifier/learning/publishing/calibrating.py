"""Calibrate a published model: divide its logits by a temperature that is fitted on validation pictures."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import keras

from classifier.artifact import OPENVINO_INT8, SCORES, Artifact
from classifier.keras_graph import load_graph
from classifier.learning.data.clusters import PictureToCompare, cluster
from classifier.learning.data.pictures import TRAIN, VALIDATION
from classifier.learning.judging.calibration import (
    CALIBRATED_ON,
    CALIBRATION_ERROR,
    ERROR_BEFORE,
    TEMPERATURE,
    calibrate,
)
from classifier.learning.publishing.exporting import save_keras
from classifier.learning.publishing.runs import NamedTrack, evaluate_artifact, publish_again, quantizing_pixels
from classifier.prepare import InputSpec, prepare
from core.errors import ArtifactInvalid
from core.perceptual import fingerprint

COMPARED_SIDE = 256
"""The long side in pixels at which pictures are compared, which suits `core.perceptual.fingerprint`."""


def calibrate_artifact(
    artifact: Artifact, data: Path, models: Path, created_at: datetime, track: NamedTrack
) -> Artifact:
    """Fit a temperature on `data`/validation, and publish the next version of the artifact with calibrated scores.

    An export in int8 is made if the artifact has one and `data`/train exists.

    Raises:
        ArtifactInvalid: the head of the model cannot be calibrated.
        DatasetInvalid: the folders have another form, or their pictures do not determine a temperature.
    """
    model = load_graph(artifact.folder)
    # Refuse the model before the pictures are read.
    calibratable_layer(model)
    runtime, evaluation = evaluate_artifact(artifact, data / VALIDATION, "openvino", "f32", track)
    runtime.close()
    pictures = evaluation.pictures
    clusters = _clusters([example.path for example in pictures.examples], track)
    found = calibrate(evaluation.scores, pictures.labels, clusters)
    calibrate_model(model, found.temperature)
    int8 = (artifact.folder / OPENVINO_INT8).is_file() and (data / TRAIN).is_dir()
    quantizing = quantizing_pixels(artifact, data, track) if int8 else None
    changes = {
        # The weights may already be divided by a temperature.
        TEMPERATURE: artifact.metrics.get(TEMPERATURE, 1.0) * found.temperature,
        CALIBRATED_ON: found.pictures,
        ERROR_BEFORE: found.error_before,
        CALIBRATION_ERROR: found.error_after,
    }

    def save(folder: Path) -> None:
        # Rounded weights could change a label.
        save_keras(model, folder, exact=True)

    return publish_again(artifact, save, changes, pictures, quantizing, models, created_at)


def calibrate_model(model: Any, temperature: float) -> None:
    """Divide the logits of a Keras model by the temperature. The weights of its last layer change in place.

    softmax((W x + b) / T) = softmax((W / T) x + b / T).

    Raises:
        ArtifactInvalid: the head of the model cannot be calibrated.
    """
    layer = calibratable_layer(model)
    layer.set_weights([weights / temperature for weights in layer.get_weights()])


def calibratable_layer(model: Any) -> Any:
    """Return the last layer of a Keras model, whose weights can be divided by a temperature.

    Raises:
        ArtifactInvalid: the model has several outputs, or its last layer is not dense with softmax.
    """
    layer = model.get_layer(SCORES)
    if len(model.outputs) != 1:
        raise ArtifactInvalid(f"expected a model whose only output is {SCORES}, got {len(model.outputs)} outputs")
    if not isinstance(layer, keras.layers.Dense) or layer.activation is not keras.activations.softmax:
        raise ArtifactInvalid(
            f"expected a model whose layer {SCORES} is dense with softmax (the heads straight and two_dense), "
            f"got a layer {type(layer).__name__}"
        )
    return layer


def _clusters(paths: list[Path], track: NamedTrack) -> list[str]:
    """Return the name of each picture's cluster."""
    compared = []
    for path in track("comparing pictures", paths, len(paths)):
        data = path.read_bytes()
        prepared = prepare(data, InputSpec(COMPARED_SIDE))
        aspect = prepared.info.width / prepared.info.height
        compared.append(PictureToCompare(hashlib.sha256(data).hexdigest(), fingerprint(prepared.picture), aspect))
    names = cluster(compared)
    return [names[picture.sha256] for picture in compared]
