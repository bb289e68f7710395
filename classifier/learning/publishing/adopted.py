"""Publish a model that was trained elsewhere, or an artifact from another folder of models."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from classifier.artifact import CARD, LABELS, MANIFEST, METRICS, Artifact, publish
from classifier.evaluation import evaluate
from classifier.keras_file import load_keras_file
from classifier.learning.data.pictures import Pictures
from classifier.learning.judging.precision_checks import check_precisions
from classifier.learning.judging.predicting import answer_pictures
from classifier.learning.publishing.adopting import PixelRange, adopt
from classifier.learning.publishing.card import AdoptedFrom, adopted_card, renewed_card
from classifier.learning.publishing.exporting import save_keras, save_openvino, write_input, write_json
from classifier.learning.publishing.referencing import write_reference
from classifier.prepare import InputSpec
from classifier.runtimes import open_runtime
from classifier.taxonomy import Taxonomy
from core.types import ModelRef


@dataclass(frozen=True, slots=True)
class KerasSource:
    """A Keras file, and what it does not say itself."""

    file: Path
    taxonomy: Taxonomy
    spec: InputSpec
    pixels: PixelRange


def publish_keras(
    source: KerasSource, name: str, models: Path, created_at: datetime, pictures: Pictures | None
) -> Artifact:
    """Check a Keras model, and publish it as the next version of `name`. `pictures` give its card figures.

    Raises:
        ArtifactInvalid: the model does not load, or its input, its output or its last layers do not fit.
    """
    graph = adopt(load_keras_file(source.file), source.taxonomy, source.spec, source.pixels)
    with source.file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    origin = AdoptedFrom(source.file.name, digest, source.pixels.value)

    def write(folder: Path, ref: ModelRef) -> None:
        save_keras(graph, folder, exact=True)
        embedding = save_openvino(folder, source.taxonomy)
        write_json(folder / LABELS, source.taxonomy.to_json())
        write_input(folder, source.spec, embedding)
        written = Artifact(ref, folder, "", source.taxonomy, source.spec, {}, "", embedding)
        metrics = {} if pictures is None else _measured(written, pictures)
        write_json(folder / METRICS, metrics)
        (folder / CARD).write_text(adopted_card(ref, source.taxonomy, source.spec, origin, metrics), "utf-8")

    return publish(models, name, created_at, write)


def publish_copy(artifact: Artifact, name: str, models: Path, created_at: datetime) -> Artifact:
    """Publish an artifact of another folder as the next version of `name`, with the same files and figures."""

    def write(folder: Path, ref: ModelRef) -> None:
        shutil.copytree(artifact.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        (folder / CARD).write_text(renewed_card(artifact.card, ref, artifact.metrics), "utf-8")

    return publish(models, name, created_at, write)


def _measured(written: Artifact, pictures: Pictures) -> dict[str, Any]:
    runtime = open_runtime(written, "openvino")
    try:
        answers = answer_pictures(runtime, pictures)
        write_reference(written, runtime, answers, pictures, None)
    finally:
        runtime.close()
    return evaluate(answers.scores, pictures.labels, written.taxonomy) | check_precisions(written, pictures)
