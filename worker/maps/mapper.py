"""The mapper computes the maps that are requested, one after another, each in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
import structlog
from numpy.typing import NDArray

from core.clock import utc_now
from core.errors import LayoutFailed
from core.machine import Machine
from core.maps import MIN_POINTS, Points, sample
from db.database import Database
from db.steps import mapping
from db.steps.mapping import MapWork
from db.views import maps, vectors
from worker.background import BackgroundThreads
from worker.maps.process import LayoutProcess

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
"""Seconds between two looks at the process of the layout. Each stores its progress, which renews the lease."""


class Mapper(BackgroundThreads[MapWork]):
    """Computes maps in one thread. When it is stopped, it kills the process and gives the map back."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__("mapper", max_threads=1)
        self._database = database
        self._clock = clock
        self._process: LayoutProcess | None = None

    def stop(self) -> None:
        super().stop()
        process = self._process
        if process is not None:
            process.kill()

    def _take(self) -> MapWork | None:
        with self._database.reading() as session:
            if not mapping.any_due(session, self._clock()):
                return None
        with self._database.writing() as session:
            mapping.request_outdated(session, self._clock())
            return mapping.take(session, self._clock())

    def _do(self, work: MapWork) -> None:
        begin = time.monotonic()
        error = ""
        try:
            stored = self._compute(work)
        except LayoutFailed as failure:
            stored, error = False, str(failure)
        if stored:
            log.info("map_stored", job=work.job_id, seconds=round(time.monotonic() - begin, 1))
        elif self.stopping.is_set():
            with self._database.writing() as session:
                mapping.give_back(session, work)
        elif error:
            log.error("map_failed", job=work.job_id, reason=error)
            with self._database.writing() as session:
                mapping.fail(session, work, error)

    def _compute(self, work: MapWork) -> bool:
        """Compute and store a map. Return False if it was lost meanwhile.

        Raises:
            LayoutFailed: the process has ended early, or there are too few vectors.
        """
        with self._database.reading() as session:
            positions, length = maps.read_shape(session, work.job_id)
        pictures = len(positions)
        if pictures < MIN_POINTS:
            raise LayoutFailed(f"expected at least {MIN_POINTS} pictures with a vector, got {pictures}")
        chosen = sample(pictures)
        shown = positions if chosen is None else positions[chosen]
        with LayoutProcess(len(shown), length, Machine.here().processors) as process:
            self._process = process
            try:
                process.send(self._read(work, shown))
                while not process.wait(_LOOK_SECONDS):
                    if self.stopping.is_set() or not self._report(work, process.progress):
                        return False
                places = process.places()
            finally:
                self._process = None
        with self._database.writing() as session:
            return mapping.store(session, work, Points(shown, places), pictures, self._clock())

    def _report(self, work: MapWork, progress: float) -> bool:
        with self._database.writing() as session:
            return mapping.report(session, work, progress, self._clock())

    def _read(self, work: MapWork, shown: NDArray[np.int32]) -> Iterator[NDArray[np.float16]]:
        with self._database.reading() as session:
            for block in vectors.read_job(session, work.job_id):
                yield block.vectors[np.isin(block.positions, shown)]
