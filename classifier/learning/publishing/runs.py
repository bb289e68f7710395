"""Train, export and evaluate models: from a folder of pictures to a published artifact."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import CARD, INPUT, KERAS_MODEL, LABELS, METRICS, Artifact, publish
from classifier.learning.data.pictures import TRAIN, VALIDATION, Example, Pictures, find_examples, read_pictures
from classifier.learning.judging.evaluation import evaluate
from classifier.learning.judging.plots import plot_confusion, plot_curves
from classifier.learning.judging.precision_checks import check_precisions
from classifier.learning.publishing.card import model_card, renewed_card
from classifier.learning.publishing.exporting import save_int8, save_keras, save_openvino, write_json
from classifier.learning.publishing.tempering import calibrate_network
from classifier.learning.training.phases import Reporter, train
from classifier.learning.training.recipe import Recipe
from classifier.precision import PrecisionSetting
from classifier.prepare import InputSpec
from classifier.runtime import Runtime, RuntimeSetting, predict
from classifier.runtimes import open_runtime
from classifier.taxonomy import Taxonomy
from core.types import ModelRef

T = TypeVar("T")

CALIBRATION_PICTURES, CALIBRATION_SEED = 300, 0
"""The number of pictures that calibrate the quantization (the default of nncf), and the seed that draws them."""


class NamedTrack(Protocol):
    """Shows the progress of `what` over an iterable of known length."""

    def __call__(self, what: str, iterable: Iterable[T], length: int, /) -> Iterable[T]: ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of a model, float32 [N, labels], on labelled pictures, and their metrics."""

    pictures: Pictures
    scores: NDArray[np.float32]
    metrics: dict[str, Any]


def train_and_publish(
    recipe: Recipe,
    taxonomy: Taxonomy,
    data: Path,
    models: Path,
    created_at: datetime,
    reporter: Reporter,
    track: NamedTrack,
) -> Artifact:
    """Train on `data`/train, evaluate on `data`/validation, and publish the next version of `recipe.name`.

    Raises:
        DatasetInvalid: the folders have another form.
    """
    training_files = find_examples(data / TRAIN, taxonomy.label_ids)
    validation_files = find_examples(data / VALIDATION, taxonomy.label_ids)
    training = _read("train", training_files, InputSpec(recipe.crop_from), track)
    validation = _read("validation", validation_files, InputSpec(recipe.size), track)
    trained, curves = train(recipe, taxonomy, training, validation, reporter)
    model, calibration = calibrate_network(trained, validation.pixels, validation.labels)
    counts = {
        "train_pictures": len(training.labels),
        "validation_pictures": len(validation.labels),
        "unreadable_files": len(training.unreadable) + len(validation.unreadable),
    }

    def write(folder: Path, ref: ModelRef) -> None:
        spec = InputSpec(recipe.size)
        save_keras(model, folder)
        save_openvino(folder, taxonomy)
        write_json(folder / LABELS, taxonomy.to_json())
        write_json(folder / INPUT, spec.to_json())
        # Measure the written files, because workers serve these files and not the network in memory.
        metrics = _measure_written(folder, ref, taxonomy, spec, validation) | calibration
        write_json(folder / METRICS, {**metrics, **counts, "curves": asdict(curves)})
        plot_curves(curves, folder / "curves.png")
        plot_confusion(metrics, folder / "confusion.png")
        (folder / CARD).write_text(model_card(ref, recipe, taxonomy, {**metrics, **counts}), "utf-8")

    return publish(models, recipe.name, created_at, write)


def export_artifact(
    artifact: Artifact, data: Path, models: Path, created_at: datetime, *, int8: bool, track: NamedTrack
) -> Artifact:
    """Export the weights of an artifact again, check the precisions, and publish the next version of its name.

    `int8` adds a quantized export, which is calibrated on pictures of `data`/train. The checks use `data`/validation.

    Raises:
        DatasetInvalid: the folders have another form.
    """
    validation = _read(
        "validation", find_examples(data / VALIDATION, artifact.taxonomy.label_ids), artifact.input, track
    )
    quantizing = quantizing_pixels(artifact, data, track) if int8 else None

    def save(folder: Path) -> None:
        shutil.copyfile(artifact.folder / KERAS_MODEL, folder / KERAS_MODEL)

    return publish_again(artifact, save, {}, validation, quantizing, models, created_at)


def publish_again(
    artifact: Artifact,
    save: Callable[[Path], None],
    changes: dict[str, Any],
    validation: Pictures,
    quantizing: NDArray[np.uint8] | None,
    models: Path,
    created_at: datetime,
) -> Artifact:
    """Publish the next version of an artifact with the `model.keras` that `save` writes into a folder.

    The exports are made from that file. `changes` replace members of the metrics. `quantizing` calibrates the export in
    int8; None makes no such export. The precisions are checked on `validation`.
    """

    def write(folder: Path, ref: ModelRef) -> None:
        save(folder)
        for name in (LABELS, INPUT, *(path.name for path in artifact.folder.glob("*.png"))):
            shutil.copyfile(artifact.folder / name, folder / name)
        save_openvino(folder, artifact.taxonomy)
        if quantizing is not None:
            save_int8(folder, quantizing)
        written = Artifact(ref, folder, "", artifact.taxonomy, artifact.input, {}, "")
        metrics = artifact.metrics | changes | check_precisions(written, validation)
        write_json(folder / METRICS, metrics)
        (folder / CARD).write_text(renewed_card(artifact.card, ref, metrics), "utf-8")

    return publish(models, artifact.ref.name, created_at, write)


def quantizing_pixels(artifact: Artifact, data: Path, track: NamedTrack) -> NDArray[np.uint8]:
    """Return the pixels that calibrate an export in int8: pictures of `data`/train, drawn at random."""
    files = find_examples(data / TRAIN, artifact.taxonomy.label_ids)
    drawn = np.random.default_rng(CALIBRATION_SEED).permutation(len(files))[:CALIBRATION_PICTURES]
    return _read("calibration", [files[i] for i in drawn], artifact.input, track).pixels


def evaluate_artifact(
    artifact: Artifact, data: Path, runtime: RuntimeSetting, precision: PrecisionSetting, track: NamedTrack
) -> tuple[Runtime, Evaluation]:
    """Evaluate an artifact on a folder of label folders. The runtime opens it as a worker would."""
    files = find_examples(data, artifact.taxonomy.label_ids)
    pictures = _read("pictures", files, artifact.input, track)
    opened = open_runtime(artifact, runtime, precision)
    return opened, _evaluate(opened, pictures, artifact.taxonomy)


def _evaluate(runtime: Runtime, pictures: Pictures, taxonomy: Taxonomy) -> Evaluation:
    scores = predict(runtime, pictures.pixels)
    return Evaluation(pictures, scores, evaluate(scores, pictures.labels, taxonomy))


def _measure_written(
    folder: Path, ref: ModelRef, taxonomy: Taxonomy, spec: InputSpec, validation: Pictures
) -> dict[str, Any]:
    written = Artifact(ref, folder, "", taxonomy, spec, {}, "")
    runtime = open_runtime(written, "openvino")
    try:
        metrics = _evaluate(runtime, validation, taxonomy).metrics
    finally:
        runtime.close()
    return metrics | check_precisions(written, validation)


def _read(what: str, files: list[Example], spec: InputSpec, track: NamedTrack) -> Pictures:
    def show(iterable: Iterable[T], length: int, /) -> Iterable[T]:
        return track(f"reading {what}", iterable, length)

    return read_pictures(files, spec, show)
