"""Items that show the same picture: found within a job once it is over, and for any item across jobs when asked.

Exact duplicates have the same bytes and the same crop. Near ones are whole pictures with fingerprints that are alike.
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
from db.tables import Blob, BlobBands, Item, Job
from db.tables.items import BAND_COLUMNS
from db.tables.jobs import UNLINKED
from db.views.items import with_shown_relations
from db.views.jobs import is_kept

MAX_AT_ONCE = 500
"""How many items one transaction indexes or links: others want to write, too."""

MAX_CANDIDATES = 1000
"""How many blobs that agree in a band are looked at; there are a few, unless thousands show the same."""

Link = tuple[str, str | None]
"""An item's id, and the id of the item that it is a duplicate of."""

BlobBandValues = tuple[str, Sequence[int]]
"""The SHA-256 of a blob, and the bands of its fingerprint."""

_BLOBS, _BANDS = cast(Table, Blob.__table__), cast(Table, BlobBands.__table__)
_ITEMS, _JOBS = cast(Table, Item.__table__), cast(Table, Job.__table__)
_INDEX, _LINK = InsertMissing(_BANDS), UpdateRows(_ITEMS, ("duplicate_of",))


class FinishedJob(NamedTuple):
    """A job that is over, as it was found."""

    id: str
    total: int
    finished_at: datetime | None


class Picture(NamedTuple):
    """An item of a job that has bytes, as far as duplicates are concerned."""

    item_id: str
    position: int
    sha256: str
    crop_key: str
    duplicate_of: str | None
    """As it is stored."""
    fingerprint: Fingerprint | None
    """Of the blob."""
    width: int | None
    height: int | None
    indexed: bool
    """Whether the blob is found by its fingerprint already."""

    @property
    def seen_whole(self) -> Fingerprint | None:
        """The fingerprint; None if there is none, or only a part of the picture is meant."""
        return self.fingerprint if self.crop_key == WHOLE_PICTURE else None

    @property
    def aspect(self) -> float:
        return self.width / self.height if self.width and self.height else 1.0


@dataclass(frozen=True, slots=True)
class FoundDuplicates:
    """What is to be stored of a job, or a part of it: up to `AT_ONCE` of each."""

    job: FinishedJob
    bands: Sequence[BlobBandValues] = ()
    links: Sequence[Link] = ()
    duplicates: int | None = None
    """With the last part: how many there are in the job."""


@dataclass(frozen=True, slots=True)
class SimilarItem:
    """An item whose picture is alike, and the bits that its hash differs in; 0 also for the same bytes."""

    item: Item
    distance: int


_UNLINKED = (
    select(_JOBS.c.id, _JOBS.c.total, _JOBS.c.finished_at).where(UNLINKED).order_by(_JOBS.c.id).limit(bindparam("most"))
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
    .where(_ITEMS.c.job_id == bindparam("job"), _ITEMS.c.position > bindparam("after"))
    .order_by(_ITEMS.c.position)
    .limit(bindparam("most"))
)
_ENDED = bindparam("ended", type_=_JOBS.c.finished_at.type)
_UNCHANGED = (_JOBS.c.id == bindparam("job")) & _JOBS.c.finished_at.is_not_distinct_from(_ENDED) & UNLINKED
_LOCK = select(_JOBS.c.id).where(_UNCHANGED).with_for_update()
_CLOSE = (
    update(_JOBS)
    .where(_UNCHANGED)
    .values(duplicates=bindparam("found"), revision=_JOBS.c.revision + 1)
    .returning(_JOBS.c.id)
)


def list_unlinked_jobs(session: Session, limit: int) -> list[FinishedJob]:
    """Jobs that are over and whose duplicates are to be found, oldest first."""
    return [FinishedJob(*row) for row in session.connection().execute(_UNLINKED, {"most": limit})]


def list_pictures(session: Session, job_id: str, after: int, limit: int) -> list[Picture]:
    """The first items of a job, behind position `after`, that have bytes, by position."""
    rows = session.connection().execute(_PICTURES, {"job": job_id, "after": after, "most": limit})
    return [Picture(*row) for row in rows]


def store(session: Session, found: Sequence[FoundDuplicates]) -> list[FoundDuplicates]:
    """Make blobs findable by their fingerprints, set `duplicate_of` of items, and note which jobs are done.

    What was stored: nothing of jobs that have changed since they ended, or are gone. Jobs come in the order of their
    ids, so that two linkers that have found the same wait for each other.

    Raises:
        sqlalchemy.exc.IntegrityError: blobs are gone, with the items of a job that is being purged.
    """
    # All rows are held before anything is stored: then the purger removes no more of their items, nor their blobs.
    held = [part for part in found if _lock(session, part)]
    bands = {sha256: values for part in held for sha256, values in part.bands}
    _INDEX.execute(session, [_bands_row(sha256, bands[sha256]) for sha256 in sorted(bands)])
    links = [{"id": item_id, "duplicate_of": first} for part in held for item_id, first in part.links]
    _LINK.execute(session, links)
    return held


def _lock(session: Session, found: FoundDuplicates) -> bool:
    which = {"job": found.job.id, "ended": found.job.finished_at}
    if found.duplicates is None:
        return session.connection().execute(_LOCK, which).first() is not None
    return session.connection().execute(_CLOSE, {**which, "found": found.duplicates}).first() is not None


def _bands_row(sha256: str, values: Sequence[int]) -> dict[str, Any]:
    return {"blob_sha256": sha256, **dict(zip(BAND_COLUMNS, values, strict=True))}


def find_similar(session: Session, item: Item, now: datetime, limit: int) -> list[SimilarItem]:
    """Items of the same owner's earlier jobs that show the picture of `item` (or a crop of it), newest first."""
    if item.blob is None:
        return []
    distances = {item.blob.sha256: 0, **_find_alike_blobs(session, item.blob)}
    # As a condition, since SQLite would begin with the jobs if they were joined, and go through all of their items.
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
        SimilarItem(found, distances[found.blob_sha256 or ""]) for found in session.scalars(with_shown_relations(query))
    ]


def _find_alike_blobs(session: Session, blob: Blob) -> dict[str, int]:
    """SHA-256 and distance of other blobs whose pictures are alike."""
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
