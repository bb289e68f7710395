"""Artifacts for tests that need other models than the committed one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from classifier.artifact import INPUT, MANIFEST, Artifact, list_artifacts, publish
from classifier.precision_vectors import write_precision_vectors
from core.clock import utc_now
from core.settings import PROJECT
from core.types import ModelRef


def publish_again(models: Path, name: str = "garments", **changed_input: str) -> Artifact:
    """Publish the committed model as the next version of `name` in a folder of models, with changes of its input."""
    source = list_artifacts(PROJECT / "models")[-1].folder

    def write(folder: Path, _: ModelRef) -> None:
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        described = json.loads((source / INPUT).read_text("utf-8"))
        (folder / INPUT).write_text(json.dumps(described | changed_input), "utf-8")

    return publish(models, name, utc_now(), write)


def publish_with_precisions(models: Path) -> Artifact:
    """Publish the committed model in a folder of models, with vectors in each precision: noise in place of rounding."""
    source = list_artifacts(PROJECT / "models")[-1]
    reference = source.reference()
    assert reference is not None
    exact = reference.validation_embeddings.astype(np.float32)
    noise = np.random.default_rng(0).normal(scale=0.002, size=exact.shape)

    def write(folder: Path, _: ModelRef) -> None:
        shutil.copytree(source.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        write_precision_vectors(folder, {"f32": exact, "bf16": exact, "int8": exact + noise})

    return publish(models, source.ref.name, utc_now(), write, int(source.ref.version))


def own_models(folder: Path) -> Path:
    """Return a folder of models with the default one, into which a lesson may publish."""
    source = list_artifacts(PROJECT / "models")[-1]
    version = folder / "models" / source.ref.name / source.ref.version
    version.parent.mkdir(parents=True)
    version.symlink_to(source.folder)
    return folder / "models"
