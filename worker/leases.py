"""The leases that a worker process holds: it renews them while it works, and ends them if it fails or stops."""

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
"""How long a chunk waits for its next attempt after the database or the blob store was unavailable."""


class HeldLeases:
    """The leases of one worker process on chunks, or on discoveries if `table` says so. A thread renews them."""

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
        self._held_since: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-renewal", daemon=True)

    def start(self) -> None:
        """Renew the held leases in the background from now on."""
        self._thread.start()

    @contextmanager
    def holding(self, lease_id: str) -> Iterator[None]:
        """Keep renewing a lease until the end of the block. The worker has taken up the chunk or discovery already."""
        with self._lock:
            self._held_since[lease_id] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                self._held_since.pop(lease_id, None)

    @contextmanager
    def attempt(self, message: ChunkMessage) -> Iterator[None]:
        """Hold the lease of a chunk while the block works on it. If the block raises, end the lease first.

        The sweeper then decides what follows.
        """
        with self.holding(message.chunk_id):
            try:
                yield
            except Exception as error:
                self._end_attempt(message, error)
                raise

    def _end_attempt(self, message: ChunkMessage, error: Exception) -> None:
        """End the lease. An outage does not count as an attempt, any other error does.

        A database or a blob store that is unavailable is an outage, and so is a full blob store.
        """
        outage = isinstance(error, OUTAGE_ERRORS)
        log.warning("chunk_not_finished", chunk=message.chunk_id, job=message.job_id, outage=outage, error=repr(error))
        reason = error.detail if isinstance(error, LookbookError) else repr(error)
        try:
            with self._database.writing() as session:
                if outage:
                    self._table.give_back(session, [message.chunk_id], self.worker, utc_now() + OUTAGE_PAUSE, reason)
                else:
                    self._table.fail_attempt(session, message.chunk_id, self.worker, utc_now(), reason)
        except TRANSIENT_ERRORS:
            log.warning("lease_not_ended", chunk=message.chunk_id, until="its lease ends")

    def renew(self) -> None:
        """Renew the held leases, except those held for so long that their thread must be hanging."""
        earliest = self._clock() - self._policy.deadlines.max_hold.total_seconds()
        with self._lock:
            renewable = [lease_id for lease_id, since in self._held_since.items() if since >= earliest]
        if not renewable:
            return
        try:
            with self._database.writing() as session:
                self._table.renew(session, renewable, self.worker, utc_now() + self._policy.deadlines.lease)
        except TRANSIENT_ERRORS as error:
            log.warning("leases_not_renewed", count=len(renewable), reason=str(error.orig))

    def give_back(self) -> None:
        """Give back all held leases without counting an attempt, and renew nothing from now on."""
        self._stopped.set()
        with self._lock:
            held = list(self._held_since)
        if not held:
            return
        log.warning("leases_given_back", count=len(held), reason="this worker stops")
        try:
            with self._database.writing() as session:
                self._table.give_back(session, held, self.worker, utc_now(), "its worker was stopped")
        except TRANSIENT_ERRORS as error:
            log.warning("leases_not_given_back", count=len(held), reason=str(error.orig))

    def stop(self) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._policy.deadlines.renewal_interval.total_seconds()):
            self.renew()


class SharedExclusiveLock:
    """A lock that any number of threads can share, or that one thread holds alone."""

    def __init__(self) -> None:
        self.waiting_for_exclusive = 0
        """Number of threads that wait to hold the lock alone."""
        self._holders = 0
        self._held_exclusively = False
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the lock until the end of the block. Threads that want it alone go before threads that share it."""
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
