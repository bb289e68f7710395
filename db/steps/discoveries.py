"""Discoveries: which worker holds which source, and how far the source is read (docs/adr/0015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, insert, select, update
from sqlalchemy.orm import Session

from db.bulk import count_changed
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import is_due
from db.tables import Discovery, Job, JobSource

MAX_ATTEMPTS = 5
"""Attempts at a source without progress. After the last one, the source is not read any further."""

_IS_DISCOVERING = select(Job.id).where(Job.id == Discovery.job_id, Job.discovering.is_(True)).exists()


@dataclass(frozen=True, slots=True)
class LeasedSource:
    """A source that a worker holds, with the position at which reading continues."""

    job_id: str
    source: JobSource
    sha256: str
    file_name: str
    position: int
    worker: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """The meanings of columns of the manifest that the client gives: column -> field."""

    def at(self, position: int) -> LeasedSource:
        """Return the same source at a later position."""
        return replace(self, position=position)


def add(session: Session, job_id: str, sha256: str | None, file_name: str, now: datetime) -> None:
    """Add the source of a job, for a worker to read. The row of its blob exists already."""
    session.execute(insert(Discovery).values(job_id=job_id, blob_sha256=sha256, file_name=file_name, due_at=now))


def find_next_waiting(session: Session, now: datetime, *, crawls: bool = False) -> str | None:
    """Return the id of the job whose source has waited longest for a worker.

    With `crawls` only crawls are considered, otherwise only archives and manifests.
    """
    waiting = Discovery.taken_by.is_(None) & is_due(Discovery.due_at, now) & Job.discovering.is_(True)
    kind = Job.source == JobSource.CRAWL if crawls else Job.source != JobSource.CRAWL
    query = select(Discovery.job_id).join(Job, Job.id == Discovery.job_id).where(waiting, kind)
    return session.scalar(query.order_by(Discovery.job_id).limit(1))


def take(session: Session, job: Job, worker: str, policy: ChunkPolicy, now: datetime) -> LeasedSource | None:
    """Take up the source of a job. The caller has locked the job's row.

    Return None if the source has ended, or if another worker holds it.
    """
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
    return LeasedSource(
        job.id, job.source, row.blob_sha256 or "", row.file_name, row.position, worker, job.columns or {}
    )


def is_held(session: Session, job_id: str) -> bool:
    """Return whether a worker holds the source of a job."""
    held = (Discovery.job_id == job_id) & Discovery.taken_by.is_not(None)
    return session.scalar(select(Discovery.job_id).where(held)) is not None


def advance(session: Session, source: LeasedSource, position: int, policy: ChunkPolicy, now: datetime) -> bool:
    """Store that a source is read up to `position`, and renew its lease.

    Return False if the worker does not hold the source any more, or if another thread has advanced it. Two threads
    that both believe to hold a source therefore never advance it from the same position.
    """
    values: dict[str, Any] = {"due_at": now + policy.deadlines.lease}
    if position > source.position:
        # The attempts start anew only with progress. A worker that dies before it gets beyond the old position has
        # made none.
        values |= {"position": position, "attempts": 0, "error": None}
    return _update_at_position(session, source, values)


def get_held(session: Session, job_id: str, source: JobSource, worker: str) -> LeasedSource | None:
    """Return the source of a job as `worker` holds it. None if the worker does not hold it any more.

    The process of a crawl uses it to continue with the source that its worker has taken up.
    """
    row = session.get(Discovery, job_id)
    if row is None or row.taken_by != worker:
        return None
    return LeasedSource(job_id, source, row.blob_sha256 or "", row.file_name, row.position, worker)


def renew(session: Session, source: LeasedSource, policy: ChunkPolicy, now: datetime) -> bool:
    """Renew the lease of a source at the same position.

    Return False if the worker does not hold the source any more, or if another thread has advanced it.
    """
    return _update_at_position(session, source, {"due_at": now + policy.deadlines.lease})


def _update_at_position(session: Session, source: LeasedSource, values: dict[str, Any]) -> bool:
    at_position = Discovery.position == source.position
    return count_changed(session, update(Discovery).where(_is_held_by(source), at_position).values(values)) == 1


def release(session: Session, source: LeasedSource) -> bool:
    """End the worker's lease of a source. Return False if the worker does not hold it any more."""
    return count_changed(session, update(Discovery).where(_is_held_by(source)).values(taken_by=None)) == 1


def list_expired_leases(session: Session, now: datetime) -> list[str]:
    """Return the ids of jobs whose source has a lease that has ended while a worker held it."""
    lost = (Discovery.due_at <= now) & Discovery.taken_by.is_not(None)
    return list(session.scalars(select(Discovery.job_id).where(lost, _IS_DISCOVERING)))


def _is_held_by(source: LeasedSource) -> ColumnElement[bool]:
    return (Discovery.job_id == source.job_id) & (Discovery.taken_by == source.worker)
