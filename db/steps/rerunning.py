"""Read the items of a job as new items of a job that classifies their pictures again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from core.types import Crop, Region
from db.steps.submitting import NewItem, StoredBlob
from db.tables import Blob, Item, ItemRegion, ItemStatus
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort, select_page

_PAGE = 5000
"""Items that one query reads."""
_QUERY = (
    select(
        Item.id,
        Item.position,
        Item.blob_sha256,
        Blob.bytes,
        Item.crop_key,
        Item.custom_id,
        Item.source_name,
        Item.source_url,
        Item.provenance,
        Item.details,
    )
    .outerjoin(Blob, Blob.sha256 == Item.blob_sha256)
    .where(
        or_(
            Item.blob_sha256.is_not(None),
            # A picture that was never downloaded may be there now. One that was refused is refused again.
            Item.source_url.is_not(None) & ((Item.status != ItemStatus.FAILED) | Item.error_retryable.is_(True)),
        )
    )
)


def missing_ids(session: Session, job_id: str, item_ids: Sequence[str]) -> list[str]:
    """Return those of the ids that name no item of the job."""
    known: set[str] = set()
    for start in range(0, len(item_ids), _PAGE):
        part = item_ids[start : start + _PAGE]
        known.update(session.scalars(select(Item.id).where(Item.job_id == job_id, Item.id.in_(part))))
    return [item_id for item_id in item_ids if item_id not in known]


def read_items(
    session: Session,
    job_id: str,
    item_filter: ItemFilter,
    item_ids: Sequence[str] | None,
    limit: int,
    *,
    with_regions: bool,
) -> list[NewItem]:
    """Return up to `limit` items of a job, by position, with their crops and what their client said about them.

    Items without bytes are downloaded again if that may succeed: they are unfinished, canceled, or their failure is
    retryable. The others without bytes are left out. `item_ids` narrows the items further.
    """
    wanted = None if item_ids is None else frozenset(item_ids)
    chosen = (row for row in _read_rows(session, job_id, item_filter) if wanted is None or row.id in wanted)
    rows = list(islice(chosen, limit))
    regions = _read_regions(session, [row.id for row in rows]) if with_regions else {}
    return [
        NewItem(
            row.source_name,
            None if row.blob_sha256 is None else StoredBlob(row.blob_sha256, row.bytes),
            Crop.from_key(row.crop_key),
            custom_id=row.custom_id,
            source_url=row.source_url,
            provenance=row.provenance,
            details=row.details,
            regions=regions.get(row.id, ()),
        )
        for row in rows
    ]


def _read_rows(session: Session, job_id: str, item_filter: ItemFilter) -> Iterator[Row[Any]]:
    after: ItemCursor | None = None
    while True:
        page = session.execute(select_page(_QUERY, job_id, item_filter, ItemSort.POSITION, after, _PAGE)).all()
        yield from page
        if not page:
            return
        after = ItemCursor(page[-1].position)


def _read_regions(session: Session, item_ids: Sequence[str]) -> dict[str, list[Region]]:
    found: dict[str, list[Region]] = {}
    query = select(ItemRegion.item_id, ItemRegion.name, ItemRegion.crop_key).order_by(ItemRegion.position)
    for start in range(0, len(item_ids), _PAGE):
        for row in session.execute(query.where(ItemRegion.item_id.in_(item_ids[start : start + _PAGE]))):
            box = Crop.from_key(row.crop_key)
            assert box is not None, "the box of a region is never the whole picture"
            found.setdefault(row.item_id, []).append(Region(row.name, box))
    return found
