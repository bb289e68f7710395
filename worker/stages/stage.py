"""The base class of the fetch and classify stages: take up a chunk, work on it, record it, and send what follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from broker.client import Broker
from broker.dispatch import announce_end, dispatch
from core.messages import ChunkMessage
from db.database import TRANSIENT_ERRORS, Database
from db.outages import retry_outages
from db.steps.chunks import ChunkPolicy
from db.steps.recording import Recorded
from worker.leases import HeldLeases, SharedExclusiveLock

Work = TypeVar("Work")


class ChunkStage(ABC, Generic[Work]):
    """Works on the chunks of one stage. All threads of a worker process share one instance."""

    def __init__(self, database: Database, broker: Broker, leases: HeldLeases, policy: ChunkPolicy) -> None:
        self._database = database
        self._broker = broker
        self._leases = leases
        self._policy = policy
        # The last attempt at a chunk runs alone in its worker. If the process ends, no other chunk shares the blame.
        self._lock = SharedExclusiveLock()

    @abstractmethod
    def _take(self, message: ChunkMessage) -> Work | None:
        """Take up a chunk. Return the work on it, or None if there is nothing to do."""

    @abstractmethod
    def _work(self, message: ChunkMessage, work: Work) -> Recorded | None:
        """Work on the chunk and record the outcome. Return None if another worker has recorded it in the meantime."""

    def work_on(self, message: ChunkMessage) -> int:
        """Work on a chunk and record the outcome. Return how many of its items reached their final state.

        Return 0 for a chunk that is recorded or canceled already, or that another worker holds. If the chunk cannot be
        finished, its lease ends before the error is raised.
        """
        with self._lock.holding(exclusive=message.alone):
            work = self._take(message)
            if work is None:
                return 0
            with self._leases.attempt(message):
                recorded = self._work(message, work)
                if recorded is None:
                    return 0
                dispatch(self._database, self._broker, recorded.next_chunks)
                if recorded.job_finished:
                    announce_end(
                        self._broker,
                        message.job_id,
                        webhook=recorded.has_webhook,
                        has_several_items=recorded.has_several_items,
                    )
                return recorded.finished_items

    def _record(self, write: Callable[[Session], Recorded]) -> Recorded:
        """Call `write` in a transaction and return its result. Try again while the database is unavailable."""
        for attempt in retry_outages(self._policy.deadlines.max_hold, TRANSIENT_ERRORS):
            with attempt, self._database.writing() as session:
                return write(session)
        raise AssertionError("retry_outages either returns a result or raises")
