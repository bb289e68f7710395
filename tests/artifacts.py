"""Artifacts for tests that need other models than the committed one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from classifier.artifact import INPUT, MANIFEST, Artifact, list_artifacts, publish
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
