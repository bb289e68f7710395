"""Record a chunk whose pictures have been downloaded, and queue it at the stage `classify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from core.errors import LeaseLost
from core.item_errors import ItemError
from core.messages import ChunkMessage
from db.bulk import UpdateRows
from db.steps import chunks, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.recording import Recorded, failure_columns
from db.steps.submitting import StoredBlob
from db.tables import Chunk, Item, ItemStatus, Job, Stage

_SET_BLOBS = UpdateRows(cast(Table, Item.__table__), ("blob_sha256",))


@dataclass(frozen=True, slots=True)
class ToFetch:
    """An item whose bytes are still to be downloaded."""

    id: str
    url: str


def list_items_to_fetch(session: Session, chunk_id: str) -> list[ToFetch]:
    """Return the items of a chunk that are still to be downloaded, in order of position."""
    without_bytes = Item.status == ItemStatus.PENDING, Item.blob_sha256.is_(None)
    rows = session.execute(
        select(Item.id, Item.source_url).where(Item.chunk_id == chunk_id, *without_bytes).order_by(Item.position)
    )
    return [ToFetch(item_id, url or "") for item_id, url in rows]


def record_fetched(
    session: Session,
    message: ChunkMessage,
    results: Mapping[str, StoredBlob | ItemError],
    policy: ChunkPolicy,
    now: datetime,
    taken_at: datetime | None = None,
) -> Recorded:
    """Store the results of downloading a chunk's items, by item id. Items without a result wait for another chunk.

    `taken_at` is when the worker took up the chunk (default: `now`).

    Raises:
        LeaseLost: The chunk is gone or at another stage. The caller rolls the transaction back.
    """
    blobs = {item_id: result for item_id, result in results.items() if isinstance(result, StoredBlob)}
    # Blobs are stored before the job's row is locked, for the reason that db/steps/recording.py gives.
    submitting.store_blobs(session, {blob.sha256: blob.bytes for blob in blobs.values()}, now)
    job = lifecycle.lock_job(session, message.job_id)
    chunk = chunks.get_at_stage(session, message.chunk_id, Stage.FETCH) if job else None
    if job is None or chunk is None:
        raise LeaseLost
    waiting = {item.id for item in list_items_to_fetch(session, chunk.id)}
    _SET_BLOBS.execute(session, [{"id": id_, "blob_sha256": blob.sha256} for id_, blob in blobs.items()])
    failed = [
        {"id": item_id, **failure_columns(result, now)}
        for item_id, result in results.items()
        if isinstance(result, ItemError)
    ]
    if blobs:
        lifecycle.start_job(session, job, now, taken_at or now)
    lifecycle.finish_items(session, job, [], failed, now, taken_at or now)
    messages = _continue_job(session, job, chunk, waiting - set(results), policy, now)
    return Recorded(len(failed), messages, job.finished, has_webhook=job.webhook is not None)


def _continue_job(
    session: Session, job: Job, chunk: Chunk, rest: set[str], policy: ChunkPolicy, now: datetime
) -> list[ChunkMessage]:
    """Queue or delete a chunk, of which the items `rest` are not downloaded. Return the messages to send."""
    if job.cancel_requested_at is not None:
        chunks.delete_chunk(session, chunk.id)
        lifecycle.cancel_waiting_items(session, job, now)
        return []
    chunks.release_items(session, rest)
    to_classify = select(Item.id).where(Item.chunk_id == chunk.id, Item.status == ItemStatus.PENDING).limit(1)
    if session.scalar(to_classify) is None:
        chunks.delete_chunk(session, chunk.id)
        messages = []
    else:
        messages = [chunks.queue_for_classifying(session, chunk, job, policy, now)]
    return messages + chunks.claim(session, job, policy, now)
