"""Numbers of jobs, items and chunks that an operator watches. The rate of all jobs is in db/views/jobs.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from db.tables import Chunk, Item, ItemStatus, Job, JobSource, JobStatus, Priority


@dataclass(slots=True)
class Waiting:
    """The pending items of all jobs of one priority."""

    items: int = 0
    seconds: float = 0.0
    """How long the oldest one has waited: since its submission, or since the job was retried."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers of jobs, items and chunks at one moment."""

    jobs: dict[JobStatus, int]
    crawls: dict[JobStatus, int]
    """Those of the jobs that are crawls."""
    waiting: dict[Priority, Waiting]
    chunks_queued: int
    chunks_leased: int
    overdue_seconds: float
    """How long the chunk that has waited longest for the sweeper has been due. 0 if no chunk is due."""


def read(session: Session, now: datetime) -> Gauges:
    """Return the current gauges."""
    crawl = Job.source == JobSource.CRAWL
    counted = session.execute(
        select(Job.status, func.count().label("jobs"), func.count(case((crawl, 1))).label("crawls"))
        .where(Job.deleted_at.is_(None), Job.purged_at.is_(None))
        .group_by(Job.status)
    ).all()
    jobs = dict.fromkeys(JobStatus, 0) | {row.status: row.jobs for row in counted}
    crawls = dict.fromkeys(JobStatus, 0) | {row.status: row.crawls for row in counted}
    chunks, leased, due_at = session.execute(
        select(func.count(), func.count(Chunk.taken_by), func.min(Chunk.due_at))
    ).one()
    overdue = 0.0 if due_at is None else max(0.0, (now - due_at).total_seconds())
    return Gauges(jobs, crawls, _read_waiting(session, now), chunks - leased, leased, overdue)


def _read_waiting(session: Session, now: datetime) -> dict[Priority, Waiting]:
    first = (
        select(Item.created_at)
        .where(Item.job_id == Job.id, Item.status == ItemStatus.PENDING)
        .order_by(Item.position)
        .limit(1)
        .scalar_subquery()
    )
    unfinished = select(
        Job.priority, Job.pending, Job.run_seconds, Job.run_at, Job.rate_at, first.label("first")
    ).where(Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING)), Job.pending > 0)
    waiting = {priority: Waiting() for priority in Priority}
    for row in session.execute(unfinished):
        since = row.first
        if row.run_seconds and row.first is not None:
            # A retried job has run before. Its items wait since the retry.
            since = max(row.first, row.run_at or row.rate_at or row.first)
        found = waiting[row.priority]
        found.items += row.pending
        if since is not None:
            found.seconds = max(found.seconds, (now - since).total_seconds())
    return waiting
