"""Keeps an index of the vectors of one model version up to date with the database, in a thread of its own.

The database is the truth, and the index is a cache of one process. A file in `LOOKBOOK_HOME` saves building it again
after a restart; if the file is missing, damaged or of another database, the index is built from the database.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import structlog
from numpy.typing import NDArray

from core.private_files import make_private
from db.database import TRANSIENT_ERRORS, Database
from db.views import lookalikes
from worker.searching.index import HnswIndex, VectorIndex, leading_basis, unit

log = structlog.get_logger(__name__)

ADDED_AT_ONCE = 64
"""Vectors that are added under one hold of the lock, so that a search waits for some 0.05 s at most."""
MAX_TAIL = 2000
"""Vectors that a search compares one by one, because they are newer than the index."""
COMPARE_SECONDS = 300.0
"""Seconds between two comparisons of all numbers with the database. They find vectors that are gone, and those whose
transaction ended after that of a higher number."""
SAVE_SHARE, MIN_SAVED = 0.05, 1000
"""The file is written again when this share of the vectors is new, but not for fewer than so many."""
SAMPLE = 4096
"""Vectors from which the basis of the index is computed, spread evenly over all."""
REBUILT_AT = 8
"""The index is built again with a new basis when there are so many times the vectors of its basis: later pictures may
differ in other directions. All rebuilds together cost a seventh of the last one."""
_READ_AT_ONCE = 500
_MARKS = 32
"""Vectors by which a file is recognised as one of this database: the number and the prediction of each."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """Candidates for the vectors nearest to one that was asked about, the most similar first."""

    numbers: NDArray[np.int64]
    similarities: NDArray[np.float32]
    """Cosines, -1 to 1. Those of vectors in the index are approximate."""


def similarities(vectors: NDArray[np.float16], vector: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return the cosine of the angle between a vector and each of `vectors`, float16 [N, length]."""
    cosines: NDArray[np.float32] = unit(vectors) @ unit(vector[None])[0]
    return cosines


def is_installed() -> bool:
    """Return whether the package of the index can be imported. It is imported when the first index is made."""
    return "usearch" in sys.modules or find_spec("usearch") is not None


class IndexKeeper:
    """The index of the vectors of one model version."""

    def __init__(self, database: Database, folder: Path, model_version_id: int) -> None:
        """Prepare an index, which is empty until `start` or `follow`.

        Raises:
            ImportError: the package of the index is not installed.
        """
        if not is_installed():
            raise ImportError("usearch")
        self._database = database
        self._model_version_id = model_version_id
        self._file = folder / f"{model_version_id}.usearch"
        self._marks_file = self._file.with_suffix(".npz")
        self._lock = threading.Lock()
        self._index: VectorIndex | None = None
        self._basis: NDArray[np.float32] | None = None
        self._built_with = 0
        """How many vectors there were when the basis was made."""
        self._last = 0
        """The highest number up to which the index has the vectors."""
        self._added = 0
        self._unsaved = 0
        self._compared_at: float | None = None
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vector-index", daemon=True)

    def start(self) -> None:
        """Read the file or build the index in the background, and follow the database from then on."""
        self._thread.start()

    def close(self) -> None:
        """Stop following the database, and write the file if much has changed."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._ready.is_set():
            self._save(at_least=MIN_SAVED)

    def is_ready(self, seconds: float = 0.0) -> bool:
        """Return whether the index has all vectors that were there when it was opened, waiting for up to `seconds`."""
        return self._ready.wait(seconds)

    def __len__(self) -> int:
        """Return how many vectors the index has, or how many the one has that is being built."""
        return self._added if self._index is None else len(self._index)

    def nearest(self, vector: NDArray[np.float16], count: int) -> Nearest:
        """Return up to `count` candidates, including vectors that were stored a moment ago."""
        numbers, close = np.zeros(0, np.int64), np.zeros(0, np.float32)
        with self._lock:
            if self._index is not None:
                numbers, close = self._index.nearest(vector, count)
            last = self._last
        with self._database.reading() as session:
            tail = lookalikes.read_after(session, self._model_version_id, last, MAX_TAIL)
        if tail is not None:
            self._wake.set()
            numbers = np.concatenate((numbers, tail.numbers))
            close = np.concatenate((close, similarities(tail.vectors, vector)))
        order = np.argsort(-close, kind="stable")[:count]
        return Nearest(numbers[order], close[order])

    def follow(self) -> None:
        """Bring the index up to date once, in the calling thread."""
        if self._compared_at is None or time.monotonic() - self._compared_at >= COMPARE_SECONDS:
            self._compare()
        while self._index is not None and not self._stopping.is_set():
            with self._database.reading() as session:
                new = lookalikes.read_after(session, self._model_version_id, self._last, _READ_AT_ONCE)
            if new is None:
                break
            self._add(self._index, new)
        if not self._stopping.is_set():
            self._ready.set()
            self._save(at_least=max(MIN_SAVED, int(SAVE_SHARE * len(self))))

    def load(self) -> None:
        """Read the file, if it is one of this database."""
        try:
            with np.load(self._marks_file, allow_pickle=False) as marks:
                numbers, predictions = marks["numbers"].tolist(), marks["predictions"].tolist()
                basis, built_with = marks["basis"], int(marks["built_with"])
            with self._database.reading() as session:
                stored = lookalikes.prediction_ids(session, numbers)
            if any(stored.get(number, known) != known for number, known in zip(numbers, predictions, strict=True)):
                raise ValueError("it belongs to another database")
            index = HnswIndex(basis, self._file)
        except FileNotFoundError:
            return
        except (OSError, ValueError, RuntimeError, KeyError, BadZipFile) as error:
            log.warning("vector_index_not_read", file=self._file.name, reason=str(error), then="it is built again")
            return
        self._use(index, basis, built_with)
        log.info("vector_index_read", vectors=len(index))

    def _run(self) -> None:
        loaded = False
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if not loaded:
                    self.load()
                    loaded = True
                self.follow()
            except TRANSIENT_ERRORS as error:
                log.warning("vector_index_waits", reason=str(error.orig))
            self._wake.wait(COMPARE_SECONDS)
            # Vectors arrive in bulk. A moment later there are more of them to add at once.
            self._stopping.wait(1.0)

    def _use(self, index: VectorIndex, basis: NDArray[np.float32], built_with: int) -> None:
        numbers = index.numbers()
        with self._lock:
            self._index, self._basis, self._built_with = index, basis, built_with
            self._last = int(numbers[-1]) if len(numbers) else 0

    def _add(self, index: VectorIndex, new: lookalikes.Vectors) -> None:
        for start in range(0, len(new.numbers), ADDED_AT_ONCE):
            part = slice(start, start + ADDED_AT_ONCE)
            with self._lock:
                index.add(new.numbers[part], new.vectors[part])
                if index is self._index:
                    self._last = max(self._last, int(new.numbers[part][-1]))
        self._unsaved += len(new.numbers)

    def _compare(self) -> None:
        """Remove vectors that are gone, and add those that became visible after vectors with higher numbers."""
        with self._database.reading() as session:
            stored = lookalikes.list_numbers(session, self._model_version_id)
        index = self._index
        if len(stored) and (index is None or len(stored) >= REBUILT_AT * self._built_with):
            index = self._build(stored)
        if index is not None:
            known = index.numbers()
            gone = np.setdiff1d(known, stored, assume_unique=True)
            for start in range(0, len(gone), _READ_AT_ONCE):
                with self._lock:
                    index.remove(gone[start : start + _READ_AT_ONCE])
            self._unsaved += len(gone)
            for late in self._read(np.setdiff1d(stored[stored <= self._last], known, assume_unique=True)):
                self._add(index, late)
        self._compared_at = time.monotonic()

    def _build(self, stored: NDArray[np.int64]) -> VectorIndex | None:
        """Build an index of these vectors, and use it from then on. None: the worker stops."""
        began = time.monotonic()
        spread = stored[np.linspace(0, len(stored) - 1, min(len(stored), SAMPLE)).astype(np.int64)]
        sample = [part.vectors for part in self._read(spread)]
        if not sample:
            return self._index
        basis = leading_basis(np.concatenate(sample))
        index = HnswIndex(basis)
        self._added = 0
        for part in self._read(stored):
            if self._stopping.is_set():
                return None
            self._add(index, part)
            self._added += len(part.numbers)
        self._use(index, basis, len(stored))
        log.info("vector_index_built", vectors=len(index), seconds=round(time.monotonic() - began, 1))
        return index

    def _read(self, numbers: NDArray[np.int64]) -> Iterator[lookalikes.Vectors]:
        """Yield those of these vectors that still exist, some at a time."""
        for start in range(0, len(numbers), _READ_AT_ONCE):
            with self._database.reading() as session:
                found = lookalikes.read_numbers(session, numbers[start : start + _READ_AT_ONCE].tolist())
            if found is not None:
                yield found

    def _save(self, at_least: int) -> None:
        if self._unsaved < at_least or self._index is None or self._basis is None:
            return
        numbers = self._index.numbers()
        chosen = np.unique(np.concatenate((numbers[:_MARKS], numbers[-_MARKS:]))).tolist()
        try:
            with self._database.reading() as session:
                marks = lookalikes.prediction_ids(session, chosen)
            make_private(self._file.parent)
            # No lock: only this thread changes the index, and searches may go on meanwhile.
            self._index.save(self._file)
            self._save_marks(marks)
        except (OSError, RuntimeError, *TRANSIENT_ERRORS) as error:
            log.warning("vector_index_not_saved", file=self._file.name, reason=str(error))
            return
        self._unsaved = 0
        log.info("vector_index_saved", vectors=len(numbers))

    def _save_marks(self, marks: dict[int, str]) -> None:
        unfinished = self._marks_file.with_suffix(".new")
        with unfinished.open("wb") as file:
            np.savez(
                file,
                numbers=np.array(list(marks), np.int64),
                predictions=np.array(list(marks.values()), "U40"),
                basis=np.asarray(self._basis),
                built_with=np.array(self._built_with),
            )
        unfinished.replace(self._marks_file)
