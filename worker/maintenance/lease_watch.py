"""End the leases of dead workers before they run out (docs/adr/0037).

A worker counts as dead if both of its signs of life are missing: nothing comes to Redis, and its leases in the database
keep their ends. No clocks of two machines are compared. The age of a heartbeat comes from Redis, and whether a lease is
renewed shows in its end, which this process reads again and again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import structlog

from broker.client import Broker
from core.clock import utc_now
from core.errors import BrokerUnavailable
from core.messages import SWEEP
from db.database import TRANSIENT_ERRORS, Database
from db.steps import chunks, discoveries
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import CHUNK_LEASES, SOURCE_LEASES, HeldLease, Leasing

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""Seconds between two looks at the leases."""

_MAX_GAP_SECONDS = 3 * LOOK_SECONDS
"""Longest time between two looks that belong together. After a longer one, all observations begin anew: this process
was paused or cut off, so the workers may have been cut off as well and must get the time to show that they live."""

_TABLES: dict[str, tuple[Leasing[Any], int]] = {
    "chunks": (CHUNK_LEASES, chunks.MAX_ATTEMPTS),
    "sources": (SOURCE_LEASES, discoveries.MAX_ATTEMPTS),
}
"""The tables with leases, and the attempts after which each of them gives up."""


class LeaseWatch:
    """Looks every second at all leases, and ends those of dead workers. Several watches do no harm to each other."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        policy: ChunkPolicy,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._broker = broker
        self._silence = policy.deadlines.silence.total_seconds()
        self._monotonic = monotonic
        self._clock = clock
        self._seen: dict[tuple[str, HeldLease], float] = {}
        """When each lease was first seen with its present end."""
        self._last_look = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    def look(self) -> int:
        """Look once, and return the number of leases that were ended."""
        try:
            dead = self._find_leases_of_dead_workers()
            return self._end(dead) if dead else 0
        except (BrokerUnavailable, *TRANSIENT_ERRORS) as error:
            log.info("leases_not_watched", reason=str(error))
            # A worker that shares this outage cannot show a sign of life either.
            self._seen = {}
            return 0

    def _find_leases_of_dead_workers(self) -> list[tuple[str, HeldLease]]:
        with self._database.reading() as session:
            held = [
                (name, lease)
                for name, (table, max_attempts) in _TABLES.items()
                for lease in table.list_held(session, max_attempts)
            ]
        # Redis is asked at every look, so that an outage of Redis begins all observations anew.
        silent = self._broker.find_silent_workers({lease.worker for _, lease in held}, self._silence)
        now = self._monotonic()
        known = self._seen if now - self._last_look <= _MAX_GAP_SECONDS else {}
        self._last_look = now
        self._seen = {lease: known.get(lease, now) for lease in held}
        unrenewed = (lease for lease, since in self._seen.items() if now - since >= self._silence)
        return [(name, lease) for name, lease in unrenewed if lease.worker in silent]

    def _end(self, dead: list[tuple[str, HeldLease]]) -> int:
        now, ended = self._clock(), 0
        with self._database.writing() as session:
            for name, (table, _) in _TABLES.items():
                ended += table.end_unrenewed(session, [lease for of, lease in dead if of == name], now)
        workers = sorted({lease.worker for _, lease in dead})
        log.warning("worker_lost", workers=workers, leases=ended, reason="no heartbeat and no renewal")
        # The sweeper decides what follows.
        self._broker.queue_tasks(SWEEP)
        return ended

    def _run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            self.look()
