"""Publish a version with another head: the files of an artifact, written without the framework that trained it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from classifier.artifact import (
    CARD,
    INPUT,
    LABELS,
    METRICS,
    OPENVINO_INT8,
    OPENVINO_MODEL,
    Artifact,
    publish,
)
from classifier.precision import METRIC, Check
from classifier.precision_vectors import PRECISION_VECTORS, read_precision_vectors
from classifier.reference import Reference
from classifier.taxonomy import Taxonomy
from classifier.teaching.head import Head
from classifier.teaching.keras_head import write_keras_with_head
from classifier.teaching.openvino_head import write_with_head
from core.types import ModelRef

BACKBONE = "backbone"
"""The member of `embedding` in `input.json` with the digest of the artifact whose backbone a version has."""
TAUGHT = "taught"
"""The member of the metrics that says what a version was taught with."""


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Everything that a version has besides the files of the one that it starts from."""

    head: Head
    taxonomy: Taxonomy
    metrics: dict[str, Any]
    """Without the checks of the precisions."""
    reference: Reference | None
    card: str
    """Everything below the title."""


def backbone_of(artifact: Artifact) -> str:
    """Return the digest of the artifact whose backbone a version has. Vectors of one backbone can be compared."""
    described = json.loads((artifact.folder / INPUT).read_text("utf-8")).get("embedding") or {}
    return str(described.get(BACKBONE, artifact.digest))


def publish_with_head(
    artifact: Artifact, new: NewVersion, name: str, models: Path, created_at: datetime, least: int
) -> Artifact:
    """Publish a version with another head under a name. Its number is at least `least`.

    Raises:
        ArtifactInvalid: the scores of the artifact come from something else than one dense layer with softmax.
    """
    metrics = new.metrics | _checks(artifact, new)

    def write(folder: Path, ref: ModelRef) -> None:
        write_keras_with_head(artifact, new.head, folder)
        for file in (OPENVINO_MODEL, OPENVINO_INT8):
            if (artifact.folder / file).is_file():
                write_with_head(artifact, file, new.head, folder)
        if artifact.input.segmenter is not None:
            shutil.copyfile(artifact.input.segmenter.path, folder / artifact.input.segmenter.path.name)
        if (artifact.folder / PRECISION_VECTORS).is_file():
            shutil.copyfile(artifact.folder / PRECISION_VECTORS, folder / PRECISION_VECTORS)
        if new.reference is not None:
            new.reference.write(folder)
        _write_json(folder / INPUT, _input(artifact))
        _write_json(folder / LABELS, new.taxonomy.to_json())
        _write_json(folder / METRICS, metrics)
        (folder / CARD).write_text(f"# {ref}\n\n{new.card}\n\n{_precisions(metrics)}\n", "utf-8")

    return publish(models, name, created_at, write, least)


def _input(artifact: Artifact) -> Any:
    content = json.loads((artifact.folder / INPUT).read_text("utf-8"))
    if content.get("embedding"):
        content["embedding"] |= {BACKBONE: backbone_of(artifact)}
    return content


def _checks(artifact: Artifact, new: NewVersion) -> dict[str, Any]:
    """Return an addition to the metrics: how the new head's answers differ between the precisions.

    The artifact has the vectors of the same pictures in each precision. Without them, only f32 is used.
    """
    vectors = read_precision_vectors(artifact.folder)
    if vectors is None:
        return {METRIC: {}}
    exact = new.head.scores(vectors["f32"])
    labels = exact.argmax(axis=1)
    checks = {}
    for precision, found in vectors.items():
        if precision != "f32":
            scores = new.head.scores(found)
            flips = int((scores.argmax(axis=1) != labels).sum())
            difference = float(np.abs(scores - exact).max())
            # No person has given these pictures the new labels, so those in f32 count as right.
            checks[precision] = Check(
                pictures=len(labels), flips=flips, accuracy=1 - flips / len(labels), largest_difference=difference
            )
    return {METRIC: checks}


def _precisions(metrics: dict[str, Any]) -> str:
    rows = [
        f"| {name} | {check['pictures']} | {check['flips']} | {check['largest_difference']:.3f} |"
        for name, check in metrics[METRIC].items()
    ]
    if not rows:
        return "## Precisions\nIt is computed in f32 only, because no other precision could be checked."
    table = "\n".join(("| precision | pictures | other labels | largest difference |", "|---|---|---|---|", *rows))
    return f"""## Precisions
OpenVINO computes in f32 by default. The table compares the other precisions with f32, on the vectors of the validation
pictures of the network in each precision.

{table}"""


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", "utf-8")
