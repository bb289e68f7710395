"""Items: one picture within a job each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from db.item_pages import ItemCursor, ItemFilter, ItemSort, page
from db.models import Item, ItemStatus


def get(session: Session, item_id: str) -> Item | None:
    return session.scalar(with_everything(select(Item).where(Item.id == item_id)))


def list_of_job(
    session: Session,
    job_id: str,
    wanted: ItemFilter,
    sort: ItemSort,
    after: ItemCursor | None,
    limit: int,
) -> Sequence[Item]:
    """A page of a job's items, by keyset: the thousandth page costs what the first does."""
    return session.scalars(page(with_everything(select(Item)), job_id, wanted, sort, after, limit)).all()


def first_of_job(session: Session, job_id: str) -> Item | None:
    """The only item of a single classification."""
    return session.scalar(with_everything(select(Item).where(Item.job_id == job_id).order_by(Item.position).limit(1)))


def pending_pictures(session: Session, chunk_id: str) -> list[tuple[str, str]]:
    """(SHA-256, crop key) of every picture of a chunk that is still to be classified, each once."""
    rows = session.execute(
        select(Item.blob_sha256, Item.crop_key)
        .where(Item.chunk_id == chunk_id, Item.status == ItemStatus.PENDING)
        .order_by(Item.position)
    )
    return list(dict.fromkeys((sha256 or "", crop_key) for sha256, crop_key in rows))


def with_everything(query: Select[Item]) -> Select[Item]:
    """A query for items, with what is shown of each."""
    return query.options(joinedload(Item.blob), joinedload(Item.prediction), joinedload(Item.review))
