"""Discoveries: who reads which source, how far it is read, and until when it is theirs (docs/adr/0015)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from db.steps.chunks import ChunkPolicy
from db.tables import Discovery, Job, JobSource

MAX_ATTEMPTS = 3
"""A source that was taken up this often without getting on is read no further."""

_IS_DISCOVERING = select(Job.id).where(Job.id == Discovery.job_id, Job.discovering.is_(True)).exists()


@dataclass(frozen=True, slots=True)
class LeasedSource:
    """A source that a worker has in hand, and where its reading goes on."""

    job_id: str
    source: JobSource
    sha256: str
    file_name: str
    position: int
    worker: str

    def at(self, position: int) -> LeasedSource:
        """The same, read further."""
        return replace(self, position=position)


def add(session: Session, job_id: str, sha256: str | None, file_name: str, now: datetime) -> None:
    """Have the source of a job read; the bytes' row is stored already."""
    session.execute(insert(Discovery).values(job_id=job_id, blob_sha256=sha256, file_name=file_name, due_at=now))


def find_next_waiting(session: Session, now: datetime, *, crawls: bool = False) -> str | None:
    """The job whose source has waited longest for a worker: a file to be read, or a shop to be crawled."""
    waiting = Discovery.taken_by.is_(None) & (Discovery.due_at <= now) & Job.discovering.is_(True)
    kind = Job.source == JobSource.CRAWL if crawls else Job.source != JobSource.CRAWL
    query = select(Discovery.job_id).join(Job, Job.id == Discovery.job_id).where(waiting, kind)
    return session.scalar(query.order_by(Discovery.job_id).limit(1))


def take(session: Session, job: Job, worker: str, policy: ChunkPolicy, now: datetime) -> LeasedSource | None:
    """Take a waiting source up; None if it is read already, or in somebody's hands. The caller holds the job's row."""
    if not job.discovering:
        return None
    row = session.execute(
        update(Discovery)
        .where(Discovery.job_id == job.id, Discovery.taken_by.is_(None))
        .values(taken_by=worker, attempts=Discovery.attempts + 1, due_at=now + policy.deadlines.lease)
        .returning(Discovery.blob_sha256, Discovery.file_name, Discovery.position)
        .execution_options(synchronize_session=False)
    ).first()
    if row is None:
        return None
    return LeasedSource(job.id, job.source, row.blob_sha256 or "", row.file_name, row.position, worker)


def is_held(session: Session, job_id: str) -> bool:
    """Whether a worker is reading the source of a job."""
    held = (Discovery.job_id == job_id) & Discovery.taken_by.is_not(None)
    return session.scalar(select(Discovery.job_id).where(held)) is not None


def advance(session: Session, taken: LeasedSource, position: int, policy: ChunkPolicy, now: datetime) -> bool:
    """Note that the source is read up to `position`; False if it is not that worker's any more, or not where it was.

    Two threads that believe to have the same source in hand never get it on from the same position.
    """
    values: dict[str, Any] = {"due_at": now + policy.deadlines.lease}
    if position > taken.position:
        # Not while it is only read again up to where it was: whoever dies then has not got on.
        values |= {"position": position, "attempts": 0, "error": None}
    moved = session.execute(
        update(Discovery)
        .where(_is_held_by(taken), Discovery.position == taken.position)
        .values(values)
        .returning(Discovery.job_id)
        .execution_options(synchronize_session=False)
    )
    return moved.first() is not None


def get_held(session: Session, job_id: str, source: JobSource, worker: str) -> LeasedSource | None:
    """What a worker has in hand, as a process of its own that goes on with it finds it; None if it has it no more."""
    row = session.get(Discovery, job_id)
    if row is None or row.taken_by != worker:
        return None
    return LeasedSource(job_id, source, row.blob_sha256 or "", row.file_name, row.position, worker)


def renew(session: Session, taken: LeasedSource, policy: ChunkPolicy, now: datetime) -> bool:
    """Renew the lease of a source where it was; False if it is not that worker's any more, or not where it was."""
    kept = session.execute(
        update(Discovery)
        .where(_is_held_by(taken), Discovery.position == taken.position)
        .values(due_at=now + policy.deadlines.lease)
        .returning(Discovery.job_id)
        .execution_options(synchronize_session=False)
    )
    return kept.first() is not None


def release(session: Session, taken: LeasedSource) -> bool:
    """Have it in hand no more; False if it is not that worker's."""
    left = session.execute(
        update(Discovery)
        .where(_is_held_by(taken))
        .values(taken_by=None)
        .returning(Discovery.job_id)
        .execution_options(synchronize_session=False)
    )
    return left.first() is not None


def list_lost_leases(session: Session, now: datetime) -> list[str]:
    """Ids of jobs whose source is in the hands of a worker whose lease has ended."""
    lost = (Discovery.due_at <= now) & Discovery.taken_by.is_not(None)
    return list(session.scalars(select(Discovery.job_id).where(lost, _IS_DISCOVERING)))


def _is_held_by(taken: LeasedSource) -> ColumnElement[bool]:
    return (Discovery.job_id == taken.job_id) & (Discovery.taken_by == taken.worker)
