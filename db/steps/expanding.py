"""Steps of reading an archive or a manifest: take it up, store source batches, and end it. Each is one transaction.

The items of a source batch are committed together with the new position in the source. The next worker continues
exactly there, therefore no item is lost and none is stored twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from core.errors import LeaseLost
from core.item_errors import ArchiveUnsafe, BadManifest, CrawlBrokenOff, EmptySource, ItemError, RegionsNotTaken
from core.messages import ChunkMessage
from db import model_versions
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
    """Items that were read from a source since the last source batch."""

    items: Sequence[NewItem]
    position: int
    """How many members or rows of the source have been read in total."""
    over: bool = False
    """Whether this is the last source batch."""
    error: ItemError | None = None
    """Why the source cannot be read to its end. None if it can."""
    left_out: int = 0
    """How many files of an archive are no pictures."""
    columns: Mapping[str, str] | None = None
    """The meanings of the columns that have been read so far: column -> field. None: the source has no table."""


@dataclass(frozen=True, slots=True)
class Expanded:
    """The part of the outcome of a step on which the worker acts."""

    chunks: list[ChunkMessage]
    """The messages to send after the commit."""
    source_ended: bool
    """Whether the source is not read any further."""
    job_finished: bool
    has_webhook: bool
    """Whether the end of the job is reported to a webhook."""


def take(session: Session, worker: str, policy: ChunkPolicy, now: datetime) -> LeasedSource | None:
    """Take up the archive or manifest that has waited longest. None if none waits."""
    job_id = discoveries.find_next_waiting(session, now)
    job = None if job_id is None else lifecycle.lock_job(session, job_id)
    return None if job is None else discoveries.take(session, job, worker, policy, now)


def commit_batch(
    session: Session, source: LeasedSource, batch: SourceBatch, policy: ChunkPolicy, now: datetime
) -> Expanded:
    """Add the items of a source batch to the job. With the last one, the source ends.

    Raises:
        LeaseLost: The worker does not hold the source any more. The caller rolls the transaction back.
        QuotaExceeded: The job's owner has too few pictures left this month. The caller rolls the transaction back.
    """
    # Blobs are stored before the job's row is locked, so that other transactions of the job wait for less time.
    submitting.store_blobs(session, {item.blob.sha256: item.blob.bytes for item in batch.items if item.blob}, now)
    job = lifecycle.lock_job(session, source.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is not None:
        raise LeaseLost
    if not discoveries.advance(session, source, batch.position, policy, now):
        raise LeaseLost
    submitting.append_items(session, job, _refuse_regions(job, batch.items), now)
    job.left_out += batch.left_out
    if batch.columns and batch.columns != job.columns:
        job.columns = dict(batch.columns)
    if batch.over:
        discoveries.release(session, source)
        _end(session, job, source.file_name, batch.error, now)
    else:
        lifecycle.update_job_state(session, job, now)
    messages = chunks.claim(session, job, policy, now)
    # The last statement, because it locks the owner's row of the day until the commit.
    usage.add(session, job.key_id, now, items=len(batch.items))
    return _expanded(job, messages)


def _refuse_regions(job: Job, items: Sequence[NewItem]) -> Sequence[NewItem]:
    """Return the items, with an error in those that have regions although the job's model takes none."""
    if not any(item.regions for item in items):
        return items
    try:
        model_versions.check_regions(job.model_version)
    except RegionsNotTaken as error:
        return [replace(item, regions=(), error=item.error or error) if item.regions else item for item in items]
    return items


def stop_canceled(session: Session, source: LeasedSource, now: datetime) -> Expanded | None:
    """Release a source whose job is being canceled, and cancel the waiting items of the job.

    Return None if the job is not being canceled, or if the worker does not hold the source any more.
    """
    job = lifecycle.lock_job(session, source.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is None:
        return None
    if not discoveries.release(session, source):
        return None
    _cancel(session, job, now)
    return _expanded(job, [])


def end_attempt(session: Session, job_id: str, policy: ChunkPolicy, now: datetime) -> Expanded | None:
    """Make a source with a lost lease available again, or end it after the last attempt.

    Return None if its lease has not ended.
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
    return _GIVE_UP_ERRORS[job.source](f"gave up after {MAX_ATTEMPTS} attempts; reason of the last one: {reason}")


def _end(session: Session, job: Job, file_name: str, error: ItemError | None, now: datetime) -> None:
    """End the source of a job. With `error`, it could not be read to its end."""
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
    return Expanded(messages, not job.discovering, job.finished, has_webhook=job.webhook is not None)
