"""Removing what is done with: sources that were read, and the items of deleted and expired jobs; of both, the blobs
and predictions that nothing else uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.orm import Session

from db.bulk import on_postgresql
from db.steps import lifecycle, tallies
from db.tables import TERMINAL, Blob, CrawlUrl, Discovery, Item, Job, Prediction

MAX_ITEMS_AT_ONCE = 500
"""How many items one transaction removes."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One batch: how many items, and the blobs whose bytes are to go before the transaction is committed."""

    items: int
    blobs: list[str]


def list_jobs_to_purge(session: Session, now: datetime) -> list[str]:
    """Ids of jobs that were deleted, or are past retention and not purged yet."""
    expired = Job.status.in_(TERMINAL) & (Job.expires_at <= now) & Job.purged_at.is_(None)
    return list(session.scalars(select(Job.id).where(Job.deleted_at.is_not(None) | expired)))


def remove_items(session: Session, job_id: str) -> Removed:
    """Remove some items of a job, and the rows of blobs and predictions that no item refers to any more."""
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
        # A submission that is about to refer to one holds its row: passed over. Those that are held here are asked for
        # once more, because a submission may have been committed since.
        held = select(Blob.sha256).where(unused).order_by(Blob.sha256).with_for_update(skip_locked=True)
        candidates = list(session.scalars(held))
        unused = _unused(candidates)
    gone = list(session.scalars(select(Blob.sha256).where(unused)))
    session.execute(delete(Prediction).where(Prediction.blob_sha256.in_(gone)))
    session.execute(delete(Blob).where(Blob.sha256.in_(gone)))
    return gone


def _unused(candidates: Sequence[str]) -> ColumnElement[bool]:
    shown = select(Item.id).where(Item.blob_sha256 == Blob.sha256).exists()
    read = select(Discovery.job_id).where(Discovery.blob_sha256 == Blob.sha256).exists()
    return Blob.sha256.in_(candidates) & ~shown & ~read


def list_sources_to_remove(session: Session) -> list[str]:
    """Ids of jobs whose source is read (or never will be) and still there."""
    over = select(Discovery.job_id).join(Job, Job.id == Discovery.job_id).where(Job.discovering.is_(False))
    return list(session.scalars(over))


def remove_source(session: Session, job_id: str) -> list[str]:
    """Forget the source of a job that is not discovering; the blobs whose bytes are to go before the commit."""
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
    """All items are removed: forget a deleted job, and remember of an expired one that it was there."""
    job = lifecycle.lock_job(session, job_id)
    if job is None:
        return
    if job.deleted_at is not None:
        session.delete(job)
    else:
        tallies.delete_tallies(session, job_id)
        session.execute(delete(CrawlUrl).where(CrawlUrl.job_id == job_id))
        job.purged_at = now
