"""The record step of a chunk that was fetched: its pictures have bytes now, and it goes on to be classified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from core.errors import ItemError, LeaseLost
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
    """An item without bytes."""

    id: str
    url: str


def list_items_to_fetch(session: Session, chunk_id: str) -> list[ToFetch]:
    """The items of a chunk that are still to be downloaded, in order of position."""
    lacking = Item.status == ItemStatus.PENDING, Item.blob_sha256.is_(None)
    rows = session.execute(
        select(Item.id, Item.source_url).where(Item.chunk_id == chunk_id, *lacking).order_by(Item.position)
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
    """Write what became of a chunk's items, by id. Those that are not among the results wait for another chunk.

    `taken_at` is when the worker took the chunk up; `now` by default.

    Raises:
        LeaseLost: none of this applies any more; the transaction is to be rolled back.
    """
    blobs = {item_id: result for item_id, result in results.items() if isinstance(result, StoredBlob)}
    # As in db/steps/recording.py: what belongs to pictures comes before the job's row is held.
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
    return Recorded(len(failed), messages, job.terminal, job.webhook is not None)


def _continue_job(
    session: Session, job: Job, chunk: Chunk, rest: set[str], policy: ChunkPolicy, now: datetime
) -> list[ChunkMessage]:
    """What is to be sent for a job whose chunk is fetched, all but the `rest` of it."""
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
