"""Trainings that need a process of their own: `python -m tests.integration.training_processes killed|devices …`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from classifier.learning.data.cache import DataCache
from classifier.learning.data.choosing import DataChoice
from classifier.learning.publishing.runs import open_recipe_data
from classifier.learning.publishing.training_runs import RunRequest, new_run, train_run
from classifier.learning.training.loop import Session
from classifier.learning.training.phases import train
from classifier.learning.training.recipe import read_recipe
from classifier.learning.training.run_folder import RunFolder

T = TypeVar("T")


class StepReporter:
    """Calls a function with the phase and the number of each step that is done in it."""

    def __init__(self, on_step: Callable[[str, int], None] = lambda phase, done: None) -> None:
        self._on_step = on_step
        self._phase, self._done = "", 0

    def phase(self, name: str, steps: int) -> None:
        self._phase, self._done = name, 0

    def step(self, note: str) -> None:
        self._done += 1
        self._on_step(self._phase, self._done)


def track(what: str, iterable: Iterable[T], length: int, /) -> Iterable[T]:
    return iterable


def opened(home: Path, data: Path, recipe: Path) -> tuple[RunRequest, Any]:
    chosen, taxonomy = read_recipe(recipe)
    request = RunRequest(chosen, taxonomy, DataChoice(data.resolve()), home / "models")
    return request, open_recipe_data(chosen, taxonomy, request.choice, DataCache(home, track, lambda sentence: None))


def killed(home: Path, data: Path, recipe: Path, phase: str, steps: int) -> None:
    """Train, and die by SIGKILL after some steps of a phase. The state is saved after every second step."""

    def die(name: str, done: int) -> None:
        if (name, done) == (phase, steps):
            os.kill(os.getpid(), signal.SIGKILL)

    request, pictures = opened(home, data, recipe)
    train_run(new_run(home, request, pictures), request, pictures, StepReporter(die), checkpoint_steps=2)


def devices(home: Path, data: Path, recipe: Path) -> None:
    """Train on one device and on two, and print the losses of both and the largest difference of their weights."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    request, pictures = opened(home, data, recipe)
    losses, weights = [], []
    for names in ((), ("CPU:0", "CPU:1")):
        session = Session(RunFolder.create(home, f"on-{len(names)}"), StepReporter(), names)
        model, curves = train(request.recipe, request.taxonomy, pictures.training, pictures.validation, session)
        losses.append(curves.loss + curves.validation_loss)
        weights.append(model.get_weights())
    difference = max(float(np.abs(one - two).max()) for one, two in zip(*weights, strict=True))
    json.dump({"losses": losses, "difference": difference}, sys.stdout)


if __name__ == "__main__":
    given = Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    if sys.argv[1] == "killed":
        killed(*given, sys.argv[5], int(sys.argv[6]))
    else:
        devices(*given)
