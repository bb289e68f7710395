"""What the stages of a picture's way have in common: take a chunk up, work on it, record it, and tell what follows."""

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
    """Works on the chunks of one stage. One for a whole worker process, used by all its threads."""

    def __init__(self, database: Database, broker: Broker, leases: HeldLeases, policy: ChunkPolicy) -> None:
        self._database = database
        self._broker = broker
        self._leases = leases
        self._policy = policy
        self._lock = SharedExclusiveLock()

    @abstractmethod
    def _take(self, message: ChunkMessage) -> Work | None:
        """Take a chunk up; what is to be done, None if there is nothing to do."""

    @abstractmethod
    def _work(self, message: ChunkMessage, work: Work) -> Recorded | None:
        """Do it and record it; None if somebody else has meanwhile."""

    def work_on(self, message: ChunkMessage) -> int:
        """Work on a chunk and record what came of it; how many of its items became terminal.

        A chunk that was recorded or canceled, or that somebody has in hand, is nothing to do: 0. If it cannot be
        finished, it is given back before the error is raised.
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
                if recorded.job_terminal:
                    announce_end(
                        self._broker,
                        message.job_id,
                        webhook=recorded.webhook,
                        has_several_items=recorded.has_several_items,
                    )
                return recorded.items

    def _record(self, write: Callable[[Session], Recorded]) -> Recorded:
        """Record what was worked for; a database that is away for a moment does not make it worthless."""
        for attempt in retry_outages(self._policy.deadlines.max_hold, TRANSIENT_ERRORS):
            with attempt, self._database.writing() as session:
                return write(session)
        raise AssertionError("either recorded or raised")
