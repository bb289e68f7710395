"""Remove sources that have ended, the items of deleted and expired jobs, and blobs and predictions without a use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from db.bulk import on_postgresql
from db.steps import lifecycle, tallies
from db.tables import (
    FINISHED,
    Acceptance,
    Blob,
    CrawlUrl,
    Discovery,
    HintRun,
    Item,
    Job,
    JobMap,
    Prediction,
    Product,
)

MAX_ITEMS_AT_ONCE = 500
"""How many items one transaction removes."""


@dataclass(frozen=True, slots=True)
class Removed:
    """The items that one transaction has removed."""

    items: int
    """How many they are."""
    blobs: list[str]
    """SHA-256 of the removed blobs. The caller deletes their bytes before it commits."""


def list_jobs_to_purge(session: Session, now: datetime) -> list[str]:
    """Return the ids of jobs that were deleted, or that are past their retention and not purged yet."""
    expired = Job.status.in_(FINISHED) & (Job.expires_at <= now) & Job.purged_at.is_(None)
    return list(session.scalars(select(Job.id).where(Job.deleted_at.is_not(None) | expired)))


def remove_items(session: Session, job_id: str) -> Removed:
    """Remove some items of a job, and the rows of blobs and predictions to which no item refers any more."""
    if lifecycle.lock_job(session, job_id) is None:
        return Removed(0, [])
    rows = session.execute(
        select(Item.id, Item.blob_sha256).where(Item.job_id == job_id).limit(MAX_ITEMS_AT_ONCE)
    ).all()
    if not rows:
        return Removed(0, [])
    session.execute(delete(Item).where(Item.id.in_([row.id for row in rows])))
    candidates = sorted({row.blob_sha256 for row in rows if row.blob_sha256})
    return Removed(len(rows), _remove_blobs(session, candidates))


def _remove_blobs(session: Session, candidates: Sequence[str]) -> list[str]:
    if not candidates:
        return []
    unused = _unused(candidates)
    if on_postgresql(session):
        # A submission locks the rows of the blobs to which it is about to refer, and these are skipped. The others are
        # locked and then checked again, because a submission may have been committed between the two queries.
        lockable = select(Blob.sha256).where(unused).order_by(Blob.sha256).with_for_update(skip_locked=True)
        candidates = list(session.scalars(lockable))
        unused = _unused(candidates)
    removed = list(session.scalars(select(Blob.sha256).where(unused)))
    session.execute(delete(Prediction).where(Prediction.blob_sha256.in_(removed)))
    session.execute(delete(Blob).where(Blob.sha256.in_(removed)))
    return removed


def _unused(candidates: Sequence[str]) -> ColumnElement[bool]:
    is_picture = select(Item.id).where(Item.blob_sha256 == Blob.sha256).exists()
    is_source = select(Discovery.job_id).where(Discovery.blob_sha256 == Blob.sha256).exists()
    return Blob.sha256.in_(candidates) & ~is_picture & ~is_source


def list_sources_to_remove(session: Session) -> list[str]:
    """Return the ids of jobs whose source has ended and is not removed yet."""
    ended = select(Discovery.job_id).join(Job, Job.id == Discovery.job_id).where(Job.discovering.is_(False))
    return list(session.scalars(ended))


def remove_source(session: Session, job_id: str) -> list[str]:
    """Remove the source of a job that is not discovering.

    Return the SHA-256 of the removed blobs. The caller deletes their bytes before it commits.
    """
    job = lifecycle.lock_job(session, job_id)
    if job is None or job.discovering:
        return []
    removed = session.scalars(
        delete(Discovery)
        .where(Discovery.job_id == job_id)
        .returning(Discovery.blob_sha256)
        .execution_options(synchronize_session=False)
    ).all()
    return _remove_blobs(session, [sha256 for sha256 in removed if sha256])


def finish_purge(session: Session, job_id: str, now: datetime) -> None:
    """Finish the purge of a job without items: delete a deleted job, and keep only the row of an expired one."""
    job = lifecycle.lock_job(session, job_id)
    if job is None:
        return
    if job.deleted_at is not None:
        session.delete(job)
    else:
        tallies.delete_tallies(session, job_id)
        session.execute(delete(Product).where(Product.job_id == job_id))
        session.execute(delete(HintRun).where(HintRun.job_id == job_id))
        session.execute(delete(Acceptance).where(Acceptance.job_id == job_id))
        session.execute(delete(JobMap).where(JobMap.job_id == job_id))
        session.execute(delete(CrawlUrl).where(CrawlUrl.job_id == job_id))
        job.purged_at = now
