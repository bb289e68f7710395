"""Chunks: which items travel together, who holds them and until when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.ids import new_id
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db.models import Chunk, Item, ItemStatus, Job, JobStatus, Priority

MAX_ATTEMPTS = 3
"""A chunk that was sent this often without being recorded is given up."""

_SMALLEST, _STEPS = 32, 16
"""A chunk holds a sixteenth of its job, but never fewer items than this (nor more than the policy says)."""

_QUEUES = {
    Priority.INTERACTIVE: Queue.INTERACTIVE,
    Priority.NORMAL: Queue.BULK,
    Priority.LOW: Queue.LOW,
}


@dataclass(frozen=True, slots=True)
class ChunkPolicy:
    """How jobs are cut into chunks: most items per chunk, chunks of one job under way at once, and the lease."""

    size: int
    window: int
    lease: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.chunk_size, settings.chunk_window, timedelta(seconds=settings.lease_seconds))

    def items_per_chunk(self, total: int) -> int:
        """How many items of a job of `total` travel together: small jobs show progress, large ones save messages."""
        return min(self.size, max(_SMALLEST, total // _STEPS))


def claim(session: Session, job: Job, policy: ChunkPolicy, now: datetime) -> list[ChunkMessage]:
    """Lease as many of the job's waiting items as its window has room for, in order of position.

    The messages go out after the commit. The caller holds the job's row, so two claims never overlap.
    """
    under_way = session.scalar(select(func.count()).where(Chunk.job_id == job.id)) or 0
    room = policy.window - under_way
    if room <= 0:
        return []
    size = policy.items_per_chunk(job.total)
    waiting = (
        select(Item.id)
        .where(Item.job_id == job.id, Item.status == ItemStatus.PENDING, Item.chunk_id.is_(None))
        .order_by(Item.position)
        .limit(room * size)
    )
    item_ids = session.scalars(waiting).all()
    messages = []
    for start in range(0, len(item_ids), size):
        message = _lease(session, job, policy, now)
        session.execute(
            update(Item)
            .where(Item.id.in_(item_ids[start : start + size]))
            .values(chunk_id=message.chunk_id)
            .execution_options(synchronize_session=False)
        )
        messages.append(message)
    return messages


def lease_first(
    session: Session, job: Job, positions: Sequence[int], policy: ChunkPolicy, now: datetime
) -> tuple[list[ChunkMessage], dict[int, str]]:
    """Lease the first chunks of a job whose items are about to be stored at `positions`.

    The messages, and the chunk of each position that is in one: what `claim` would do, without reading them back.
    """
    size = policy.items_per_chunk(job.total)
    messages: list[ChunkMessage] = []
    chunk_of: dict[int, str] = {}
    for start in range(0, min(len(positions), policy.window * size), size):
        messages.append(_lease(session, job, policy, now))
        chunk_of |= dict.fromkeys(positions[start : start + size], messages[-1].chunk_id)
    return messages, chunk_of


def _lease(session: Session, job: Job, policy: ChunkPolicy, now: datetime) -> ChunkMessage:
    chunk_id = new_id("chk")
    session.execute(insert(Chunk).values(id=chunk_id, job_id=job.id, attempts=1, leased_until=now + policy.lease))
    return ChunkMessage(chunk_id, job.id, _QUEUES[job.priority])


def release(session: Session, chunk_ids: list[str], now: datetime) -> None:
    """End the lease of chunks that could not be sent: the sweeper's next round sends them, at no attempt's cost."""
    session.execute(
        update(Chunk)
        .where(Chunk.id.in_(chunk_ids))
        .values(leased_until=now, attempts=Chunk.attempts - 1)
        .execution_options(synchronize_session=False)
    )


def release_all(session: Session, now: datetime) -> int:
    """End every lease, because whoever held them is known to be gone. Returns how many there were."""
    held = session.scalars(select(Chunk.id).where(Chunk.leased_until > now)).all()
    release(session, list(held), now)
    return len(held)


def send_again(session: Session, policy: ChunkPolicy, now: datetime, limit: int = 100) -> list[ChunkMessage]:
    """Renew the lease of overdue chunks that have attempts left; the messages to send after the commit."""
    overdue = (
        select(Chunk, Job.priority)
        .join(Job, Job.id == Chunk.job_id)
        .where(Chunk.leased_until <= now, Chunk.attempts < MAX_ATTEMPTS)
        .order_by(Chunk.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Chunk)
    )
    messages = []
    for chunk, priority in session.execute(overdue).all():
        chunk.attempts += 1
        chunk.leased_until = now + policy.lease
        messages.append(ChunkMessage(chunk.id, chunk.job_id, _QUEUES[priority]))
    return messages


def any_overdue(session: Session, now: datetime) -> bool:
    """Whether some chunk has outlived its lease."""
    return session.scalar(select(Chunk.id).where(Chunk.leased_until <= now).limit(1)) is not None


def hand_back(session: Session, chunk_id: str, now: datetime) -> None:
    """End the lease of a chunk that its worker could not finish; the attempt counts."""
    session.execute(update(Chunk).where(Chunk.id == chunk_id).values(leased_until=now))


def given_up(session: Session, now: datetime) -> list[ChunkMessage]:
    """Overdue chunks without attempts left."""
    rows = session.execute(
        select(Chunk.id, Chunk.job_id, Job.priority)
        .join(Job, Job.id == Chunk.job_id)
        .where(Chunk.leased_until <= now, Chunk.attempts >= MAX_ATTEMPTS)
    )
    return [ChunkMessage(chunk_id, job_id, _QUEUES[priority]) for chunk_id, job_id, priority in rows]


def jobs_with_room(session: Session, policy: ChunkPolicy) -> Iterator[str]:
    """Ids of jobs that have items waiting and fewer chunks under way than their window."""
    under_way = select(func.count()).where(Chunk.job_id == Job.id).scalar_subquery()
    waiting = (
        select(Item.id)
        .where(Item.job_id == Job.id, Item.status == ItemStatus.PENDING, Item.chunk_id.is_(None))
        .exists()
    )
    active = Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING))
    yield from session.scalars(select(Job.id).where(active, under_way < policy.window, waiting))


def forget(session: Session, chunk_id: str) -> None:
    """The chunk has been recorded."""
    session.execute(delete(Chunk).where(Chunk.id == chunk_id).execution_options(synchronize_session=False))
