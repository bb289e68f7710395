"""Duplicates: link the items of a finished job that show the same picture, and find an item's picture in other jobs.

Two items are duplicates if they have the same bytes and the same crop, or if both show whole pictures that are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Table, bindparam, or_, select, update
from sqlalchemy.orm import Session, joinedload

from core.fingerprints import Fingerprint, alike, bands, distance
from core.types import WHOLE_PICTURE
from db.bulk import InsertMissing, UpdateRows
from db.steps import products
from db.tables import Blob, BlobBands, Item, Job
from db.tables.items import BAND_COLUMNS
from db.tables.jobs import UNLINKED
from db.views.items import with_shown_relations
from db.views.jobs import is_kept

MAX_AT_ONCE = 500
"""Maximum number of items that one transaction indexes or links. More would keep other writers waiting."""

MAX_CANDIDATES = 1000
"""Maximum number of blobs with a common band that are compared. Usually there are a few, unless thousands show the same
picture."""

Link = tuple[str, str | None]
"""The id of an item, and the id of its original (None: it is no duplicate)."""

BlobBandValues = tuple[str, Sequence[int]]
"""The SHA-256 of a blob, and the bands of its fingerprint."""

_BLOBS, _BANDS = cast(Table, Blob.__table__), cast(Table, BlobBands.__table__)
_ITEMS, _JOBS = cast(Table, Item.__table__), cast(Table, Job.__table__)
_INDEX, _LINK = InsertMissing(_BANDS), UpdateRows(_ITEMS, ("duplicate_of",))


class FinishedJob(NamedTuple):
    """A finished job, as the linker has read it."""

    id: str
    total: int
    finished_at: datetime | None


class Picture(NamedTuple):
    """An item with bytes, with the columns that the linker needs."""

    item_id: str
    position: int
    sha256: str
    crop_key: str
    duplicate_of: str | None
    """The stored value, from an earlier run of the linker."""
    fingerprint: Fingerprint | None
    width: int | None
    height: int | None
    indexed: bool
    """Whether the bands of the blob's fingerprint are stored."""

    @property
    def whole_fingerprint(self) -> Fingerprint | None:
        """Return the fingerprint. None if the blob has none, or if the item shows only a part of the picture."""
        return self.fingerprint if self.crop_key == WHOLE_PICTURE else None

    @property
    def aspect(self) -> float:
        return self.width / self.height if self.width and self.height else 1.0


@dataclass(frozen=True, slots=True)
class FoundDuplicates:
    """The duplicates of a job, or a part of them: up to `MAX_AT_ONCE` of `bands` and of `links`."""

    job: FinishedJob
    bands: Sequence[BlobBandValues] = ()
    links: Sequence[Link] = ()
    duplicates: int | None = None
    """How many duplicates the job has. It is set only in the last part."""


@dataclass(frozen=True, slots=True)
class EarlierItem:
    """An item of an earlier job that shows the same picture."""

    item: Item
    distance: int
    """The number of bits in which the hashes differ. 0 also for the same bytes."""


_UNLINKED = (
    select(_JOBS.c.id, _JOBS.c.total, _JOBS.c.finished_at)
    .where(UNLINKED)
    .order_by(_JOBS.c.id)
    .limit(bindparam("max_jobs"))
)
_PICTURES = (
    select(
        _ITEMS.c.id,
        _ITEMS.c.position,
        _ITEMS.c.blob_sha256,
        _ITEMS.c.crop_key,
        _ITEMS.c.duplicate_of,
        _BLOBS.c.fingerprint,
        _BLOBS.c.width,
        _BLOBS.c.height,
        _BANDS.c.blob_sha256.is_not(None),
    )
    .join(_BLOBS, _ITEMS.c.blob_sha256 == _BLOBS.c.sha256)
    .outerjoin(_BANDS, _BANDS.c.blob_sha256 == _BLOBS.c.sha256)
    .where(_ITEMS.c.job_id == bindparam("job_id"), _ITEMS.c.position > bindparam("after"))
    .order_by(_ITEMS.c.position)
    .limit(bindparam("max_items"))
)
_END = bindparam("end", type_=_JOBS.c.finished_at.type)
_UNCHANGED = (_JOBS.c.id == bindparam("job_id")) & _JOBS.c.finished_at.is_not_distinct_from(_END) & UNLINKED
_LOCK = select(_JOBS.c.id).where(_UNCHANGED).with_for_update()
_CLOSE = (
    update(_JOBS)
    .where(_UNCHANGED)
    .values(duplicates=bindparam("duplicate_count"), revision=_JOBS.c.revision + 1)
    .returning(_JOBS.c.id)
)


def list_unlinked_jobs(session: Session, limit: int) -> list[FinishedJob]:
    """Return finished jobs whose duplicates are not found yet, oldest first."""
    return [FinishedJob(*row) for row in session.connection().execute(_UNLINKED, {"max_jobs": limit})]


def list_pictures(session: Session, job_id: str, after: int, limit: int) -> list[Picture]:
    """Return the next `limit` items of a job that have bytes, after the position `after`, in order of position."""
    rows = session.connection().execute(_PICTURES, {"job_id": job_id, "after": after, "max_items": limit})
    return [Picture(*row) for row in rows]


def store(session: Session, found: Sequence[FoundDuplicates]) -> list[FoundDuplicates]:
    """Store the bands of blobs, the originals of items, and the number of duplicates of jobs.

    Return the parts that were stored. Jobs that have changed since the linker read them, or are gone, are passed over.
    The caller sorts the jobs by their ids, so that two linkers lock them in the same order.

    Raises:
        sqlalchemy.exc.IntegrityError: Blobs are gone, because their job is being purged.
    """
    # All jobs are locked first. From then on the purger removes neither their items nor their blobs.
    locked = [part for part in found if _lock(session, part)]
    bands = {sha256: values for part in locked for sha256, values in part.bands}
    _INDEX.execute(session, [_bands_row(sha256, bands[sha256]) for sha256 in sorted(bands)])
    links = [{"id": item_id, "duplicate_of": original} for part in locked for item_id, original in part.links]
    _LINK.execute(session, links)
    for part in locked:
        if part.links:
            # A photo that occurs twice votes once.
            products.count_votes(session, session.get_one(Job, part.job.id), [item_id for item_id, _ in part.links])
    return locked


def _lock(session: Session, found: FoundDuplicates) -> bool:
    unchanged_job = {"job_id": found.job.id, "end": found.job.finished_at}
    if found.duplicates is None:
        return session.connection().execute(_LOCK, unchanged_job).first() is not None
    closed = session.connection().execute(_CLOSE, {**unchanged_job, "duplicate_count": found.duplicates})
    return closed.first() is not None


def _bands_row(sha256: str, values: Sequence[int]) -> dict[str, Any]:
    return {"blob_sha256": sha256, **dict(zip(BAND_COLUMNS, values, strict=True))}


def find_earlier(session: Session, item: Item, now: datetime, limit: int) -> list[EarlierItem]:
    """Return items of the same owner's earlier jobs that show the picture of `item`, or a crop of it, newest first."""
    if item.blob is None:
        return []
    distances = {item.blob.sha256: 0, **_find_alike_blobs(session, item.blob)}
    # A condition instead of a join, because with a join SQLite would start with the jobs and read all of their items.
    visible = select(Job.id).where(
        Job.id == Item.job_id, is_kept(now), Job.key_id.is_not_distinct_from(item.job.key_id)
    )
    query = (
        select(Item)
        .where(Item.blob_sha256.in_(distances), Item.job_id < item.job_id, visible.exists())
        .order_by(Item.job_id.desc(), Item.position)
        .limit(limit)
        .options(joinedload(Item.job))
    )
    return [
        EarlierItem(found, distances[found.blob_sha256 or ""]) for found in session.scalars(with_shown_relations(query))
    ]


def _find_alike_blobs(session: Session, blob: Blob) -> dict[str, int]:
    """Return the SHA-256 of other blobs whose pictures are alike, and the distances of their hashes."""
    if blob.fingerprint is None or not blob.width or not blob.height:
        return {}
    rows = session.execute(
        select(Blob.sha256, Blob.fingerprint, Blob.width, Blob.height)
        .join(BlobBands, BlobBands.blob_sha256 == Blob.sha256)
        .where(_some_band(blob.fingerprint), Blob.sha256 != blob.sha256)
        .limit(MAX_CANDIDATES)
    )
    aspect = blob.width / blob.height
    return {
        row.sha256: distance(row.fingerprint, blob.fingerprint)
        for row in rows
        if alike(row.fingerprint, blob.fingerprint, row.width / row.height / aspect)
    }


def _some_band(fingerprint: Fingerprint) -> ColumnElement[bool]:
    pairs = zip(BAND_COLUMNS, bands(fingerprint), strict=True)
    return or_(*(getattr(BlobBands, column) == value for column, value in pairs))
