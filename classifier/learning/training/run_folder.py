"""The folder of one training run: `<home>/runs/<run id>/`.

run.json        the record of the run: its recipe, its data, its cost and its figures
tensorboard/    the events that TensorBoard shows
checkpoint/     the state from which an interrupted run continues
lock            the process that trains holds a lock on this file
"""

from __future__ import annotations

import fcntl
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from core.errors import RunInvalid, RunUnknown

RUNS = "runs"
"""The folder of all training runs in LOOKBOOK_HOME."""
RECORD, TENSORBOARD, CHECKPOINT, LOCK = "run.json", "tensorboard", "checkpoint", "lock"

RunState = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class RunData:
    """The pictures of a training run. `hash` is the same for the same pictures with the same labels."""

    title: str
    hash: str
    training_pictures: int
    validation_pictures: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of a training run. `memory` is that of the machine, in bytes."""

    cpus: int
    gpus: int
    memory: int

    @classmethod
    def here(cls, gpus: int) -> Self:
        """Return the description of this machine."""
        return cls(os.cpu_count() or 1, gpus, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


@dataclass(frozen=True, slots=True)
class RunCost:
    """The cost of a training run, from reading the pictures to the published version.

    `seconds` is the time on the clock and `cpu_seconds` that of all its threads. Both are sums over the attempts if
    the run was resumed. `peak_memory_bytes` is the largest memory of its process.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The record of one training run."""

    id: str
    model: str
    """The name of the model, without a version."""
    state: RunState
    started_at: datetime
    ended_at: datetime | None
    recipe: dict[str, Any]
    data: RunData
    machine: Machine
    cost: RunCost
    published: str | None = None
    """The published version, as `name@version`."""
    metrics: dict[str, Any] | None = None
    """The figures of `evaluate()` for the published version on the validation pictures."""


_RECORDS = TypeAdapter(RunRecord)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one training run."""

    path: Path

    @classmethod
    def create(cls, home: Path, run_id: str) -> Self:
        """Make the folder of a new run. If the id is taken, the run gets the id with a number after it.

        The run exists for `list` once its record is written.
        """
        number = 1
        while True:
            path = home / RUNS / (run_id if number == 1 else f"{run_id}-{number}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                return cls(path)

    @classmethod
    def find(cls, home: Path, run_id: str) -> Self:
        """Return the folder of a run.

        Raises:
            RunUnknown: there is no such run.
        """
        known = cls._ids(home)
        if run_id not in known:
            raise RunUnknown(f"no training run {run_id!r} in {home / RUNS}: `lookbook runs` lists them")
        return cls(home / RUNS / run_id)

    @classmethod
    def list(cls, home: Path) -> tuple[RunRecord, ...]:
        """Return the records of all runs, the newest first. A run is `running` only if a process trains it.

        Raises:
            RunInvalid: the record of a run cannot be read.
        """
        records = [cls(home / RUNS / run_id).read() for run_id in cls._ids(home)]
        return tuple(sorted(records, key=lambda record: (record.started_at, record.id), reverse=True))

    @property
    def tensorboard(self) -> Path:
        """The folder of the events that TensorBoard shows."""
        return self.path / TENSORBOARD

    @property
    def checkpoint(self) -> Path:
        """The folder of the state from which the run continues."""
        return self.path / CHECKPOINT

    def read(self) -> RunRecord:
        """Return the record. A run is `interrupted` if it never ended and no process trains it.

        Raises:
            RunInvalid: the record cannot be read.
        """
        try:
            record = _RECORDS.validate_json((self.path / RECORD).read_bytes())
        except (OSError, ValidationError) as error:
            raise RunInvalid(f"{self.path / RECORD}: expected the record of a training run: {error}") from error
        return replace(record, state="interrupted") if record.state == "running" and not self._is_held() else record

    def write(self, record: RunRecord) -> None:
        """Replace the record. A reader sees the old one or the new one."""
        unfinished = self.path / f".{RECORD}"
        unfinished.write_bytes(_RECORDS.dump_json(record, indent=1) + b"\n")
        unfinished.replace(self.path / RECORD)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Lock the run while its process trains. The lock ends with the process.

        Raises:
            RunInvalid: another process trains this run.
        """
        with (self.path / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunInvalid(f"the training run {self.path.name} is running in another process") from error
            yield

    def _is_held(self) -> bool:
        try:
            with (self.path / LOCK).open("r") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @staticmethod
    def _ids(home: Path) -> tuple[str, ...]:
        return tuple(sorted(path.parent.name for path in (home / RUNS).glob(f"*/{RECORD}")))


class Meter:
    """Measures the cost of this process from now on, on top of an earlier cost."""

    def __init__(self, earlier: RunCost) -> None:
        self._earlier = earlier
        self._clock, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> RunCost:
        """Return the cost so far."""
        # ru_maxrss is in KiB on Linux and in bytes on macOS.
        unit = 1 if os.uname().sysname == "Darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        return RunCost(
            self._earlier.seconds + time.monotonic() - self._clock,
            self._earlier.cpu_seconds + time.process_time() - self._cpu,
            max(self._earlier.peak_memory_bytes, peak),
        )
