"""What this worker has in hand: chunks are taken up, renewed while they are worked on, and given back at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from core.clock import utc_now
from core.errors import LookbookError
from core.messages import ChunkMessage
from db.database import TRANSIENT_ERRORS, Database
from db.outages import OUTAGE_ERRORS
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import CHUNK_LEASES, Leasing
from db.tables import Chunk, Discovery

log = structlog.get_logger(__name__)

OUTAGE_PAUSE = timedelta(seconds=2)
"""How long a chunk waits after the database or the blob store was away."""


class HeldLeases:
    """The chunks (or the discoveries) in hand of one worker process."""

    def __init__(
        self,
        database: Database,
        worker: str,
        policy: ChunkPolicy,
        clock: Callable[[], float] = time.monotonic,
        table: Leasing[Chunk] | Leasing[Discovery] = CHUNK_LEASES,
    ) -> None:
        self.worker = worker
        self._database = database
        self._policy = policy
        self._clock = clock
        self._table = table
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

    @contextmanager
    def attempt(self, message: ChunkMessage) -> Iterator[None]:
        """Hold a chunk that was taken up while it is worked on; if that fails, give it back before the error goes on.

        What follows is the sweeper's to decide. That the database or the store was away, or full, is no attempt.
        """
        with self.holding(message.chunk_id):
            try:
                yield
            except Exception as error:
                self._failed(message, error)
                raise

    def _failed(self, message: ChunkMessage, error: Exception) -> None:
        away = isinstance(error, OUTAGE_ERRORS)
        log.warning("not_finished", chunk=message.chunk_id, job=message.job_id, away=away, error=repr(error))
        reason = error.detail if isinstance(error, LookbookError) else repr(error)
        try:
            with self._database.writing() as session:
                if away:
                    self._table.give_back(session, [message.chunk_id], self.worker, utc_now() + OUTAGE_PAUSE, reason)
                else:
                    self._table.fail_attempt(session, message.chunk_id, self.worker, utc_now(), reason)
        except TRANSIENT_ERRORS:
            log.warning("not_given_back", chunk=message.chunk_id, until="its lease ends")

    def renew(self) -> None:
        """Renew what is in hand; but nothing that has been for so long that its thread must be hanging."""
        oldest = self._clock() - self._policy.deadlines.max_hold.total_seconds()
        with self._lock:
            held = [chunk_id for chunk_id, since in self._since.items() if since >= oldest]
        if not held:
            return
        try:
            with self._database.writing() as session:
                self._table.renew(session, held, self.worker, utc_now() + self._policy.deadlines.lease)
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
                self._table.give_back(session, held, self.worker, utc_now(), "its worker was stopped")
        except TRANSIENT_ERRORS as error:
            log.warning("not_given_back", chunks=len(held), reason=str(error.orig))

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._policy.deadlines.renewal_interval.total_seconds()):
            self.renew()


class SharedExclusiveLock:
    """Lets any number of chunks through at once, or one that must be alone."""

    def __init__(self) -> None:
        self.waiting_for_exclusive = 0
        """How many wait to be alone."""
        self._holders = 0
        self._held_exclusively = False
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, *, exclusive: bool) -> Iterator[None]:
        """Be inside until the end of the block; who must be alone goes before those who need not."""
        with self._changed:
            if exclusive:
                self.waiting_for_exclusive += 1
                self._changed.wait_for(lambda: self._holders == 0)
                self.waiting_for_exclusive -= 1
            else:
                self._changed.wait_for(lambda: not self._held_exclusively and self.waiting_for_exclusive == 0)
            self._holders += 1
            self._held_exclusively = exclusive
        try:
            yield
        finally:
            with self._changed:
                self._holders -= 1
                self._held_exclusively = False
                self._changed.notify_all()
