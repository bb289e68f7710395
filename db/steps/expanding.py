"""Reading a source, as the database sees it: taken up, got on with batch by batch, and ended, each in one transaction.

A batch of items and how far the source is read by then are committed together: whoever takes it up next goes on exactly
there, so that no item is lost and none is there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from core.errors import ArchiveUnsafe, BadManifest, CrawlBrokenOff, EmptySource, ItemError, LeaseLost
from core.messages import ChunkMessage
from db.access import usage
from db.crawls import requests
from db.steps import chunks, crawling, discoveries, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import MAX_ATTEMPTS, LeasedSource
from db.steps.leasing import SOURCE_LEASES
from db.steps.submitting import NewItem
from db.tables import Discovery, Job, JobSource

_GIVE_UP_ERRORS: dict[JobSource, type[ItemError]] = {
    JobSource.ARCHIVE: ArchiveUnsafe,
    JobSource.MANIFEST: BadManifest,
    JobSource.CRAWL: CrawlBrokenOff,
}


@dataclass(frozen=True, slots=True)
class SourceBatch:
    """What was read of a source since the last time."""

    items: Sequence[NewItem]
    position: int
    """How many members or rows are read now, since the beginning."""
    over: bool = False
    """Whether that was all."""
    error: ItemError | None = None
    """Why there is no more, if there should have been."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """What committing a batch led to."""

    chunks: list[ChunkMessage]
    """To be sent after the commit."""
    over: bool
    """Whether the source is read, or will be read no further."""
    job_terminal: bool
    webhook: bool


def take(session: Session, worker: str, policy: ChunkPolicy, now: datetime) -> LeasedSource | None:
    """Take up the source that has waited longest, if one does."""
    job_id = discoveries.find_next_waiting(session, now)
    job = None if job_id is None else lifecycle.lock_job(session, job_id)
    return None if job is None else discoveries.take(session, job, worker, policy, now)


def commit_batch(
    session: Session, taken: LeasedSource, batch: SourceBatch, policy: ChunkPolicy, now: datetime
) -> Expanded:
    """Add what was read to the job; after the last batch, the job discovers no more.

    Raises:
        LeaseLost: the transaction is to be rolled back.
        QuotaExceeded: its owner may not submit that many any more this month.
    """
    # What belongs to pictures comes before the job's row is held, as when outcomes are recorded.
    submitting.store_blobs(session, {item.blob.sha256: item.blob.bytes for item in batch.items if item.blob}, now)
    job = lifecycle.lock_job(session, taken.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is not None:
        raise LeaseLost
    if not discoveries.advance(session, taken, batch.position, policy, now):
        raise LeaseLost
    submitting.append_items(session, job, batch.items, now)
    if batch.over:
        discoveries.release(session, taken)
        _end(session, job, taken.file_name, batch.error, now)
    else:
        lifecycle.update_job_state(session, job, now)
    messages = chunks.claim(session, job, policy, now)
    # The last: the owner's day is held until the commit.
    usage.add(session, job.key_id, now, items=len(batch.items))
    return _expanded(job, messages)


def stop_canceled(session: Session, taken: LeasedSource, now: datetime) -> Expanded | None:
    """Let go of a source whose job is to be canceled: nothing is added to it any more.

    None if the job is not, or the source is not this worker's.
    """
    job = lifecycle.lock_job(session, taken.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is None:
        return None
    if not discoveries.release(session, taken):
        return None
    _cancel(session, job, now)
    return _expanded(job, [])


def end_attempt(session: Session, job_id: str, policy: ChunkPolicy, now: datetime) -> Expanded | None:
    """The worker that had a source in hand has died, stalled or failed: another attempt, or the end of reading.

    None if the source is in good hands.
    """
    job = lifecycle.lock_job(session, job_id)
    discovery = SOURCE_LEASES.lock_lost(session, job_id, now)
    if job is None or discovery is None or not job.discovering:
        return None
    error = _give_up_error(job, discovery)
    discovery.taken_by, discovery.due_at = None, now
    if job.cancel_requested_at is not None:
        _cancel(session, job, now)
    elif discovery.attempts >= MAX_ATTEMPTS:
        _end(session, job, discovery.file_name, error, now)
    return _expanded(job, chunks.claim(session, job, policy, now))


def _give_up_error(job: Job, discovery: Discovery) -> ItemError:
    reason = discovery.error or f"its worker ({discovery.taken_by}) ended or stalled"
    return _GIVE_UP_ERRORS[job.source](f"not read further in {MAX_ATTEMPTS} attempts; the last one: {reason}")


def _end(session: Session, job: Job, file_name: str, error: ItemError | None, now: datetime) -> None:
    """The source is read, or as much of it as can be."""
    if job.source == JobSource.CRAWL:
        crawling.end_crawl(session, job, error, now)
        return
    if job.total == 0:
        lifecycle.fail_job(session, job, error or EmptySource(f"expected pictures in {file_name}, found none"), now)
        return
    if error is not None:
        submitting.append_items(session, job, [NewItem(file_name, None, error=error)], now)
    job.discovering = False
    lifecycle.update_job_state(session, job, now)


def _cancel(session: Session, job: Job, now: datetime) -> None:
    job.discovering = False
    job.revision += 1
    session.flush()
    requests.cancel(session, job.id, now)
    lifecycle.cancel_waiting_items(session, job, now)


def _expanded(job: Job, messages: list[ChunkMessage]) -> Expanded:
    return Expanded(messages, not job.discovering, job.terminal, job.webhook is not None)
