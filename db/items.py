"""Items: one picture within a job each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session, joinedload

from db.models import Item, ItemStatus

_NO_CONFIDENCE = 2.0
"""Sorts items without a prediction behind all that have one (confidences end at 1)."""


class ItemSort(StrEnum):
    """The orders in which items can be listed."""

    POSITION = "position"
    """As they came in."""
    CONFIDENCE = "confidence"
    """Doubtful ones first; those without a prediction last."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items of a job to list; everything given must hold."""

    status: ItemStatus | None = None
    label: str | None = None
    group: str | None = None
    min_confidence: float | None = None
    max_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class ItemCursor:
    """The last item of a page, by what it was sorted by."""

    position: int
    confidence: float | None = None


def get(session: Session, item_id: str) -> Item | None:
    return session.scalar(_with_everything(select(Item).where(Item.id == item_id)))


def list_of_job(
    session: Session,
    job_id: str,
    wanted: ItemFilter,
    sort: ItemSort,
    after: ItemCursor | None,
    limit: int,
) -> Sequence[Item]:
    """A page of a job's items, by keyset: the thousandth page costs what the first does."""
    query = _with_everything(select(Item).where(Item.job_id == job_id).limit(limit))
    if wanted.status:
        query = query.where(Item.status == wanted.status)
    if wanted.label:
        query = query.where(Item.label == wanted.label)
    if wanted.group:
        query = query.where(Item.label_group == wanted.group)
    if wanted.min_confidence is not None:
        query = query.where(Item.confidence >= wanted.min_confidence)
    if wanted.max_confidence is not None:
        query = query.where(Item.confidence <= wanted.max_confidence)
    if sort == ItemSort.POSITION:
        query = query.order_by(Item.position)
        if after:
            query = query.where(Item.position > after.position)
        return session.scalars(query).all()
    doubt = func.coalesce(Item.confidence, _NO_CONFIDENCE)
    query = query.order_by(doubt, Item.position)
    if after:
        last = _NO_CONFIDENCE if after.confidence is None else after.confidence
        query = query.where(tuple_(doubt, Item.position) > tuple_(last, after.position))
    return session.scalars(query).all()


def first_of_job(session: Session, job_id: str) -> Item | None:
    """The only item of a single classification."""
    return session.scalar(_with_everything(select(Item).where(Item.job_id == job_id).order_by(Item.position).limit(1)))


def pending_pictures(session: Session, chunk_id: str) -> list[tuple[str, str]]:
    """(SHA-256, crop key) of every picture of a chunk that is still to be classified, each once."""
    rows = session.execute(
        select(Item.blob_sha256, Item.crop_key)
        .where(Item.chunk_id == chunk_id, Item.status == ItemStatus.PENDING)
        .order_by(Item.position)
    )
    return list(dict.fromkeys((sha256 or "", crop_key) for sha256, crop_key in rows))


def _with_everything(query: Select[Item]) -> Select[Item]:
    return query.options(joinedload(Item.blob), joinedload(Item.prediction))
