"""Set and remove the policy by which predictions of a job are accepted (`db.tables.Acceptance`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from db.tables import Acceptance, Job
from db.views.acceptances import Policy, count_accepted


def accept(
    session: Session,
    job: Job,
    thresholds: float | Mapping[str, float],
    target: float | None,
    key_id: str | None,
    now: datetime,
) -> Acceptance:
    """Accept the predictions of a job from a threshold on, or from the threshold of their label on.

    This replaces an earlier policy of the job. The caller has locked the job's row.
    """
    remove(session, job)
    row = Acceptance(
        job_id=job.id,
        threshold=None if isinstance(thresholds, Mapping) else thresholds,
        thresholds=dict(thresholds) if isinstance(thresholds, Mapping) else None,
        target=target,
        items=0,
        key_id=key_id,
        created_at=now,
    )
    row.items = count_accepted(session, job.id, Policy.of(row))
    session.add(row)
    job.revision += 1
    session.flush()
    return row


def remove(session: Session, job: Job) -> bool:
    """Remove the policy of a job, so that nothing is accepted by it any more. Return whether there was one."""
    row = session.get(Acceptance, job.id)
    if row is None:
        return False
    session.delete(row)
    job.revision += 1
    session.flush()
    return True
