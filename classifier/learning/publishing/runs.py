"""Train, export and evaluate models: from the pictures of a dataset to a published artifact."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import CARD, KERAS_MODEL, LABELS, METRICS, Artifact, publish
from classifier.evaluation import CONFIDENCES, count_confidences, evaluate
from classifier.learning.data.cache import DataCache
from classifier.learning.data.choosing import REFERENCE_SEED, DataChoice, TrainingData, open_training_data
from classifier.learning.data.opened import OpenedDataset
from classifier.learning.data.pictures import TRAIN, VALIDATION, Pictures
from classifier.learning.judging.plots import plot_confusion, plot_curves
from classifier.learning.judging.precision_checks import check_precisions
from classifier.learning.judging.predicting import answer_pictures, predict_pictures
from classifier.learning.judging.shortcuts import SHORTCUTS, examine_some
from classifier.learning.publishing.card import AS_SERVED, SERVED_FIGURES, model_card, renewed_card
from classifier.learning.publishing.exporting import save_int8, save_keras, save_openvino, write_input, write_json
from classifier.learning.publishing.referencing import write_reference
from classifier.learning.publishing.tempering import calibrate_network
from classifier.learning.training.loop import Session
from classifier.learning.training.phases import train
from classifier.learning.training.recipe import Recipe
from classifier.precision import PrecisionSetting
from classifier.reference import REFERENCE, TRAIN_COUNT
from classifier.runtime import Answers, Runtime, RuntimeSetting
from classifier.runtimes import open_runtime
from classifier.taxonomy import Taxonomy
from core.types import ModelRef

QUANTIZING_PICTURES = 300
"""The number of pictures that calibrate the quantization (the default of nncf)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of a model, float32 [N, labels], on labelled pictures, and their metrics."""

    pictures: Pictures
    scores: NDArray[np.float32]
    metrics: dict[str, Any]


def open_recipe_data(recipe: Recipe, taxonomy: Taxonomy, choice: DataChoice, cache: DataCache) -> TrainingData:
    """Open the pictures of a choice at the sizes of a recipe.

    Raises:
        DatasetInvalid: a dataset cannot be read, or one side has no pictures with a label of the taxonomy.
    """
    return open_training_data(
        choice, taxonomy, recipe.input.spec(recipe.crop_from), recipe.input.spec(recipe.size), cache
    )


def train_and_publish(
    recipe: Recipe, taxonomy: Taxonomy, data: TrainingData, models: Path, created_at: datetime, session: Session
) -> Artifact:
    """Train on the pictures to learn from, evaluate on those to judge by, and publish the next version of the model.

    `data` comes from `open_recipe_data` with the same recipe.
    """
    trained, curves = train(recipe, taxonomy, data.training, data.validation, session)
    model, calibration = calibrate_network(trained, data.validation)
    counts = data.to_json()

    def write(folder: Path, ref: ModelRef) -> None:
        spec = recipe.input.spec(recipe.size)
        save_keras(model, folder)
        embedding = save_openvino(folder, taxonomy)
        write_json(folder / LABELS, taxonomy.to_json())
        write_input(folder, spec, embedding)
        # Measure the written files, because workers serve these files and not the network in memory.
        written = Artifact(ref, folder, "", taxonomy, spec, {}, "", embedding)
        metrics = _measure_written(written, data) | calibration
        write_json(folder / METRICS, {**metrics, **counts, "curves": asdict(curves)})
        plot_curves(curves, folder / "curves.png")
        plot_confusion(metrics, folder / "confusion.png")
        (folder / CARD).write_text(model_card(ref, recipe, taxonomy, {**metrics, **counts}), "utf-8")

    return publish(models, recipe.name, created_at, write)


def export_artifact(
    artifact: Artifact, data: OpenedDataset, models: Path, created_at: datetime, *, int8: bool
) -> Artifact:
    """Export the weights of an artifact again, check the precisions, and publish the next version of its name.

    `int8` adds a quantized export, which is calibrated on pictures to learn from. The checks use those to judge by.

    Raises:
        DatasetInvalid: a side has no pictures with a label of the model.
    """
    validation = data.pictures(VALIDATION, artifact.input)
    training = draw_training(artifact, data)

    def save(folder: Path) -> None:
        shutil.copyfile(artifact.folder / KERAS_MODEL, folder / KERAS_MODEL)

    return publish_again(artifact, save, {}, validation, training, models, created_at, int8=int8)


def publish_again(
    artifact: Artifact,
    save: Callable[[Path], None],
    changes: dict[str, Any],
    validation: Pictures,
    training: Pictures | None,
    models: Path,
    created_at: datetime,
    *,
    int8: bool,
) -> Artifact:
    """Publish the next version of an artifact with the `model.keras` that `save` writes into a folder.

    The exports are made from that file. `changes` replace members of the metrics. The precisions are checked on
    `validation`. `training` are pictures to learn from, if there are any: the first ones calibrate the export in int8,
    which is made if `int8` is set.
    """

    def write(folder: Path, ref: ModelRef) -> None:
        save(folder)
        embedding = save_openvino(folder, artifact.taxonomy)
        write_input(folder, artifact.input, embedding)
        kept = [LABELS, *(path.name for path in artifact.folder.glob("*.png"))]
        if (artifact.folder / REFERENCE).is_file():
            kept.append(REFERENCE)
        for name in kept:
            shutil.copyfile(artifact.folder / name, folder / name)
        if int8 and training is not None:
            save_int8(folder, training.read(np.arange(min(len(training), QUANTIZING_PICTURES))))
        written = Artifact(ref, folder, "", artifact.taxonomy, artifact.input, {}, "", embedding)
        scores = _answer_and_keep(written, validation, training).scores
        metrics = artifact.metrics | changes | {CONFIDENCES: count_confidences(scores)}
        metrics |= check_precisions(written, validation)
        write_json(folder / METRICS, metrics)
        (folder / CARD).write_text(renewed_card(artifact.card, ref, metrics), "utf-8")

    return publish(models, artifact.ref.name, created_at, write)


def draw_training(artifact: Artifact, data: OpenedDataset) -> Pictures:
    """Return pictures to learn from, drawn at random, for `publish_again`.

    Raises:
        DatasetInvalid: there are none.
    """
    return data.drawn(TRAIN, artifact.input, TRAIN_COUNT, REFERENCE_SEED)


def _answer_and_keep(written: Artifact, validation: Pictures, training: Pictures | None) -> Answers:
    """Write the reference of an artifact, and return its answers to the pictures to judge by."""
    runtime = open_runtime(written, "openvino")
    try:
        answers = answer_pictures(runtime, validation)
        write_reference(written, runtime, answers, validation, training)
    finally:
        runtime.close()
    return answers


def evaluate_artifact(
    artifact: Artifact, pictures: Pictures, runtime: RuntimeSetting, precision: PrecisionSetting
) -> tuple[Runtime, Evaluation]:
    """Evaluate an artifact on pictures that are prepared as its input. The runtime opens it as a worker would."""
    opened = open_runtime(artifact, runtime, precision)
    return opened, _evaluate(opened, pictures, artifact.taxonomy)


def _evaluate(runtime: Runtime, pictures: Pictures, taxonomy: Taxonomy) -> Evaluation:
    scores = predict_pictures(runtime, pictures)
    return Evaluation(pictures, scores, evaluate(scores, pictures.labels, taxonomy))


def _measure_written(written: Artifact, data: TrainingData) -> dict[str, Any]:
    taxonomy, spec = written.taxonomy, written.input
    runtime = open_runtime(written, "openvino")
    try:
        answers = answer_pictures(runtime, data.validation)
        metrics = evaluate(answers.scores, data.validation.labels, taxonomy)
        write_reference(written, runtime, answers, data.validation, data.reference)
        if data.served is not None:
            as_served = _evaluate(runtime, data.served, taxonomy).metrics
            metrics[AS_SERVED] = {name: as_served[name] for name in SERVED_FIGURES}
        report = examine_some(runtime, data.validation.index, spec)
    finally:
        runtime.close()
    shortcuts = {} if report is None else {SHORTCUTS: report.to_json()}
    return metrics | shortcuts | check_precisions(written, data.validation)
