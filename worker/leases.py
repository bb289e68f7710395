"""What this worker has in hand: chunks are taken up, renewed while they are worked on, and given back at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from core.clock import utc_now
from db import chunks
from db.chunks import ChunkPolicy
from db.engine import TRANSIENT_ERRORS, Database

log = structlog.get_logger(__name__)


class Leases:
    """The chunks in hand of one worker process."""

    def __init__(
        self, database: Database, worker: str, policy: ChunkPolicy, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.worker = worker
        self._database = database
        self._policy = policy
        self._clock = clock
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        """Renew in the background from now on."""
        self._thread.start()

    @contextmanager
    def holding(self, chunk_id: str) -> Iterator[None]:
        """Renew the lease of a chunk, which this worker has taken up, until the end of the block."""
        with self._lock:
            self._since[chunk_id] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._since.pop(chunk_id, None)

    def renew(self) -> None:
        """Renew what is in hand; but nothing that has been for so long that its thread must be hanging."""
        oldest = self._clock() - self._policy.deadlines.hold.total_seconds()
        with self._lock:
            held = [chunk_id for chunk_id, since in self._since.items() if since >= oldest]
        if not held:
            return
        try:
            with self._database.writing() as session:
                chunks.renew(session, held, self.worker, self._policy, utc_now())
        except TRANSIENT_ERRORS as error:
            log.warning("leases_not_renewed", chunks=len(held), reason=str(error.orig))

    def give_back(self) -> None:
        """Let others have what is still in hand, at once and at no attempt's cost; nothing is renewed any more."""
        self._stopped.set()
        with self._lock:
            held = list(self._since)
        if not held:
            return
        log.warning("given_back", chunks=len(held), reason="this worker stops")
        try:
            with self._database.writing() as session:
                chunks.hand_back(session, held, self.worker, utc_now(), "its worker was stopped")
        except TRANSIENT_ERRORS as error:
            log.warning("not_given_back", chunks=len(held), reason=str(error.orig))

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._policy.deadlines.renew.total_seconds()):
            self.renew()


class Gate:
    """Lets any number of chunks through at once, or one that must be alone."""

    def __init__(self) -> None:
        self.wanting = 0
        """How many wait to be alone."""
        self._inside = 0
        self._alone = False
        self._changed = threading.Condition()

    @contextmanager
    def passing(self, *, alone: bool) -> Iterator[None]:
        """Be inside until the end of the block; who must be alone goes before those who need not."""
        with self._changed:
            if alone:
                self.wanting += 1
                self._changed.wait_for(lambda: self._inside == 0)
                self.wanting -= 1
            else:
                self._changed.wait_for(lambda: not self._alone and self.wanting == 0)
            self._inside += 1
            self._alone = alone
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._alone = False
                self._changed.notify_all()
