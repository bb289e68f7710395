"""The only place where jobs and items change their states. docs/states.md draws the transitions.

Each transaction that changes a job or its items first locks the job's row (`lock_job`), so that the changes of one job
happen one after the other. In addition, an update applies only to items that are still in the state from which the
transition starts. Counts and tallies change only together with the items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm import Session, lazyload

from core import metrics
from core.errors import JobFinished, JobNotFinished, NothingToRetry
from core.item_errors import ItemError
from db.bulk import UpdateRows, count_changed
from db.crawls import requests
from db.database import after_commit
from db.steps import chunks, discoveries, hinting, tallies, webhooks
from db.tables import Chunk, Item, ItemStatus, Job, JobStatus

RATE_INTERVAL = timedelta(seconds=2)
"""Shortest interval over which a job's rate is measured. In shorter ones it would jump, in longer ones it would lag."""

MAX_CANCELED_AT_ONCE = 5000
"""How many items one transaction cancels. More would keep other writers waiting."""

_ITEMS = cast(Table, Item.__table__)
_PENDING = _ITEMS.c.status == ItemStatus.PENDING
_SUCCEED = UpdateRows(
    _ITEMS, ("status", "prediction_id", "reused", "label", "label_group", "confidence", "finished_at"), _PENDING
)
_FAIL = UpdateRows(_ITEMS, ("status", "error_code", "error_detail", "error_retryable", "finished_at"), _PENDING)
_LOCK_JOB = (
    select(Job)
    .where(Job.id == bindparam("job_id"))
    .options(lazyload(Job.model_version))
    .with_for_update()
    .execution_options(populate_existing=True)
)


def lock_job(session: Session, job_id: str) -> Job | None:
    """Return the current state of a job and lock its row until the end of the transaction."""
    return session.scalar(_LOCK_JOB, {"job_id": job_id})


def finish_items(
    session: Session,
    job: Job,
    succeeded: Sequence[dict[str, Any]],
    failed: Sequence[dict[str, Any]],
    now: datetime,
    taken_at: datetime,
) -> None:
    """pending -> succeeded | failed, for items given as rows with `id` and the new values.

    The first finished items of a job make it `running`, with `taken_at` as its start. The last ones make it
    `completed`, or `canceled` if that was requested.
    """
    if not succeeded and not failed:
        return
    changed = _SUCCEED.execute(session, [{**row, "status": ItemStatus.SUCCEEDED} for row in succeeded])
    changed += _FAIL.execute(session, [{**row, "status": ItemStatus.FAILED} for row in failed])
    if changed != len(succeeded) + len(failed):
        raise RuntimeError(f"expected {len(succeeded) + len(failed)} pending items under the job's lock, got {changed}")
    tallies.count_labels(session, job.id, succeeded)
    tallies.count_errors(session, job, Counter((row["error_code"], row["error_retryable"]) for row in failed))
    job.pending -= changed
    job.succeeded += len(succeeded)
    job.failed += len(failed)
    reused = sum(row["reused"] for row in succeeded)
    job.reused += reused
    after_commit(session, lambda: _count_succeeded(len(succeeded), reused))
    _set_running(job, taken_at)
    update_job_state(session, job, now)


def _count_succeeded(succeeded: int, reused: int) -> None:
    metrics.ITEMS.labels("succeeded").inc(succeeded)
    metrics.ITEMS_REUSED.inc(reused)


def start_job(session: Session, job: Job, now: datetime, taken_at: datetime) -> None:
    """queued -> running, although no item is finished yet. `taken_at` becomes the start of the job."""
    if job.status == JobStatus.QUEUED:
        _set_running(job, taken_at)
        update_job_state(session, job, now)


def _set_running(job: Job, taken_at: datetime) -> None:
    if job.status == JobStatus.QUEUED:
        job.status = JobStatus.RUNNING
        job.started_at = job.started_at or taken_at
    job.run_at = job.run_at or taken_at


def _end_run(job: Job, now: datetime) -> None:
    job.run_seconds, job.run_at = job.duration(now), None
    job.finished_at = now


def update_job_state(session: Session, job: Job, now: datetime) -> None:
    """Update the revision and the rate of a changed job, and end the job if nothing of it is pending any more."""
    job.revision += 1
    if job.pending == 0 and not job.discovering and not job.finished:
        job.status = JobStatus.COMPLETED if job.cancel_requested_at is None else JobStatus.CANCELED
        _end_run(job, now)
        _measure_rate(job, now)
        webhooks.store_job_end(session, job, now)
        hinting.request(session, job, now)
    else:
        _measure_rate(job, now)
    session.flush()


def fail_job(session: Session, job: Job, error: ItemError, now: datetime) -> None:
    """-> failed, for a job without items whose source could not be read at all."""
    job.status = JobStatus.FAILED
    job.discovering = False
    job.error = {"code": error.code, "detail": error.detail, "retryable": error.retryable}
    _end_run(job, now)
    job.revision += 1
    webhooks.store_job_end(session, job, now)
    session.flush()


def request_cancel(session: Session, job: Job, now: datetime) -> None:
    """Stop a job. No worker takes up more of it. It becomes `canceled` once no worker holds any of its items.

    Raises:
        JobFinished: The job is finished already.
    """
    if job.finished:
        raise JobFinished(f"expected a job that is queued or running, but this one is {job.status}")
    if job.cancel_requested_at is None:
        job.cancel_requested_at, job.open_until = now, None
        if not discoveries.is_held(session, job.id):
            job.discovering = False
            requests.cancel(session, job.id, now)
        job.revision += 1
        session.flush()
    cancel_waiting_items(session, job, now)


def cancel_waiting_items(session: Session, job: Job, now: datetime) -> int:
    """pending -> canceled, for up to `MAX_CANCELED_AT_ONCE` items that no worker holds. Return how many.

    The job's queued chunks are deleted first.
    """
    chunks.drop_queued(session, job.id)
    leased_chunks = select(Chunk.id).where(Chunk.job_id == job.id)
    waiting = (
        select(Item.id)
        .where(Item.job_id == job.id, Item.status == ItemStatus.PENDING)
        .where(Item.chunk_id.is_(None) | Item.chunk_id.not_in(leased_chunks))
        .limit(MAX_CANCELED_AT_ONCE)
    )
    canceled = count_changed(
        session,
        update(Item)
        .where(Item.id.in_(waiting), Item.status == ItemStatus.PENDING)
        .values(status=ItemStatus.CANCELED, finished_at=now),
    )
    job.pending -= canceled
    job.canceled += canceled
    if canceled or job.pending == 0:
        update_job_state(session, job, now)
    return canceled


def retry_failed_items(session: Session, job: Job, now: datetime) -> int:
    """failed -> pending, for all items with `error_retryable`. Return how many. A completed job is `running` again.

    Raises:
        JobFinished: The job was canceled, or its source could not be read.
        NothingToRetry: No item has failed, or every failed item would fail again.
    """
    if job.cancel_requested_at is not None or job.status in (JobStatus.CANCELED, JobStatus.FAILED):
        status = job.status if job.finished else "being canceled"
        raise JobFinished(f"expected a job that is completed or running, but this one is {status}")
    retryable = (Item.job_id == job.id, Item.status == ItemStatus.FAILED, Item.error_retryable.is_(True))
    by_code = session.execute(select(Item.error_code, func.count()).where(*retryable).group_by(Item.error_code))
    tallies.count_errors(session, job, {(str(code), True): -count for code, count in by_code})
    retried = count_changed(
        session,
        update(Item)
        .where(*retryable)
        .values(
            status=ItemStatus.PENDING,
            chunk_id=None,
            error_code=None,
            error_detail=None,
            error_retryable=None,
            finished_at=None,
        ),
    )
    if retried == 0:
        if not job.failed:
            raise NothingToRetry("No item has failed.")
        raise NothingToRetry(f"expected failures that a retry can mend, got {job.failed:,} that would happen again")
    job.failed -= retried
    job.pending += retried
    if job.finished:
        job.status, job.finished_at = JobStatus.RUNNING, None
    job.started_at = job.started_at or now
    job.rate, job.rate_at, job.rate_done = None, now, job.succeeded + job.failed
    job.duplicates = None
    job.revision += 1
    session.flush()
    return retried


def mark_job_deleted(job: Job, now: datetime) -> None:
    """Mark a job as deleted. From then on only the purger sees it.

    Raises:
        JobNotFinished: The job is not finished.
    """
    if not job.finished:
        raise JobNotFinished(f"expected a finished job, but this one is {job.status}; cancel it first")
    job.deleted_at = now
    job.revision += 1


def _measure_rate(job: Job, now: datetime) -> None:
    done = job.succeeded + job.failed
    if job.finished:
        # A finished job shows the average rate of all its runs. Canceled items were not classified.
        job.rate = done / max(job.run_seconds, 0.001) if job.started_at else None
        return
    since = job.rate_at or job.run_at
    if since is None or now - since < RATE_INTERVAL:
        return
    job.rate = (done - job.rate_done) / (now - since).total_seconds()
    job.rate_at, job.rate_done = now, done
