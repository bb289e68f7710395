"""Calibrate a published model: divide its logits by a temperature that is fitted on validation pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from classifier.artifact import OPENVINO_INT8, Artifact
from classifier.calibration import TEMPERATURE, UNCALIBRATED, calibrate, calibration_metrics
from classifier.keras_graph import load_graph
from classifier.learning.data.opened import OpenedDataset
from classifier.learning.data.pictures import TRAIN, VALIDATION
from classifier.learning.publishing.exporting import save_keras
from classifier.learning.publishing.runs import draw_training, evaluate_artifact, publish_again
from classifier.learning.publishing.tempering import clusters_of, tempered


def calibrate_artifact(artifact: Artifact, data: OpenedDataset, models: Path, created_at: datetime) -> Artifact:
    """Fit a temperature on the pictures to judge by, and publish the next version of the artifact, calibrated.

    An export in int8 is made if the artifact has one and the dataset has pictures to learn from.

    Raises:
        DatasetInvalid: the dataset has no pictures to judge by, or they do not determine a temperature.
    """
    pictures = data.pictures(VALIDATION, artifact.input)
    runtime, evaluation = evaluate_artifact(artifact, pictures, "openvino", "f32")
    runtime.close()
    found = calibrate(evaluation.scores, pictures.labels, clusters_of(pictures))
    model = tempered(load_graph(artifact.folder), found.temperature)
    int8 = (artifact.folder / OPENVINO_INT8).is_file()
    training = draw_training(artifact, data) if len(data.positions(TRAIN)) else None
    changes = calibration_metrics(found, artifact.metrics.get(TEMPERATURE, 1.0))
    metrics = {name: value for name, value in artifact.metrics.items() if name != UNCALIBRATED}

    def save(folder: Path) -> None:
        # Rounded weights could change a label.
        save_keras(model, folder, exact=True)

    return publish_again(
        replace(artifact, metrics=metrics), save, changes, pictures, training, models, created_at, int8=int8
    )
