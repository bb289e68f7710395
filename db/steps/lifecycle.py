"""The states of jobs and items: the one place where they change. docs/states.md draws them.

Whoever changes a job or its items holds the job's row (`hold`) from then to the end of the transaction, so that changes
of one job come one after the other. Items change by conditional updates besides: only one that is still in the state
that an arrow starts from follows the arrow. The counts and tallies are changed with the items, never by themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm import Session, lazyload

from core.errors import BadCrop, BadRow, ItemError, JobNotOver, JobOver, NothingToRetry
from db.bulk import UpdateRows, count_changed
from db.crawls import requests
from db.steps import chunks, discoveries, tallies, webhooks
from db.tables import Chunk, Item, ItemStatus, Job, JobStatus

RATE_INTERVAL = timedelta(seconds=2)
"""The rate is measured over stretches of at least this long, so that it neither jumps nor lags."""

MAX_CANCELED_AT_ONCE = 5000
"""How many items one transaction cancels: others want to write, too."""

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
    """The job as it stands, its row held until the end of the transaction."""
    return session.scalar(_LOCK_JOB, {"job_id": job_id})


def finish_items(
    session: Session,
    job: Job,
    succeeded: Sequence[dict[str, Any]],
    failed: Sequence[dict[str, Any]],
    now: datetime,
    taken_at: datetime,
) -> None:
    """pending -> succeeded | failed, for items given as rows: `id`, and what becomes of it.

    The first ones make their job running, since `taken_at`; the last ones make it completed (or canceled, if asked).
    """
    if not succeeded and not failed:
        return
    changed = _SUCCEED.execute(session, [{**row, "status": ItemStatus.SUCCEEDED} for row in succeeded])
    changed += _FAIL.execute(session, [{**row, "status": ItemStatus.FAILED} for row in failed])
    if changed != len(succeeded) + len(failed):
        raise RuntimeError(f"expected {len(succeeded) + len(failed)} pending items under the job's lock, got {changed}")
    tallies.count_labels(session, job.id, succeeded)
    tallies.count_errors(session, job.id, Counter(row["error_code"] for row in failed))
    job.pending -= changed
    job.succeeded += len(succeeded)
    job.failed += len(failed)
    job.reused += sum(row["reused"] for row in succeeded)
    _set_running(job, taken_at)
    update_job_state(session, job, now)


def start_job(session: Session, job: Job, now: datetime, taken_at: datetime) -> None:
    """queued -> running, since `taken_at`: a worker has got on with its items, though none is terminal yet."""
    if job.status == JobStatus.QUEUED:
        _set_running(job, taken_at)
        update_job_state(session, job, now)


def _set_running(job: Job, taken_at: datetime) -> None:
    if job.status == JobStatus.QUEUED:
        job.status = JobStatus.RUNNING
        job.started_at = job.started_at or taken_at


def update_job_state(session: Session, job: Job, now: datetime) -> None:
    """End a job of which nothing is pending any more; in any case the job has changed."""
    job.revision += 1
    _measure_rate(job, now)
    if job.pending == 0 and not job.discovering and not job.terminal:
        job.status = JobStatus.COMPLETED if job.cancel_requested_at is None else JobStatus.CANCELED
        job.finished_at = now
        webhooks.store_job_end(session, job, now)
    session.flush()


def fail_job(session: Session, job: Job, error: ItemError, now: datetime) -> None:
    """End a job without items: its source could not be read at all."""
    job.status = JobStatus.FAILED
    job.discovering = False
    job.error = {"code": error.code, "detail": error.detail, "retryable": error.retryable}
    job.finished_at = now
    job.revision += 1
    webhooks.store_job_end(session, job, now)
    session.flush()


def request_cancel(session: Session, job: Job, now: datetime) -> None:
    """Have a job stopped: nothing more of it is taken up, and it is canceled once no worker has any of it in hand.

    Raises:
        JobOver: it is terminal.
    """
    if job.terminal:
        raise JobOver(f"expected a job that is queued or running, this one is {job.status}")
    if job.cancel_requested_at is None:
        job.cancel_requested_at = now
        if not discoveries.is_held(session, job.id):
            job.discovering = False
            requests.cancel(session, job.id, now)
        job.revision += 1
        session.flush()
    cancel_waiting_items(session, job, now)


def cancel_waiting_items(session: Session, job: Job, now: datetime) -> int:
    """pending -> canceled, for up to `CANCELED_AT_ONCE` items of a job to be canceled that no worker has in hand."""
    chunks.drop_queued(session, job.id)
    in_hand = select(Chunk.id).where(Chunk.job_id == job.id)
    waiting = (
        select(Item.id)
        .where(Item.job_id == job.id, Item.status == ItemStatus.PENDING)
        .where(Item.chunk_id.is_(None) | Item.chunk_id.not_in(in_hand))
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
    """failed -> pending, for all items whose bytes are kept or can be downloaded. How many.

    A job that was completed is running again.

    Raises:
        JobOver: it was canceled, or its source could not be read.
        NothingToRetry: no item has failed, or none of which there are bytes to be had.
    """
    if job.cancel_requested_at is not None or job.status in (JobStatus.CANCELED, JobStatus.FAILED):
        status = job.status if job.terminal else "being canceled"
        raise JobOver(f"expected a job that is completed or running, this one is {status}")
    # What was wrong with an item as it was submitted is still wrong with it.
    to_download = Item.source_url.is_not(None) & Item.error_code.not_in((BadCrop.code, BadRow.code))
    bytes_to_be_had = Item.blob_sha256.is_not(None) | to_download
    retryable = (Item.job_id == job.id, Item.status == ItemStatus.FAILED, bytes_to_be_had)
    by_code = session.execute(select(Item.error_code, func.count()).where(*retryable).group_by(Item.error_code))
    tallies.count_errors(session, job.id, {str(code): -count for code, count in by_code})
    again = count_changed(
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
    if again == 0:
        lost = f"none of the {job.failed:,} that failed has bytes that are kept or can be downloaded"
        raise NothingToRetry(f"expected failed items, {lost if job.failed else 'none has failed'}")
    job.failed -= again
    job.pending += again
    if job.terminal:
        job.status, job.finished_at = JobStatus.RUNNING, None
    job.started_at = job.started_at or now
    job.rate, job.rate_at, job.rate_done = None, now, job.total - job.pending
    job.duplicates = None
    job.revision += 1
    session.flush()
    return again


def mark_job_deleted(job: Job, now: datetime) -> None:
    """Make a job unknown to everyone but the purger.

    Raises:
        JobNotOver: it still runs.
    """
    if not job.terminal:
        raise JobNotOver(f"expected a job that is over, this one is {job.status}: cancel it first")
    job.deleted_at = now
    job.revision += 1


def _measure_rate(job: Job, now: datetime) -> None:
    done = job.total - job.pending
    since, done_before = job.rate_at or job.created_at, job.rate_done
    if job.pending == 0:
        # Of a job that is over, its own average is what remains of interest.
        since, done_before = job.created_at, 0
    elif now - since < RATE_INTERVAL:
        return
    job.rate = (done - done_before) / max((now - since).total_seconds(), 0.001)
    job.rate_at, job.rate_done = now, done
