"""What an operator watches of the database beside the backlog (db/steps/submitting.py)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.tables import Chunk, Job, JobStatus


@dataclass(frozen=True, slots=True)
class Gauges:
    """How many jobs there are, and what of them is on its way."""

    jobs: dict[JobStatus, int]
    chunks_queued: int
    chunks_leased: int
    overdue_seconds: float
    """How long the chunk that the sweeper should have looked at first has been due; 0 if none is."""


def read(session: Session, now: datetime) -> Gauges:
    """The gauges as they stand."""
    counted = session.execute(
        select(Job.status, func.count().label("jobs"))
        .where(Job.deleted_at.is_(None), Job.purged_at.is_(None))
        .group_by(Job.status)
    )
    jobs = dict.fromkeys(JobStatus, 0) | {row.status: row.jobs for row in counted}
    chunks, in_hand, due_at = session.execute(
        select(func.count(), func.count(Chunk.taken_by), func.min(Chunk.due_at))
    ).one()
    overdue = 0.0 if due_at is None else max(0.0, (now - due_at).total_seconds())
    return Gauges(jobs, chunks - in_hand, in_hand, overdue)
