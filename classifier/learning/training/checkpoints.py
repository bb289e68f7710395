"""The state from which an interrupted training continues: weights, optimizer, averages, position and curves.

It is one file, which is replaced as a whole. A kill therefore leaves the old state or the new one.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import RunInvalid

STATE = "state.npz"
_POSITION, _VARIABLES, _METRICS = "position", "variable", "metric"


@dataclass(slots=True)
class Curves:
    """Loss and accuracy after each epoch of a phase."""

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    def add(self, learned: dict[str, float], judged: dict[str, float]) -> None:
        """Add the figures of an epoch, on the pictures to learn from and on those to judge by."""
        self.loss.append(learned["loss"])
        self.accuracy.append(learned["accuracy"])
        self.validation_loss.append(judged["loss"])
        self.validation_accuracy.append(judged["accuracy"])


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a training: steps of the phase that are done, and the curves of its finished epochs."""

    phase: str
    steps_done: int
    curves: Curves


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A saved state. `variables` belong to the model and its optimizer, `metrics` to an unfinished epoch."""

    position: Position
    variables: list[NDArray[Any]]
    metrics: list[NDArray[Any]]

    def restore(self, model: Any) -> None:
        """Put the variables into a compiled model and its optimizer.

        Raises:
            RunInvalid: the network has other variables.
        """
        model.optimizer.build(model.trainable_variables)
        _assign(_state(model), self.variables)

    def restore_metrics(self, model: Any) -> None:
        """Put the metrics of the unfinished epoch into a model. Keras clears them when an epoch begins."""
        if self.metrics:
            _assign(model.metrics_variables, self.metrics)


def save_checkpoint(folder: Path, position: Position, model: Any, *, unfinished_epoch: bool) -> None:
    """Replace the checkpoint in a folder by the state of a compiled model."""
    folder.mkdir(exist_ok=True)
    arrays = {f"{_VARIABLES}{number}": variable.numpy() for number, variable in enumerate(_state(model))}
    if unfinished_epoch:
        arrays |= {f"{_METRICS}{number}": metric.numpy() for number, metric in enumerate(model.metrics_variables)}
    arrays[_POSITION] = np.array(json.dumps(asdict(position)))
    unfinished = folder / f".{STATE}"
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(folder / STATE)


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the checkpoint in a folder, or None if there is none.

    Raises:
        RunInvalid: the file is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        with np.load(path) as arrays:
            position = json.loads(str(arrays[_POSITION]))
            parts = [_numbered(arrays, prefix) for prefix in (_VARIABLES, _METRICS)]
        curves = Curves(**position.pop("curves"))
        return Checkpoint(Position(**position, curves=curves), *parts)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RunInvalid(f"{path}: expected a checkpoint of a training run: {error}") from error


def _state(model: Any) -> list[Any]:
    """Return the variables of a model and its optimizer, among them the seeds of the dropout."""
    return [*model.variables, *model.optimizer.variables]


def _numbered(arrays: Any, prefix: str) -> list[NDArray[Any]]:
    count = sum(name.startswith(prefix) for name in arrays.files)
    return [arrays[f"{prefix}{number}"] for number in range(count)]


def _assign(variables: list[Any], values: list[NDArray[Any]]) -> None:
    shapes, saved = [tuple(variable.shape) for variable in variables], [value.shape for value in values]
    if shapes != saved:
        raise RunInvalid(
            f"the checkpoint belongs to another network: expected {len(shapes)} variables, got {len(saved)}, "
            "or other shapes"
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
