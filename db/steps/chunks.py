"""Chunks: put items into them, send and resend them, take them up, split them and delete them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar, cast

from sqlalchemy import ColumnElement, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.deadlines import Deadlines
from core.ids import new_id
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db.bulk import count_changed
from db.steps import leasing
from db.tables import Chunk, Item, ItemStatus, Job, JobStatus, Priority, Stage

MAX_ATTEMPTS = 3
"""Attempts at a chunk. If the last one also fails, the chunk is split, or its item fails if it is the only one."""

_MIN_ITEMS, _CHUNKS_PER_JOB = 64, 16
"""A job is cut into 16 chunks. Small jobs get fewer chunks, because a chunk has at least 64 items. Large jobs get more,
because `ChunkPolicy.size` limits the items of a chunk."""

_FIRST_SIZES = (8, 16, 32)
"""Numbers of items in the first chunks of a job. They are small, so that its first predictions are visible soon."""

_MAX_FETCH_ITEMS = 32
"""Maximum number of items in a chunk at the stage `fetch`. The chunk is small, because all of them are downloaded
before the first one is classified."""

_QUEUES = {
    (Stage.FETCH, Priority.INTERACTIVE): Queue.FETCH_INTERACTIVE,
    (Stage.FETCH, Priority.NORMAL): Queue.FETCH,
    (Stage.FETCH, Priority.LOW): Queue.FETCH_LOW,
    (Stage.CLASSIFY, Priority.INTERACTIVE): Queue.INTERACTIVE,
    (Stage.CLASSIFY, Priority.NORMAL): Queue.BULK,
    (Stage.CLASSIFY, Priority.LOW): Queue.LOW,
}

_CHUNKS, _ITEMS = cast(Table, Chunk.__table__), cast(Table, Item.__table__)
_COUNT_CHUNKS = select(func.count()).select_from(_CHUNKS).where(_CHUNKS.c.job_id == bindparam("job_id"))
_WAITING_ITEMS = (
    select(_ITEMS.c.id, _ITEMS.c.blob_sha256.is_(None))
    .where(_ITEMS.c.job_id == bindparam("job_id"), _ITEMS.c.status == ItemStatus.PENDING, _ITEMS.c.chunk_id.is_(None))
    .order_by(_ITEMS.c.position)
    .limit(bindparam("max_items"))
)
_INSERT = insert(_CHUNKS)
_MOVE_ITEMS = (
    update(_ITEMS).where(_ITEMS.c.id.in_(bindparam("item_ids", expanding=True))).values(chunk_id=bindparam("to_chunk"))
)
_TAKE = (
    update(_CHUNKS)
    .where(
        _CHUNKS.c.id == bindparam("chunk_id"), _CHUNKS.c.stage == bindparam("at_stage"), _CHUNKS.c.taken_by.is_(None)
    )
    .values(taken_by=bindparam("worker"), attempts=_CHUNKS.c.attempts + 1, due_at=bindparam("until"))
)
_DELETE = delete(_CHUNKS).where(_CHUNKS.c.id == bindparam("chunk_id"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChunkPolicy:
    """The settings by which jobs are cut into chunks and chunks are leased."""

    size: int
    """Maximum number of items in a chunk."""
    window: int
    """Maximum number of chunks of one job that exist at the same time."""
    deadlines: Deadlines

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.chunk_size, settings.chunk_window, Deadlines.of(settings))

    def chunk_sizes(self, total: int, stage: Stage, *, is_beginning: bool) -> Iterator[int]:
        """Yield how many items travel in each of the next chunks of a job of `total` items, without end.

        `is_beginning` says that the job has had no chunk yet: its chunks begin small and grow.
        """
        size = self.items_per_chunk(total, stage)
        if is_beginning:
            yield from (first for first in _FIRST_SIZES if first < size)
        yield from itertools.repeat(size)

    def items_per_chunk(self, total: int, stage: Stage = Stage.CLASSIFY) -> int:
        """Return how many items of a job of `total` items travel in one chunk, after its first chunks.

        Small chunks let small jobs show progress. Large chunks save messages in large jobs.
        """
        if stage is Stage.FETCH:
            return min(self.size, _MAX_FETCH_ITEMS)
        return min(self.size, max(_MIN_ITEMS, total // _CHUNKS_PER_JOB))


def claim(session: Session, job: Job, policy: ChunkPolicy, now: datetime) -> list[ChunkMessage]:
    """Put waiting items of a job into chunks, in order of position, until the job's window is full.

    Return the messages, which the caller sends after the commit. The caller has locked the job's row, so that two
    claims never overlap.
    """
    if job.finished or job.cancel_requested_at is not None:
        return []
    chunk_count = session.scalar(_COUNT_CHUNKS, {"job_id": job.id}) or 0
    room = policy.window - chunk_count
    if room <= 0:
        return []
    max_items = room * max(policy.items_per_chunk(job.total, stage) for stage in Stage)
    rows = session.execute(_WAITING_ITEMS, {"job_id": job.id, "max_items": max_items})
    waiting = ((row[0], bool(row[1])) for row in rows)
    messages = []
    is_beginning = chunk_count == 0 and job.pending == job.total
    for stage, item_ids in _cut(job, waiting, policy, room, is_beginning=is_beginning):
        message = _insert_chunk(session, job, stage, policy, now)
        _move_items(session, item_ids, message.chunk_id)
        messages.append(message)
    return messages


def claim_first(
    session: Session, job: Job, waiting: Iterable[tuple[int, bool]], policy: ChunkPolicy, now: datetime
) -> tuple[list[ChunkMessage], dict[int, str]]:
    """Make the first chunks of a job before its items are stored. They are the same that `claim` would make.

    This saves the query that `claim` needs to read the items back. `waiting` holds the position of each item and
    whether the item lacks its bytes. Return the messages, and a mapping from position to chunk id.
    """
    messages: list[ChunkMessage] = []
    chunk_ids: dict[int, str] = {}
    for stage, positions in _cut(job, waiting, policy, policy.window, is_beginning=True):
        messages.append(_insert_chunk(session, job, stage, policy, now))
        chunk_ids |= dict.fromkeys(positions, messages[-1].chunk_id)
    return messages, chunk_ids


def _cut(
    job: Job, waiting: Iterable[tuple[T, bool]], policy: ChunkPolicy, max_chunks: int, *, is_beginning: bool
) -> Iterator[tuple[Stage, Sequence[T]]]:
    """Yield stage and items of up to `max_chunks` chunks.

    `waiting` holds each item and whether it lacks its bytes. Items with bytes and items without never share a chunk.
    """
    items_of_stage: dict[Stage, list[T]] = {Stage.FETCH: [], Stage.CLASSIFY: []}
    for item, lacks_bytes in waiting:
        items_of_stage[Stage.FETCH if lacks_bytes else Stage.CLASSIFY].append(item)
    for stage, items in items_of_stage.items():
        sizes, start = policy.chunk_sizes(job.total, stage, is_beginning=is_beginning), 0
        while start < len(items) and max_chunks > 0:
            end = start + next(sizes)
            yield stage, items[start:end]
            start, max_chunks = end, max_chunks - 1


def _insert_chunk(session: Session, job: Job, stage: Stage, policy: ChunkPolicy, now: datetime) -> ChunkMessage:
    chunk_id, due_at = new_id("chk"), now + policy.deadlines.lost_message_after
    row = {"id": chunk_id, "job_id": job.id, "stage": stage, "attempts": 0, "queued_at": now, "due_at": due_at}
    session.connection().execute(_INSERT, row)
    return ChunkMessage(chunk_id, job.id, queue_of(stage, job.priority))


def queue_of(stage: Stage, priority: Priority) -> Queue:
    """Return the queue in which chunks of a priority wait for a stage."""
    return _QUEUES[stage, priority]


def _is_last_attempt(attempts: int) -> bool:
    """Return whether the next attempt is the last one.

    Its worker holds no other chunk meanwhile. If the worker dies, it is then certain that this chunk is the cause.
    """
    return attempts + 1 >= MAX_ATTEMPTS


def _move_items(session: Session, item_ids: Sequence[str], chunk_id: str) -> None:
    session.execute(_MOVE_ITEMS, {"item_ids": list(item_ids), "to_chunk": chunk_id})


def take(
    session: Session,
    chunk_id: str,
    worker: str,
    policy: ChunkPolicy,
    now: datetime,
    stage: Stage = Stage.CLASSIFY,
) -> bool:
    """Take up a queued chunk at a stage.

    Return False if it is at another stage, recorded, canceled, or held by another worker.
    """
    until = now + policy.deadlines.lease
    taken = session.connection().execute(
        _TAKE, {"chunk_id": chunk_id, "at_stage": stage, "worker": worker, "until": until}
    )
    return taken.rowcount == 1


def mark_unsent(session: Session, now: datetime, chunk_ids: Collection[str] | None = None) -> None:
    """Note that Redis does not hold the messages of these queued chunks (default: of all), so that they are sent again.

    Chunks that a worker holds are not changed.
    """
    query = update(Chunk).where(Chunk.taken_by.is_(None))
    if chunk_ids is not None:
        query = query.where(Chunk.id.in_(chunk_ids))
    count_changed(session, query.values(queued_at=None, due_at=now))


def find_lost_messages(
    session: Session, empty_queues: Collection[Queue], policy: ChunkPolicy, now: datetime, limit: int = 1000
) -> list[ChunkMessage]:
    """Return the lost messages of queued chunks, which the caller sends again after the commit.

    A message is lost if its queue is among `empty_queues`, or if the length of a lease has passed since it was sent. In
    a long queue a message can still wait by then. A second message does no harm, because a chunk is taken up only once.
    """
    rows = session.execute(
        select(Chunk.id, Chunk.job_id, Chunk.stage, Chunk.attempts, Chunk.queued_at, Job.priority)
        .join(Job, Job.id == Chunk.job_id)
        .where(_waits_and_is_due(policy, now))
        .order_by(Chunk.id)
        .limit(limit)
    ).all()
    lost, waiting = {}, []
    for chunk_id, job_id, stage, attempts, queued_at, priority in rows:
        queue = queue_of(stage, priority)
        is_late = queued_at is None or abs(now - queued_at) >= policy.deadlines.lease
        if queue in empty_queues or is_late:
            lost[chunk_id] = ChunkMessage(chunk_id, job_id, queue, alone=_is_last_attempt(attempts))
        else:
            waiting.append(chunk_id)
    due_at = now + policy.deadlines.lost_message_after
    is_due = _waits_and_is_due(policy, now)
    _update_due(session, waiting, is_due, due_at=due_at)
    return [lost[chunk_id] for chunk_id in _update_due(session, lost, is_due, due_at=due_at, queued_at=now)]


def _waits_and_is_due(policy: ChunkPolicy, now: datetime) -> ColumnElement[bool]:
    longest = max(leasing.LONGEST_PAUSE, policy.deadlines.lease)
    return Chunk.taken_by.is_(None) & leasing.is_due(Chunk.due_at, now, longest)


def _update_due(
    session: Session, chunk_ids: Collection[str], is_due: ColumnElement[bool], **values: datetime
) -> list[str]:
    """Update those of the chunks that are still queued and due, and return their ids.

    Two sweepers never update the same chunk, because after the first update it is not due any more.
    """
    if not chunk_ids:
        return []
    updated = session.scalars(
        update(Chunk)
        .where(Chunk.id.in_(list(chunk_ids)), is_due)
        .values(**values)
        .returning(Chunk.id)
        .execution_options(synchronize_session=False)
    ).all()
    return sorted(updated)


@dataclass(frozen=True, slots=True)
class ExpiredLease:
    """A chunk that was not recorded before its lease ended."""

    chunk_id: str
    job_id: str


def list_expired_leases(session: Session, now: datetime, limit: int = 1000) -> list[ExpiredLease]:
    """Return the chunks whose lease has ended while a worker held them."""
    rows = session.execute(
        select(Chunk.id, Chunk.job_id).where(Chunk.due_at <= now, Chunk.taken_by.is_not(None)).limit(limit)
    )
    return [ExpiredLease(*row) for row in rows]


def get_at_stage(session: Session, chunk_id: str, stage: Stage) -> Chunk | None:
    """Return a chunk if it is still at this stage, otherwise None. The caller has locked the job's row."""
    return session.scalar(
        select(Chunk).where(Chunk.id == chunk_id, Chunk.stage == stage).execution_options(populate_existing=True)
    )


def queue_for_classifying(session: Session, chunk: Chunk, job: Job, policy: ChunkPolicy, now: datetime) -> ChunkMessage:
    """Move a chunk from `fetch` to `classify`. Return its message, which the caller sends after the commit."""
    chunk.stage, chunk.attempts, chunk.taken_by, chunk.error = Stage.CLASSIFY, 0, None, None
    chunk.queued_at, chunk.due_at = now, now + policy.deadlines.lost_message_after
    session.flush()
    return ChunkMessage(chunk.id, job.id, queue_of(chunk.stage, job.priority))


def release_items(session: Session, item_ids: Collection[str]) -> None:
    """Take items out of their chunk, so that a later claim puts them into another one."""
    count_changed(session, update(Item).where(Item.id.in_(item_ids)).values(chunk_id=None))


def requeue(session: Session, chunk: Chunk, now: datetime) -> None:
    """Queue a chunk again whose lease was lost. The sweeper sends its message."""
    chunk.taken_by = None
    chunk.queued_at = None
    chunk.due_at = now


def split(session: Session, chunk: Chunk, item_ids: Sequence[str], now: datetime) -> None:
    """Replace a chunk by two chunks of half its items. Each gets one attempt.

    The half without the bad picture is then recorded.
    """
    middle = len(item_ids) // 2
    for half in (item_ids[:middle], item_ids[middle:]):
        new = Chunk(
            id=new_id("chk"),
            job_id=chunk.job_id,
            stage=chunk.stage,
            attempts=MAX_ATTEMPTS - 1,
            due_at=now,
            queued_at=None,
            error=chunk.error,
        )
        session.add(new)
        session.flush()
        _move_items(session, half, new.id)
    session.delete(chunk)
    session.flush()


def drop_queued(session: Session, job_id: str) -> None:
    """Delete the queued chunks of a job. A worker that receives one of their messages then finds nothing to do."""
    session.execute(
        delete(Chunk)
        .where(Chunk.job_id == job_id, Chunk.taken_by.is_(None))
        .execution_options(synchronize_session=False)
    )


def any_due(session: Session, policy: ChunkPolicy, now: datetime) -> bool:
    """Return whether a chunk is due, so that the sweeper has to look at it."""
    is_due = (Chunk.due_at <= now) | _waits_and_is_due(policy, now)
    return session.scalar(select(Chunk.id).where(is_due).limit(1)) is not None


def list_jobs_with_room(session: Session, policy: ChunkPolicy) -> Iterator[str]:
    """Yield the ids of jobs with waiting items and with fewer chunks than their window allows."""
    chunk_count = select(func.count()).where(Chunk.job_id == Job.id).scalar_subquery()
    waiting = (
        select(Item.id)
        .where(Item.job_id == Job.id, Item.status == ItemStatus.PENDING, Item.chunk_id.is_(None))
        .exists()
    )
    active = Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING))
    not_canceling = Job.cancel_requested_at.is_(None)
    yield from session.scalars(select(Job.id).where(active, not_canceling, chunk_count < policy.window, waiting))


def delete_chunk(session: Session, chunk_id: str) -> None:
    """Delete a chunk that has been recorded, or whose items have all ended."""
    session.execute(_DELETE, {"chunk_id": chunk_id})
