"""Maps of jobs: request them, take them up, report their progress, and store their points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.ids import new_id
from core.maps import Points
from db.bulk import InsertMissing, count_changed
from db.tables import FINISHED, Job, JobMap

LEASE = timedelta(minutes=2)
"""For how long a worker holds a map without reporting progress. It reports every few seconds."""
MAX_ATTEMPTS = 3
"""After so many attempts that ended without points or an error, the request fails."""

_INSERT = InsertMissing(JobMap.__table__)  # type: ignore[arg-type]
_GIVEN_UP = f"{MAX_ATTEMPTS} attempts ended early, because the worker or its process for the layout ended"


@dataclass(frozen=True, slots=True)
class MapWork:
    """A map that a worker has taken up."""

    job_id: str
    attempt: str
    """The id of the attempt (`JobMap.taken_by`)."""
    succeeded: int
    """`Job.succeeded` at that time."""


def request(session: Session, job: Job, now: datetime) -> bool:
    """Have the map of a job computed, if it is missing, outdated or failed. Return False if it is current.

    A map that waits or is computed goes on.
    """
    row = {"job_id": job.id, "attempts": 0, "progress": 0.0, "revision": 0, "succeeded": 0, "pictures": 0}
    _INSERT.execute(session, [row])
    found = session.scalars(select(JobMap).where(JobMap.job_id == job.id).with_for_update()).one()
    if found.requested_at is not None:
        return True
    if found.revision and found.succeeded == job.succeeded and found.error is None:
        return False
    _ask(found, now)
    return True


def any_due(session: Session, now: datetime) -> bool:
    """Return whether a map waits for a worker, was lost by its worker, or is outdated."""
    waiting = select(JobMap.job_id).where(_is_waiting(now))
    return any(session.scalar(query.limit(1)) is not None for query in (waiting, _outdated(JobMap.job_id)))


def request_outdated(session: Session, now: datetime) -> None:
    """Request the maps again to whose finished jobs items were added."""
    for row in session.scalars(_outdated(JobMap).with_for_update(of=JobMap)).all():
        _ask(row, now)


def _outdated(what: type[JobMap] | InstrumentedAttribute[str]) -> Select[Any]:
    return (
        select(what)
        .join(Job, Job.id == JobMap.job_id)
        .where(JobMap.requested_at.is_(None), JobMap.error.is_(None), JobMap.revision > 0)
        .where(JobMap.succeeded != Job.succeeded, Job.status.in_(FINISHED))
        .where(Job.deleted_at.is_(None), Job.purged_at.is_(None))
    )


def _ask(row: JobMap, now: datetime) -> None:
    row.requested_at, row.taken_by, row.due_at = now, None, None
    row.attempts, row.progress, row.error = 0, 0.0, None


def take(session: Session, now: datetime) -> MapWork | None:
    """Take up the map that waits for the longest time. Return None if none waits."""
    waiting = (
        select(JobMap, Job.succeeded)
        .join(Job, Job.id == JobMap.job_id)
        .where(_is_waiting(now), Job.deleted_at.is_(None), Job.purged_at.is_(None))
        .order_by(JobMap.requested_at)
        .limit(1)
        .with_for_update(of=JobMap, skip_locked=True)
    )
    while (found := session.execute(waiting).first()) is not None:
        row, succeeded = found
        if row.attempts >= MAX_ATTEMPTS:
            row.requested_at, row.taken_by, row.error = None, None, _GIVEN_UP
            session.flush()
            continue
        row.taken_by, row.due_at = new_id("map"), now + LEASE
        row.attempts += 1
        row.progress = 0.0
        return MapWork(row.job_id, row.taken_by, succeeded)
    return None


def _is_waiting(now: datetime) -> ColumnElement[bool]:
    return JobMap.requested_at.is_not(None) & (JobMap.taken_by.is_(None) | (JobMap.due_at <= now))


def report(session: Session, work: MapWork, progress: float, now: datetime) -> bool:
    """Store the progress and renew the lease. Return False if the worker has lost the map, or the job was deleted."""
    return _change(session, work, progress=progress, due_at=now + LEASE)


def store(session: Session, work: MapWork, points: Points, pictures: int, now: datetime) -> bool:
    """Store the points of a map, which ends the request. `pictures`: how many had a vector.

    Return False if the worker has lost the map.
    """
    return _change(
        session,
        work,
        **_ENDED,
        points=points.encode(),
        revision=JobMap.revision + 1,
        computed_at=now,
        succeeded=work.succeeded,
        pictures=pictures,
        progress=1.0,
    )


def fail(session: Session, work: MapWork, error: str) -> None:
    """End the request without points. The earlier ones stay."""
    _change(session, work, **(_ENDED | {"error": error}))


def give_back(session: Session, work: MapWork) -> None:
    """Let another worker take up the map, without counting the attempt."""
    _change(session, work, taken_by=None, due_at=None, attempts=JobMap.attempts - 1)


_ENDED: dict[str, Any] = {"requested_at": None, "taken_by": None, "due_at": None, "error": None}


def _change(session: Session, work: MapWork, **values: Any) -> bool:
    held = (JobMap.job_id == work.job_id) & (JobMap.taken_by == work.attempt)
    wanted = select(Job.id).where(Job.id == work.job_id, Job.deleted_at.is_(None), Job.purged_at.is_(None)).exists()
    return count_changed(session, update(JobMap).where(held, wanted).values(values)) > 0
