"""Submit jobs: store the job, its items and the rows of their blobs in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, delete, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session, make_transient_to_detached
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from core.ids import new_id
from core.item_errors import ItemError
from core.messages import ChunkMessage
from core.products import product_id_of
from core.search import searchable
from core.types import Crop, Region
from db.access import usage
from db.bulk import InsertMissing, on_postgresql
from db.crawls import requests
from db.crawls.requests import CrawlRequest
from db.steps import chunks, discoveries, lifecycle, products, tallies
from db.steps.chunks import ChunkPolicy
from db.tables import Blob, Item, ItemRegion, ItemStatus, ItemText, Job, JobSource, ModelVersion, Priority

_MAX_ROWS_AT_ONCE = 5000
"""Rows of items that are in memory at the same time. A row takes four times as much memory as a `NewItem`."""

_JOBS, _ITEMS = cast(Table, Job.__table__), cast(Table, Item.__table__)
_DETAILS = "metadata"
"""The name of the column `details` of jobs and of items in the database."""
_JOB_DEFAULTS = {
    column.name: column.default.arg if isinstance(column.default, ScalarElementColumnDefault) else None
    for column in _JOBS.c
    if column.name != _DETAILS
}
"""The default values of a job's columns."""
# The statements use tables and are built once. Storing ORM objects, or building a statement each time, takes three
# times as long.
_INSERT_JOB, _INSERT_ITEMS = insert(_JOBS), insert(_ITEMS)
_INSERT_TEXTS = insert(cast(Table, ItemText.__table__))
_INSERT_REGIONS = insert(cast(Table, ItemRegion.__table__))
_INSERT_MISSING_BLOBS = InsertMissing(cast(Table, Blob.__table__))
_INSERT_BLOBS = postgresql.insert(Blob)
_INSERT_OR_LOCK_BLOBS = _INSERT_BLOBS.on_conflict_do_update(
    index_elements=["sha256"], set_={"bytes": _INSERT_BLOBS.excluded.bytes}
)
"""On PostgreSQL the update locks rows that exist. Otherwise the purger could remove one before its item is stored."""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob whose bytes are in the blob store."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class UnreadSource:
    """An archive or a manifest in the blob store, and the name of the uploaded file."""

    blob: StoredBlob
    file_name: str


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item to store: a picture to classify, or with `error` (and without a blob) one that was refused.

    A picture without a blob and without an error is downloaded from `source_url`.
    """

    source_name: str
    blob: StoredBlob | None
    crop: Crop | None = None
    error: ItemError | None = None
    custom_id: str | None = None
    source_url: str | None = None
    provenance: dict[str, Any] | None = None
    """As `Item.provenance`. `product` in it decides `product_id` and `sku` of the item."""
    details: dict[str, Any] | None = None
    """The client's own object (`metadata` in the API)."""
    regions: Sequence[Region] = ()
    """Parts of the picture that get predictions of their own. Only models for single garments take them."""
    id: str | None = None
    """The item's id, if other rows refer to it already. None: it gets a new one."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to store."""

    name: str
    source: JobSource
    model_version: ModelVersion
    priority: Priority = Priority.NORMAL
    top_k: int = 5
    details: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    webhook: dict[str, Any] | None = None
    key_id: str | None = None
    """The owner. None: the job has no owner."""
    open_until: datetime | None = None
    """Until when items may be added. None: the job is not open."""
    columns: Mapping[str, str] | None = None
    """The meanings of columns of the manifest that the client gives."""
    vectors: bool = True
    """Whether to store the vectors of its pictures."""
    rerun_of: str | None = None
    """The job whose pictures this one classifies again."""


def create(session: Session, new: NewJob, items: Sequence[NewItem], now: datetime) -> Job:
    """Store a job with its items and the rows of their blobs.

    Raises:
        QuotaExceeded: The job has more items than its owner may still submit this month.
    """
    job = _new_job(session, new, items, now)
    _store_items(session, job, items, {}, now)
    return job


def create_with_chunks(
    session: Session, new: NewJob, items: Sequence[NewItem], policy: ChunkPolicy, now: datetime
) -> tuple[Job, list[ChunkMessage]]:
    """Store a job as `create` does, and its first chunks. Return their messages, to be sent after the commit.

    Raises:
        QuotaExceeded: The job has more items than its owner may still submit this month.
    """
    job = _new_job(session, new, items, now)
    waiting = ((position, item.blob is None) for position, item in enumerate(items) if item.error is None)
    messages, chunk_ids = chunks.claim_first(session, job, waiting, policy, now)
    _store_items(session, job, items, chunk_ids, now)
    return job, messages


def create_discovering(session: Session, new: NewJob, source: UnreadSource | CrawlRequest, now: datetime) -> Job:
    """Store a job whose items a worker will read from its source, or will find by crawling."""
    job = _new_job(session, new, [], now, discovering=True)
    if isinstance(source, CrawlRequest):
        requests.add(session, job.id, source)
        discoveries.add(session, job.id, None, source.start_urls[0], now)
    else:
        store_blobs(session, {source.blob.sha256: source.blob.bytes}, now)
        discoveries.add(session, job.id, source.blob.sha256, source.file_name, now)
    usage.add(session, job.key_id, now, jobs=1)
    return job


def append_items(session: Session, job: Job, items: Sequence[NewItem], now: datetime) -> None:
    """Add items to a job. The caller has locked the job's row and has stored the rows of the blobs (`store_blobs`)."""
    refused = sum(item.error is not None for item in items)
    _insert_items(session, job, items, {}, now, job.total)
    job.total += len(items)
    job.pending += len(items) - refused
    job.failed += refused


def _new_job(
    session: Session, new: NewJob, items: Sequence[NewItem], now: datetime, *, discovering: bool = False
) -> Job:
    refused = sum(item.error is not None for item in items)
    values: dict[str, Any] = {
        **_JOB_DEFAULTS,
        "id": new_id("job"),
        "name": new.name,
        "source": new.source,
        "priority": new.priority,
        "discovering": discovering or new.open_until is not None,
        "open_until": new.open_until,
        "vectors": new.vectors,
        "rerun_of": new.rerun_of,
        "columns": dict(new.columns) if new.columns else None,
        "total": len(items),
        "pending": len(items) - refused,
        "failed": refused,
        "model_version_id": new.model_version.id,
        "top_k": new.top_k,
        "created_at": now,
        "expires_at": new.expires_at,
        "webhook": new.webhook,
        "key_id": new.key_id,
    }
    session.connection().execute(_INSERT_JOB, {**values, _DETAILS: new.details})
    # The object equals the stored row. Reading it back would cost each submission a query.
    job = Job(**values, details=new.details)
    make_transient_to_detached(job)
    session.add(job)
    set_committed_value(job, "model_version", new.model_version)
    return job


def _store_items(
    session: Session, job: Job, items: Sequence[NewItem], chunk_ids: Mapping[int, str], now: datetime
) -> None:
    store_blobs(session, {item.blob.sha256: item.blob.bytes for item in items if item.blob}, now)
    _insert_items(session, job, items, chunk_ids, now)
    if job.pending == 0:
        # All items were refused, therefore the job ends at once, unless it is open.
        lifecycle.update_job_state(session, job, now)
    usage.add(session, job.key_id, now, jobs=1, items=len(items))


def _insert_items(
    session: Session, job: Job, items: Sequence[NewItem], chunk_ids: Mapping[int, str], now: datetime, first: int = 0
) -> None:
    """Insert items at the positions from `first` on. `chunk_ids` maps positions to the chunks of these items."""
    for start in range(0, len(items), _MAX_ROWS_AT_ONCE):
        part = enumerate(items[start : start + _MAX_ROWS_AT_ONCE], first + start)
        rows = [_item_row(job.id, position, item, chunk_ids.get(position), now) for position, item in part]
        session.connection().execute(_INSERT_ITEMS, rows)
        products.add(session, job, rows)
        session.connection().execute(_INSERT_TEXTS, [_text_row(row) for row in rows])
        regions = [
            row
            for item_row, item in zip(rows, items[start : start + _MAX_ROWS_AT_ONCE], strict=True)
            if item.regions
            for row in _region_rows(item_row["id"], item.regions)
        ]
        if regions:
            session.connection().execute(_INSERT_REGIONS, regions)
    tallies.count_errors(session, job, Counter((item.error.code, _is_retryable(item)) for item in items if item.error))


def store_blobs(session: Session, sizes: Mapping[str, int], now: datetime) -> None:
    """Insert the missing rows of blobs, given as a mapping from SHA-256 to size in bytes."""
    rows = [{"sha256": sha256, "bytes": size, "created_at": now} for sha256, size in sorted(sizes.items())]
    if not on_postgresql(session):
        _INSERT_MISSING_BLOBS.execute(session, rows)
        return
    if rows:
        session.connection().execute(_INSERT_OR_LOCK_BLOBS, rows)


def _item_row(job_id: str, position: int, item: NewItem, chunk_id: str | None, now: datetime) -> dict[str, Any]:
    error, product = item.error, (item.provenance or {}).get("product")
    return {
        "id": item.id or new_id("itm"),
        "job_id": job_id,
        "position": position,
        "chunk_id": chunk_id,
        "status": ItemStatus.FAILED if error else ItemStatus.PENDING,
        "blob_sha256": item.blob.sha256 if item.blob else None,
        "crop_key": item.crop.key if item.crop else "",
        "custom_id": item.custom_id,
        "source_name": item.source_name,
        "source_url": item.source_url,
        "provenance": item.provenance or None,
        "product_id": product_id_of(product),
        "sku": product.get("sku") if product else None,
        _DETAILS: item.details or None,
        "reused": False,
        "error_code": error.code if error else None,
        "error_detail": error.detail if error else None,
        "error_retryable": _is_retryable(item) if error else None,
        "created_at": now,
        "finished_at": now if error else None,
    }


def _text_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text in which the item of a row is searched."""
    product = (row["provenance"] or {}).get("product") or {}
    named = (product.get(name) for name in ("title", "sku", "brand", "product_id", "gtin", "mpn"))
    text = searchable([row["source_name"], row["custom_id"], *named, row["source_url"]])
    return {"job_id": row["job_id"], "position": row["position"], "text": text}


def _is_retryable(item: NewItem) -> bool:
    """Return whether a retry can take an item that failed before it was stored."""
    return item.error is not None and item.error.retryable and bool(item.blob or item.source_url)


def _region_rows(item_id: str, regions: Sequence[Region]) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id("rgn"),
            "item_id": item_id,
            "position": position,
            "name": region.name,
            "crop_key": region.box.key,
            "reused": False,
        }
        for position, region in enumerate(regions)
    ]


def withdraw(session: Session, job_id: str) -> None:
    """Undo a submission before its client knows of it: remove the job, its items and chunks, and its usage."""
    job = session.get(Job, job_id)
    if job is not None:
        usage.add(session, job.key_id, job.created_at, jobs=-1, items=-job.total)
        session.execute(delete(Job).where(Job.id == job_id))
