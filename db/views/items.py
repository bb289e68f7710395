"""Read items: one item, a page of a job's items, and the pending items of a chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar, cast

from sqlalchemy import Select, Table, bindparam, select
from sqlalchemy.orm import Session, joinedload, selectinload
from sqlalchemy.orm.attributes import set_committed_value

from core.types import PictureKey
from db.bulk import in_values
from db.database import Database
from db.look_up import LookUp
from db.tables import Blob, Item, ItemStatus, Prediction, Review
from db.views import regions
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort, select_page

_ITEMS = cast(Table, Item.__table__)
_PENDING_ITEMS = (
    select(_ITEMS.c.id, _ITEMS.c.blob_sha256, _ITEMS.c.crop_key, _ITEMS.c.created_at)
    .where(_ITEMS.c.chunk_id == bindparam("chunk_id"), _ITEMS.c.status == ItemStatus.PENDING)
    .order_by(_ITEMS.c.position)
)


def get(session: Session, item_id: str) -> Item | None:
    return session.scalar(with_shown_relations(select(Item).where(Item.id == item_id)))


def list_known_ids(session: Session, job_id: str, item_ids: Sequence[str]) -> set[str]:
    """Return those of the ids that belong to items of a job."""
    known = select(Item.id).where(Item.job_id == job_id, in_values(session, Item.id, item_ids))
    return set(session.scalars(known))


def list_of_job(
    session: Session,
    job_id: str,
    item_filter: ItemFilter,
    sort: ItemSort,
    after: ItemCursor | None,
    limit: int,
    *,
    with_regions: bool = False,
) -> Sequence[Item]:
    """Return a page of a job's items. The thousandth page costs the same as the first one.

    `with_regions` reads the regions of all these items with one query. Otherwise each item reads its own when asked.
    """
    query = with_shown_relations(select(Item))
    if with_regions:
        query = query.options(selectinload(Item.regions))
    return session.scalars(select_page(query, job_id, item_filter, sort, after, limit)).all()


T = TypeVar("T", Item, Blob, Prediction, Review)

_SHOWN = (Item, Blob, Prediction, Review)
_COLUMNS = {kind: list(kind.__mapper__.column_attrs) for kind in _SHOWN}
_FIRST_ITEM = LookUp(
    select(*(column.expression for kind in _SHOWN for column in _COLUMNS[kind]))
    .select_from(Item)
    .outerjoin(Item.blob)
    .outerjoin(Item.prediction)
    .outerjoin(Item.review)
    .where(Item.job_id == bindparam("job_id"))
    .order_by(Item.position)
    .limit(1)
)


def read_first_of_job(database: Database, job_id: str, *, with_regions: bool = False) -> Item | None:
    """Return the only item of a single classification, with its blob, prediction and review. It has no session.

    It has its regions only if `with_regions` asks for them.
    """
    row = _FIRST_ITEM.first(database, job_id=job_id)
    if row is None:
        return None
    values = iter(row)
    item, blob = _build(Item, values), _build(Blob, values)
    prediction, review = _build(Prediction, values), _build(Review, values)
    # An outer join without a match returns NULL in all columns.
    item.blob = blob if blob.sha256 else None
    item.prediction = prediction if prediction.id else None
    item.review = review if review.id else None
    if with_regions:
        with database.reading() as session:
            set_committed_value(item, "regions", regions.list_of_items(session, [item.id]).get(item.id, []))
    return item


def _build(kind: type[T], values: Iterator[Any]) -> T:
    return kind(**{column.key: next(values) for column in _COLUMNS[kind]})


def list_pending(session: Session, chunk_id: str) -> list[tuple[str, PictureKey]]:
    """Return id and picture of the pending items of a chunk, in order of position."""
    return [(item_id, picture) for item_id, picture, _ in list_pending_since(session, chunk_id)]


def list_pending_since(session: Session, chunk_id: str) -> list[tuple[str, PictureKey, datetime]]:
    """Return what `list_pending` returns, and when each item was created."""
    rows = session.execute(_PENDING_ITEMS, {"chunk_id": chunk_id})
    return [(item_id, (sha256 or "", crop_key), created_at) for item_id, sha256, crop_key, created_at in rows]


def list_pending_pictures(session: Session, chunk_id: str, *, with_regions: bool = False) -> list[PictureKey]:
    """Return the pictures of the pending items of a chunk, each picture once.

    `with_regions` adds the regions of each item after its picture, so that they are decoded together.
    """
    pending = list_pending(session, chunk_id)
    if not with_regions:
        return list(dict.fromkeys(picture for _, picture in pending))
    by_item = regions.list_pending(session, chunk_id)
    pictures = ((picture, *(region.picture for region in by_item.get(item_id, ()))) for item_id, picture in pending)
    return list(dict.fromkeys(chain.from_iterable(pictures)))


def with_shown_relations(query: Select[Item]) -> Select[Item]:
    """Extend a query for items so that it loads the blob, the prediction and the review of each."""
    return query.options(joinedload(Item.blob), joinedload(Item.prediction), joinedload(Item.review))
