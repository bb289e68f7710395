"""Numbers of jobs and chunks that an operator watches. The backlog is in db/views/jobs.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.tables import Chunk, Job, JobStatus


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers of jobs and chunks at one moment."""

    jobs: dict[JobStatus, int]
    chunks_queued: int
    chunks_leased: int
    overdue_seconds: float
    """How long the chunk that has waited longest for the sweeper has been due. 0 if no chunk is due."""


def read(session: Session, now: datetime) -> Gauges:
    """Return the current gauges."""
    counted = session.execute(
        select(Job.status, func.count().label("jobs"))
        .where(Job.deleted_at.is_(None), Job.purged_at.is_(None))
        .group_by(Job.status)
    )
    jobs = dict.fromkeys(JobStatus, 0) | {row.status: row.jobs for row in counted}
    chunks, leased, due_at = session.execute(
        select(func.count(), func.count(Chunk.taken_by), func.min(Chunk.due_at))
    ).one()
    overdue = 0.0 if due_at is None else max(0.0, (now - due_at).total_seconds())
    return Gauges(jobs, chunks - leased, leased, overdue)
