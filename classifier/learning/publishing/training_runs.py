"""Training runs from their beginning to the published version, and their continuation after an interruption."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from classifier.artifact import LABELS, Artifact
from classifier.learning.data.choosing import DataChoice, TrainingData
from classifier.learning.publishing.exporting import write_json
from classifier.learning.publishing.runs import train_and_publish
from classifier.learning.training.devices import visible_gpus
from classifier.learning.training.loop import CHECKPOINT_STEPS, Session
from classifier.learning.training.recipe import Recipe
from classifier.learning.training.reporting import Reporter
from classifier.learning.training.run_folder import Machine, Meter, RunCost, RunData, RunFolder, RunRecord, RunState
from classifier.taxonomy import Taxonomy
from core.clock import utc_now
from core.errors import RunInvalid

REQUEST = "request.json"
"""The file in the folder of a run with the data and the folder of models that it was started with."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The order to train a model: the recipe and the choice of data, without the pictures themselves."""

    recipe: Recipe
    taxonomy: Taxonomy
    choice: DataChoice
    models: Path

    @classmethod
    def read(cls, folder: RunFolder) -> Self:
        """Return the request of an earlier run, to continue it.

        Raises:
            RunInvalid: the run is finished, or its folder cannot be read.
        """
        record = folder.read()
        if record.state == "finished":
            raise RunInvalid(f"the training run {record.id} is finished: it published {record.published}")
        try:
            choice, models = _STORED.validate_json((folder.path / REQUEST).read_bytes())
            taxonomy = Taxonomy.from_json(json.loads((folder.path / LABELS).read_bytes()))
            return cls(Recipe.model_validate(record.recipe), taxonomy, choice, models)
        except (OSError, ValueError, ValidationError) as error:
            raise RunInvalid(f"{folder.path}: expected the files of a training run: {error}") from error

    def write(self, folder: RunFolder) -> None:
        """Store the request in the folder of a run. The record has the recipe."""
        (folder.path / REQUEST).write_bytes(_STORED.dump_json((self.choice, self.models), indent=1))
        write_json(folder.path / LABELS, self.taxonomy.to_json())


_STORED = TypeAdapter(tuple[DataChoice, Path])


def new_run(home: Path, request: RunRequest, data: TrainingData) -> RunFolder:
    """Make the folder of a run on these pictures."""
    started_at = utc_now()
    folder = RunFolder.create(home, f"{request.recipe.name}-{started_at:%Y%m%dT%H%M%S}")
    request.write(folder)
    pictures = RunData(request.recipe.data.title, data.hash, len(data.training), len(data.validation))
    folder.write(
        RunRecord(
            id=folder.path.name,
            model=request.recipe.name,
            state="interrupted",
            started_at=started_at,
            ended_at=None,
            recipe=request.recipe.model_dump(mode="json"),
            data=pictures,
            machine=Machine.here(len(visible_gpus())),
            cost=RunCost(),
        )
    )
    return folder


def train_run(
    folder: RunFolder,
    request: RunRequest,
    data: TrainingData,
    reporter: Reporter,
    checkpoint_steps: int = CHECKPOINT_STEPS,
) -> Artifact:
    """Train and publish in the folder of a new run, or of an interrupted or failed one, which continues.

    The record says at any time how the run stands. The state is saved after `checkpoint_steps` steps, and after each
    epoch.

    Raises:
        RunInvalid: another process trains this run, or the pictures are not those with which it began.
    """
    with folder.held():
        record = replace(folder.read(), state="running", ended_at=None)
        if record.data.hash != data.hash:
            raise RunInvalid(
                f"the pictures are not those with which {record.id} began: expected the hash {record.data.hash}, "
                f"got {data.hash}"
            )
        meter = Meter(record.cost)
        folder.write(record)

        def saved() -> None:
            folder.write(replace(record, cost=meter.read()))

        session = Session(folder, reporter, visible_gpus(), checkpoint_steps, saved)
        try:
            artifact = train_and_publish(request.recipe, request.taxonomy, data, request.models, utc_now(), session)
        except BaseException as error:
            state: RunState = "failed" if isinstance(error, Exception) else "interrupted"
            folder.write(replace(record, state=state, ended_at=utc_now(), cost=meter.read()))
            raise
        done = replace(record, state="finished", ended_at=utc_now(), cost=meter.read())
        folder.write(replace(done, published=str(artifact.ref), metrics=artifact.metrics))
        # The state is several times as large as the model, and nothing continues from it any more.
        shutil.rmtree(folder.checkpoint, ignore_errors=True)
    return artifact
