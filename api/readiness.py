"""Whether the parts of the service answer. A part that hangs must not make the answer hang, so each has a deadline."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from broker.client import Broker, Heartbeat
from core.errors import BlobStoreUnavailable, BrokerUnavailable, StorageFull
from core.messages import Queue
from db.blobs.store import BlobStore
from db.database import Database
from db.migrate import has_needed_tables, head_revision

ANSWER_SECONDS = 1.8
"""Seconds that a part may take for its answer, so that the whole answer comes within 2 s."""

MIN_FREE_BYTES = 256 * 2**20
"""Free bytes that the disk of `LOOKBOOK_HOME` needs. Uploads are written there before they reach the blob store."""


@dataclass(frozen=True, slots=True)
class State:
    """The state of the service at one moment."""

    missing: list[str]
    """The parts that do not answer in time, have no room, or are of another version."""
    workers: list[Heartbeat]


class _Check:
    """Runs one check in a thread. While a check hangs, no second one is started."""

    def __init__(self, name: str, run: Callable[[], list[str]], failures: tuple[type[Exception], ...]) -> None:
        """`run` returns the names of what is missing. One of `failures` means that the part `name` is missing."""
        self.name = name
        self._run = run
        self._failures = failures
        self._lock = threading.Lock()
        self._running: Future[list[str]] | None = None

    def start(self) -> Future[list[str]]:
        """Return the answer of the check that runs already, or of a new one."""
        with self._lock:
            if self._running is None or self._running.done():
                self._running = Future()
                arguments = (self._running,)
                threading.Thread(target=self._answer, args=arguments, name=f"ready-{self.name}", daemon=True).start()
            return self._running

    def _answer(self, answer: Future[list[str]]) -> None:
        try:
            answer.set_result(self._run())
        except self._failures:
            answer.set_result([self.name])
        except BaseException as error:  # noqa: BLE001 (the thread of the request raises it)
            answer.set_exception(error)


class Readiness:
    """Judges the parts of the service for `/readyz`."""

    def __init__(self, database: Database, blobs: BlobStore, broker: Broker, home: Path) -> None:
        self._database = database
        self._blobs = blobs
        self._broker = broker
        self._home = home
        self._workers: list[Heartbeat] = []
        self._checks = (
            _Check("database", self._check_database, (SQLAlchemyError,)),
            _Check("blobs", self._check_blobs, (BlobStoreUnavailable, StorageFull)),
            _Check("disk", self._check_disk, (OSError,)),
            _Check("broker", self._check_broker, (BrokerUnavailable,)),
        )

    def read(self, seconds: float = ANSWER_SECONDS) -> State:
        """Return the state of the service after at most `seconds`. Parts without an answer by then are missing."""
        # It is read from files at its first use, which must not count as the database's time.
        head_revision()
        answers = [(check.name, check.start()) for check in self._checks]
        wait([answer for _, answer in answers], timeout=seconds)
        missing = [part for name, answer in answers for part in (answer.result() if answer.done() else [name])]
        if "broker" not in missing:
            return State(missing, self._workers)
        # Without the broker, nothing is known about these two.
        return State([*missing, "worker", "beat"], [])

    def _check_database(self) -> list[str]:
        self._database.ping()
        return [] if has_needed_tables(self._database) else ["schema"]

    def _check_blobs(self) -> list[str]:
        self._blobs.ping()
        return []

    def _check_disk(self) -> list[str]:
        return [] if shutil.disk_usage(self._home).free >= MIN_FREE_BYTES else ["disk"]

    def _check_broker(self) -> list[str]:
        self._workers = self._broker.list_live_workers()
        serves = any(Queue.INTERACTIVE.value in worker.queues for worker in self._workers)
        missing = [] if serves else ["worker"]
        return missing if self._broker.list_live_beats() else [*missing, "beat"]
