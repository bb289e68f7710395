"""Chunks: which items travel together, who has them in hand and until when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self, TypeVar, cast

from sqlalchemy import Table, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from core.deadlines import Deadlines
from core.ids import new_id
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db.tables import Chunk, Item, ItemStatus, Job, JobStatus, Priority, Stage

MAX_ATTEMPTS = 3
"""A chunk that was taken up this often without being recorded is split, or given up if it holds one picture."""

_MIN_ITEMS, _CHUNKS_PER_JOB = 64, 16
"""A chunk holds a sixteenth of its job, but never fewer items than this (nor more than the policy says)."""

_MAX_FETCH_ITEMS = 32
"""Most items of a chunk that is to be fetched: all of them arrive before the first is classified."""

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
    .limit(bindparam("most"))
)
_QUEUE = insert(_CHUNKS)
_MOVE = (
    update(_ITEMS).where(_ITEMS.c.id.in_(bindparam("item_ids", expanding=True))).values(chunk_id=bindparam("to_chunk"))
)
_TAKE = (
    update(_CHUNKS)
    .where(_CHUNKS.c.id == bindparam("wanted"), _CHUNKS.c.stage == bindparam("at_stage"), _CHUNKS.c.taken_by.is_(None))
    .values(taken_by=bindparam("worker"), attempts=_CHUNKS.c.attempts + 1, due_at=bindparam("until"))
)
_DELETE = delete(_CHUNKS).where(_CHUNKS.c.id == bindparam("chunk_id"))

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChunkPolicy:
    """How jobs are cut into chunks: most items per chunk, chunks of one job under way at once, and the deadlines."""

    size: int
    window: int
    deadlines: Deadlines

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.chunk_size, settings.chunk_window, Deadlines.of(settings))

    def items_per_chunk(self, total: int, stage: Stage = Stage.CLASSIFY) -> int:
        """How many items of a job of `total` travel together: small jobs show progress, large ones save messages."""
        if stage is Stage.FETCH:
            return min(self.size, _MAX_FETCH_ITEMS)
        return min(self.size, max(_MIN_ITEMS, total // _CHUNKS_PER_JOB))


def claim(session: Session, job: Job, policy: ChunkPolicy, now: datetime) -> list[ChunkMessage]:
    """Make chunks of as many of the job's waiting items as its window has room for, in order of position.

    The messages go out after the commit. The caller holds the job's row, so two claims never overlap.
    """
    if job.terminal or job.cancel_requested_at is not None:
        return []
    under_way = session.scalar(_COUNT_CHUNKS, {"job_id": job.id}) or 0
    room = policy.window - under_way
    if room <= 0:
        return []
    most = room * max(policy.items_per_chunk(job.total, stage) for stage in Stage)
    rows = session.execute(_WAITING_ITEMS, {"job_id": job.id, "most": most})
    waiting = ((row[0], bool(row[1])) for row in rows)
    messages = []
    for stage, item_ids in _cut(job, waiting, policy, room):
        message = _queue(session, job, stage, policy, now)
        _move(session, item_ids, message.chunk_id)
        messages.append(message)
    return messages


def claim_first(
    session: Session, job: Job, waiting: Iterable[tuple[int, bool]], policy: ChunkPolicy, now: datetime
) -> tuple[list[ChunkMessage], dict[int, str]]:
    """Make the first chunks of a job whose items are about to be stored: positions, and whether each lacks its bytes.

    The messages, and the chunk of each position that is in one: what `claim` would do, without reading them back.
    """
    messages: list[ChunkMessage] = []
    chunk_of: dict[int, str] = {}
    for stage, positions in _cut(job, waiting, policy, policy.window):
        messages.append(_queue(session, job, stage, policy, now))
        chunk_of |= dict.fromkeys(positions, messages[-1].chunk_id)
    return messages, chunk_of


def _cut(
    job: Job, waiting: Iterable[tuple[T, bool]], policy: ChunkPolicy, most: int
) -> Iterator[tuple[Stage, Sequence[T]]]:
    """Up to `most` chunks of items, given with whether each lacks its bytes: those that do travel among themselves."""
    of_stage: dict[Stage, list[T]] = {Stage.FETCH: [], Stage.CLASSIFY: []}
    for item, lacking in waiting:
        of_stage[Stage.FETCH if lacking else Stage.CLASSIFY].append(item)
    for stage, items in of_stage.items():
        size = policy.items_per_chunk(job.total, stage)
        for start in range(0, min(len(items), most * size), size):
            most -= 1
            yield stage, items[start : start + size]


def _queue(session: Session, job: Job, stage: Stage, policy: ChunkPolicy, now: datetime) -> ChunkMessage:
    chunk_id, due_at = new_id("chk"), now + policy.deadlines.lost_message_after
    row = {"id": chunk_id, "job_id": job.id, "stage": stage, "attempts": 0, "queued_at": now, "due_at": due_at}
    session.connection().execute(_QUEUE, row)
    return ChunkMessage(chunk_id, job.id, queue_of(stage, job.priority))


def queue_of(stage: Stage, priority: Priority) -> Queue:
    """The queue through which the chunks of jobs of this priority go to a stage."""
    return _QUEUES[stage, priority]


def _is_last_attempt(attempts: int) -> bool:
    """Whether the next attempt is the last: then nothing else may be in hand beside it, so that blame is certain."""
    return attempts + 1 >= MAX_ATTEMPTS


def _move(session: Session, item_ids: Sequence[str], chunk_id: str) -> None:
    session.execute(_MOVE, {"item_ids": list(item_ids), "to_chunk": chunk_id})


def take(
    session: Session,
    chunk_id: str,
    worker: str,
    policy: ChunkPolicy,
    now: datetime,
    stage: Stage = Stage.CLASSIFY,
) -> bool:
    """Take a queued chunk up for a stage.

    False if it is at another stage, recorded, canceled, or in somebody's hands: nothing to do, then.
    """
    until = now + policy.deadlines.lease
    found = session.connection().execute(
        _TAKE, {"wanted": chunk_id, "at_stage": stage, "worker": worker, "until": until}
    )
    return found.rowcount == 1


def mark_unsent(session: Session, now: datetime, chunk_ids: Collection[str] | None = None) -> None:
    """The messages of these queued chunks (of all, by default) are not in Redis: they are to be sent (again) now."""
    query = update(Chunk).where(Chunk.taken_by.is_(None))
    if chunk_ids is not None:
        query = query.where(Chunk.id.in_(chunk_ids))
    session.execute(query.values(queued_at=None, due_at=now).execution_options(synchronize_session=False))


def find_lost_messages(
    session: Session, empty: Collection[Queue], policy: ChunkPolicy, now: datetime, limit: int = 1000
) -> list[ChunkMessage]:
    """The messages of queued chunks that are lost; `empty` are the queues in which no message waits.

    A message that waits in a long queue is not lost: it is sent again only once a lease (see `policy`) has passed since
    it was sent. Twice in a queue does no harm, since a chunk is taken up once.
    """
    rows = session.execute(
        select(Chunk.id, Chunk.job_id, Chunk.stage, Chunk.attempts, Chunk.queued_at, Job.priority)
        .join(Job, Job.id == Chunk.job_id)
        .where(Chunk.due_at <= now, Chunk.taken_by.is_(None))
        .order_by(Chunk.id)
        .limit(limit)
    ).all()
    lost, waiting = {}, []
    for chunk_id, job_id, stage, attempts, queued_at, priority in rows:
        queue = queue_of(stage, priority)
        if queue in empty or queued_at is None or queued_at <= now - policy.deadlines.lease:
            lost[chunk_id] = ChunkMessage(chunk_id, job_id, queue, alone=_is_last_attempt(attempts))
        else:
            waiting.append(chunk_id)
    due_at = now + policy.deadlines.lost_message_after
    _update_due(session, waiting, now, due_at=due_at)
    return [lost[chunk_id] for chunk_id in _update_due(session, lost, now, due_at=due_at, queued_at=now)]


def _update_due(session: Session, chunk_ids: Collection[str], now: datetime, **values: datetime) -> list[str]:
    """Set values of those chunks that are still queued and due; which they are. Two sweepers never touch the same."""
    if not chunk_ids:
        return []
    touched = session.scalars(
        update(Chunk)
        .where(Chunk.id.in_(list(chunk_ids)), Chunk.taken_by.is_(None), Chunk.due_at <= now)
        .values(**values)
        .returning(Chunk.id)
        .execution_options(synchronize_session=False)
    ).all()
    return sorted(touched)


@dataclass(frozen=True, slots=True)
class LostLease:
    """A chunk whose worker has not finished it within its lease."""

    chunk_id: str
    job_id: str


def list_lost_leases(session: Session, now: datetime, limit: int = 1000) -> list[LostLease]:
    """Chunks in hand whose lease has ended."""
    rows = session.execute(
        select(Chunk.id, Chunk.job_id).where(Chunk.due_at <= now, Chunk.taken_by.is_not(None)).limit(limit)
    )
    return [LostLease(*row) for row in rows]


def get_at_stage(session: Session, chunk_id: str, stage: Stage) -> Chunk | None:
    """The chunk as it stands, if it is (still) at this stage. The caller holds the job's row."""
    return session.scalar(
        select(Chunk).where(Chunk.id == chunk_id, Chunk.stage == stage).execution_options(populate_existing=True)
    )


def queue_for_classifying(session: Session, chunk: Chunk, job: Job, policy: ChunkPolicy, now: datetime) -> ChunkMessage:
    """Queue a chunk whose pictures have been fetched for being classified; its message goes out after the commit."""
    chunk.stage, chunk.attempts, chunk.taken_by, chunk.error = Stage.CLASSIFY, 0, None, None
    chunk.queued_at, chunk.due_at = now, now + policy.deadlines.lost_message_after
    session.flush()
    return ChunkMessage(chunk.id, job.id, queue_of(chunk.stage, job.priority))


def release_items(session: Session, item_ids: Collection[str]) -> None:
    """These items wait in the database again: they travel in the next chunk that is made of their job."""
    session.execute(
        update(Item).where(Item.id.in_(item_ids)).values(chunk_id=None).execution_options(synchronize_session=False)
    )


def requeue(session: Session, chunk: Chunk, now: datetime) -> None:
    """Let a chunk whose lease was lost be sent again."""
    chunk.taken_by = None
    chunk.queued_at = None
    chunk.due_at = now


def split(session: Session, chunk: Chunk, item_ids: Sequence[str], now: datetime) -> None:
    """Replace a chunk by two of half its items, with one attempt each: one of them does not hold the bad picture."""
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
        _move(session, half, new.id)
    session.delete(chunk)
    session.flush()


def drop_queued(session: Session, job_id: str) -> None:
    """Delete the chunks of a job that nobody has in hand: their messages find nothing."""
    session.execute(
        delete(Chunk)
        .where(Chunk.job_id == job_id, Chunk.taken_by.is_(None))
        .execution_options(synchronize_session=False)
    )


def any_due(session: Session, now: datetime) -> bool:
    """Whether the sweeper has to look at some chunk."""
    return session.scalar(select(Chunk.id).where(Chunk.due_at <= now).limit(1)) is not None


def list_jobs_with_room(session: Session, policy: ChunkPolicy) -> Iterator[str]:
    """Ids of jobs that have items waiting and fewer chunks under way than their window."""
    under_way = select(func.count()).where(Chunk.job_id == Job.id).scalar_subquery()
    waiting = (
        select(Item.id)
        .where(Item.job_id == Job.id, Item.status == ItemStatus.PENDING, Item.chunk_id.is_(None))
        .exists()
    )
    active = Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING))
    wanted = active & Job.cancel_requested_at.is_(None)
    yield from session.scalars(select(Job.id).where(wanted, under_way < policy.window, waiting))


def delete_chunk(session: Session, chunk_id: str) -> None:
    """The chunk has been recorded."""
    session.execute(_DELETE, {"chunk_id": chunk_id})
