"""What an operator watches of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.models import Chunk, Job, JobStatus


@dataclass(frozen=True, slots=True)
class Gauges:
    """How much there is, and how much of it waits."""

    jobs: dict[JobStatus, int]
    pending: int
    """Items of all jobs that are neither classified nor given up."""
    rate: float
    """How many become terminal per second, as far as measured."""
    chunks_queued: int
    chunks_in_hand: int
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
    active = Job.status.in_((JobStatus.QUEUED, JobStatus.RUNNING))
    pending, rate = session.execute(select(func.sum(Job.pending), func.sum(Job.rate)).where(active)).one()
    chunks, in_hand, due_at = session.execute(
        select(func.count(), func.count(Chunk.taken_by), func.min(Chunk.due_at))
    ).one()
    overdue = 0.0 if due_at is None else max(0.0, (now - due_at).total_seconds())
    return Gauges(jobs, int(pending or 0), float(rate or 0.0), chunks - in_hand, in_hand, overdue)
