"""Items that show the same picture: found within a job once it is over, and for any item across jobs when asked.

Exact duplicates have the same bytes and the same crop. Near ones are whole pictures with fingerprints that are alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, Table, or_, select
from sqlalchemy.orm import Session, joinedload

from core.fingerprints import Fingerprint, alike, bands, distance
from core.types import WHOLE_PICTURE
from db import lifecycle
from db.bulk import insert_missing, update_rows
from db.items import with_everything
from db.jobs import kept
from db.models import TERMINAL, Blob, BlobBands, Item, Job
from db.models.items import BAND_COLUMNS
from db.models.jobs import UNLINKED

AT_ONCE = 500
"""How many items one transaction indexes or links: others want to write, too."""

CANDIDATES = 1000
"""How many blobs that agree in a band are looked at; there are a few, unless thousands show the same."""

Link = tuple[str, str | None]
"""An item's id, and the id of the item that it is a duplicate of."""

_BANDS, _ITEMS = cast(Table, BlobBands.__table__), cast(Table, Item.__table__)


@dataclass(frozen=True, slots=True)
class Picture:
    """An item of a job, as far as duplicates are concerned."""

    item_id: str
    position: int
    sha256: str
    crop_key: str
    fingerprint: Fingerprint | None
    """None if it has none, or only a part of the picture is meant."""
    aspect: float
    duplicate_of: str | None
    """As it is stored."""


@dataclass(frozen=True, slots=True)
class Similar:
    """An item whose picture is alike, and the bits that its hash differs in; 0 also for the same bytes."""

    item: Item
    distance: int


def unlinked(session: Session, limit: int) -> Sequence[Row[str, int, datetime | None]]:
    """(id, total, finished_at) of jobs that are over and whose duplicates are to be found, oldest first."""
    return session.execute(
        select(Job.id, Job.total, Job.finished_at).where(UNLINKED).order_by(Job.id).limit(limit)
    ).all()


def index_blobs(session: Session, job_id: str, after: int) -> int | None:
    """Make blobs of a job findable by their fingerprints: those of up to `AT_ONCE` items behind position `after`.

    The last position that was looked at, None if there is nothing left.
    """
    # Held, so that the purger removes neither the items nor, therefore, their blobs.
    if lifecycle.hold(session, job_id) is None:
        return None
    rows = session.execute(
        select(Item.position, Blob.sha256, Blob.fingerprint)
        .join(Blob, Item.blob_sha256 == Blob.sha256)
        .outerjoin(BlobBands, BlobBands.blob_sha256 == Blob.sha256)
        .where(Item.job_id == job_id, Item.position > after)
        .where(Blob.fingerprint.is_not(None), BlobBands.blob_sha256.is_(None))
        .order_by(Item.position)
        .limit(AT_ONCE)
    ).all()
    new = {row.sha256: row.fingerprint for row in rows}
    insert_missing(session, _BANDS, [_bands_row(sha256, found) for sha256, found in sorted(new.items())])
    return rows[-1].position if rows else None


def _bands_row(sha256: str, fingerprint: Fingerprint) -> dict[str, Any]:
    return {"blob_sha256": sha256, **dict(zip(BAND_COLUMNS, bands(fingerprint), strict=True))}


def pictures(session: Session, job_id: str) -> Iterator[Picture]:
    """The items of a job that have bytes, by position."""
    rows = session.execute(
        select(
            Item.id,
            Item.position,
            Item.blob_sha256,
            Item.crop_key,
            Item.duplicate_of,
            Blob.fingerprint,
            Blob.width,
            Blob.height,
        )
        .join(Blob, Item.blob_sha256 == Blob.sha256)
        .where(Item.job_id == job_id)
        .order_by(Item.position)
        .execution_options(yield_per=5000)
    )
    for row in rows:
        whole = row.crop_key == WHOLE_PICTURE
        aspect = row.width / row.height if row.width and row.height else 1.0
        yield Picture(
            item_id=row.id,
            position=row.position,
            sha256=row.blob_sha256,
            crop_key=row.crop_key,
            fingerprint=row.fingerprint if whole else None,
            aspect=aspect,
            duplicate_of=row.duplicate_of,
        )


def link(session: Session, job_id: str, ended: datetime | None, links: Sequence[Link]) -> bool:
    """Set `duplicate_of` of up to `AT_ONCE` items; False if the job has changed since it `ended`, or is gone."""
    if _held_since(session, job_id, ended) is None:
        return False
    update_rows(session, _ITEMS, [{"id": item_id, "duplicate_of": first} for item_id, first in links])
    return True


def close(session: Session, job_id: str, ended: datetime | None, duplicates: int) -> bool:
    """All duplicates of a job are linked: say how many; False as for `link`."""
    job = _held_since(session, job_id, ended)
    if job is None:
        return False
    job.duplicates = duplicates
    job.revision += 1
    return True


def _held_since(session: Session, job_id: str, ended: datetime | None) -> Job | None:
    job = lifecycle.hold(session, job_id)
    return job if job is not None and job.status in TERMINAL and job.finished_at == ended else None


def similar(session: Session, item: Item, now: datetime, limit: int) -> list[Similar]:
    """Items of the same owner's earlier jobs that show the picture of `item` (or a crop of it), newest first."""
    if item.blob is None:
        return []
    distances = {item.blob.sha256: 0, **_alike(session, item.blob)}
    # As a condition, since SQLite would begin with the jobs if they were joined, and go through all of their items.
    visible = select(Job.id).where(Job.id == Item.job_id, kept(now), Job.key_id.is_not_distinct_from(item.job.key_id))
    query = (
        select(Item)
        .where(Item.blob_sha256.in_(distances), Item.job_id < item.job_id, visible.exists())
        .order_by(Item.job_id.desc(), Item.position)
        .limit(limit)
        .options(joinedload(Item.job))
    )
    return [Similar(found, distances[found.blob_sha256 or ""]) for found in session.scalars(with_everything(query))]


def _alike(session: Session, blob: Blob) -> dict[str, int]:
    """SHA-256 and distance of other blobs whose pictures are alike."""
    if blob.fingerprint is None or not blob.width or not blob.height:
        return {}
    rows = session.execute(
        select(Blob.sha256, Blob.fingerprint, Blob.width, Blob.height)
        .join(BlobBands, BlobBands.blob_sha256 == Blob.sha256)
        .where(_some_band(blob.fingerprint), Blob.sha256 != blob.sha256)
        .limit(CANDIDATES)
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
