"""Read the regions of items: those that a chunk still has to predict, and those of a page of an export."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from core.types import PictureKey
from db.bulk import in_values
from db.tables import Item, ItemRegion, ItemStatus

_ITEMS, _REGIONS = cast(Table, Item.__table__), cast(Table, ItemRegion.__table__)
_PENDING_REGIONS = (
    select(_REGIONS.c.id, _REGIONS.c.item_id, _REGIONS.c.name, _ITEMS.c.blob_sha256, _REGIONS.c.crop_key)
    .join(_ITEMS, _ITEMS.c.id == _REGIONS.c.item_id)
    .where(_ITEMS.c.chunk_id == bindparam("chunk_id"), _ITEMS.c.status == ItemStatus.PENDING)
    .order_by(_ITEMS.c.position, _REGIONS.c.position)
)


@dataclass(frozen=True, slots=True)
class PendingRegion:
    """A region of an item that is pending in a chunk."""

    id: str
    name: str
    picture: PictureKey


def list_pending(session: Session, chunk_id: str) -> dict[str, list[PendingRegion]]:
    """Return the regions of a chunk's pending items, by the id of their item and in order."""
    found: dict[str, list[PendingRegion]] = defaultdict(list)
    for region_id, item_id, name, sha256, crop_key in session.execute(_PENDING_REGIONS, {"chunk_id": chunk_id}):
        found[item_id].append(PendingRegion(region_id, name, (sha256 or "", crop_key)))
    return dict(found)


def list_of_items(session: Session, item_ids: Sequence[str]) -> dict[str, list[ItemRegion]]:
    """Return the regions of items with their predictions, by the id of their item and in order."""
    query = select(ItemRegion).where(in_values(session, ItemRegion.item_id, item_ids))
    found: dict[str, list[ItemRegion]] = defaultdict(list)
    for region in session.scalars(query.order_by(ItemRegion.item_id, ItemRegion.position)):
        found[region.item_id].append(region)
    return dict(found)
