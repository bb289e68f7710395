"""Open jobs: their client adds items in several requests and then closes them. Each step is one transaction.

An open job is `discovering`, but no worker reads its source. A job whose client is gone is closed by the sweeper.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.errors import JobNotOpen, WrongPosition
from core.item_errors import EmptySource
from core.messages import ChunkMessage
from db.access import usage
from db.steps import chunks, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.submitting import NewItem
from db.tables import Job

OPEN_FOR = timedelta(hours=24)
"""A job stays open for this long after its creation and after each addition: an interrupted upload goes on next day."""


def append(
    session: Session, job: Job, items: Sequence[NewItem], position: int | None, policy: ChunkPolicy, now: datetime
) -> list[ChunkMessage]:
    """Add items to an open job, and return the messages of its new chunks, to be sent after the commit.

    The caller has locked the job's row and has stored the rows of the blobs (`store_blobs`). `position` is the one
    that the client expects for the first item, so that a repeated request adds nothing twice. None: at the end.

    Raises:
        JobNotOpen: The job was closed or canceled, or it was never open.
        WrongPosition: The job has more or fewer items than the client expects.
        QuotaExceeded: The owner of the job has too few pictures left this month.
    """
    if job.open_until is None:
        raise JobNotOpen(f"expected an open job, but this one is {job.status} and takes no further pictures")
    if position is not None and position != job.total:
        raise WrongPosition(f"expected position {job.total}, because the job has {job.total:,} items, got {position}")
    submitting.append_items(session, job, items, now)
    job.open_until = now + OPEN_FOR
    lifecycle.update_job_state(session, job, now)
    messages = chunks.claim(session, job, policy, now)
    # The last statement, because it locks the owner's row of the day until the commit.
    usage.add(session, job.key_id, now, items=len(items))
    return messages


def close(session: Session, job: Job, now: datetime) -> None:
    """Close an open job: nothing is added any more, and it ends when no item is pending. Others are left unchanged."""
    if job.open_until is None:
        return
    job.open_until = None
    if job.total == 0:
        lifecycle.fail_job(session, job, EmptySource("expected pictures before the job was closed, got none"), now)
        return
    job.discovering = False
    lifecycle.update_job_state(session, job, now)


def list_left_open(session: Session, now: datetime) -> list[str]:
    """Return the ids of open jobs to which nothing was added for as long as a job stays open."""
    return list(session.scalars(select(Job.id).where(Job.open_until <= now)))
