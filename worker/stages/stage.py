"""The base class of the fetch and classify stages: take up a chunk, work on it, record it, and send what follows."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog
from sqlalchemy.orm import Session

from broker.client import Broker
from broker.dispatch import announce_end, dispatch
from core import metrics, tracing
from core.messages import ChunkMessage
from db.database import TRANSIENT_ERRORS, Database
from db.outages import retry_outages
from db.steps.chunks import ChunkPolicy
from db.steps.recording import Recorded
from db.tables import Stage
from worker.leases import HeldLeases, SharedExclusiveLock

log = structlog.get_logger(__name__)

Work = TypeVar("Work")


class ChunkStage(ABC, Generic[Work]):
    """Works on the chunks of one stage. All threads of a worker process share one instance."""

    def __init__(self, database: Database, broker: Broker, leases: HeldLeases, policy: ChunkPolicy) -> None:
        self._database = database
        self._broker = broker
        self._leases = leases
        self._policy = policy
        self._record_seconds = metrics.RECORD_SECONDS.labels(self.stage.value)
        # The last attempt at a chunk runs alone in its worker. If the process ends, no other chunk shares the blame.
        self._lock = SharedExclusiveLock()

    @property
    @abstractmethod
    def stage(self) -> Stage:
        """The stage of the chunks."""

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
            if not tracing.has_received_context():
                # The sweeper has sent the message, or the database has listed the chunk.
                self._broker.join_trace(message.job_id)
            attributes = {"lookbook.job": message.job_id, "lookbook.chunk": message.chunk_id}
            with self._leases.attempt(message):
                began = time.monotonic()
                with tracing.span(f"{self.stage} chunk", attributes):
                    recorded = self._work(message, work)
                if recorded is None:
                    return 0
                seconds = time.monotonic() - began
                metrics.CHUNK_SECONDS.labels(self.stage.value).observe(seconds)
                log.info(
                    "chunk_recorded",
                    chunk=message.chunk_id,
                    job=message.job_id,
                    queue=message.queue.value,
                    finished=recorded.finished_items,
                    milliseconds=round(seconds * 1000),
                )
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
            with (
                attempt,
                tracing.span("record"),
                metrics.timed(self._record_seconds),
                self._database.writing() as session,
            ):
                return write(session)
        raise AssertionError("retry_outages either returns a result or raises")
