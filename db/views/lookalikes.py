"""Read what a search for look-alikes needs: vectors, and the items that may be shown for them.

An index of vectors may lag behind the database, and it knows no owners. Its answers therefore always pass
`newest_items`, which returns only items that exist and that the search may show.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, joinedload

from core.vectors import decode_all
from db.access.keys import Caller
from db.bulk import in_values
from db.tables import Item, Job, Prediction, Vector
from db.views.items import with_shown_relations
from db.views.jobs import is_kept

BLOCK = 2000
"""Vectors that one query reads."""
MAX_SHOTS = 200
"""Most pictures of a product. An id with more hardly names one product (as for verdicts)."""


@dataclass(frozen=True, slots=True)
class SearchScope:
    """The items among which a search looks."""

    caller: Caller
    job_ids: tuple[str, ...] | None = None
    """Jobs that the caller was allowed to see when it asked. None: all jobs that the caller may see."""
    hidden_blobs: frozenset[str] = field(default_factory=frozenset)
    """SHA-256 of pictures that are left out, such as the one that was asked about."""
    hidden_items: frozenset[str] = field(default_factory=frozenset)

    def jobs(self, now: datetime) -> ColumnElement[bool]:
        """Return the condition on the rows of jobs."""
        seen = self.caller.sees_job if self.job_ids is None else Job.id.in_(self.job_ids)
        return seen & is_kept(now)

    @property
    def items(self) -> ColumnElement[bool]:
        """Return the condition on the rows of items. A duplicate is left out, because its original is shown."""
        # An empty set excludes nothing.
        hidden = Item.blob_sha256.in_(self.hidden_blobs) | Item.id.in_(self.hidden_items)
        return Item.duplicate_of.is_(None) & ~hidden


@dataclass(frozen=True, slots=True)
class Asked:
    """The item that a search starts from."""

    item_id: str
    job_id: str
    blob_sha256: str
    duplicate_of: str | None
    product_id: str | None
    color: str | None
    model_version_id: int
    vector: bytes | None


def read_asked(session: Session, item_id: str) -> Asked | None:
    """Return the item that a search starts from. None if it does not exist or has no prediction."""
    row = session.execute(
        select(Item, Prediction.model_version_id, Vector.data)
        .join(Prediction, Prediction.id == Item.prediction_id)
        .outerjoin(Vector, Vector.prediction_id == Item.prediction_id)
        .where(Item.id == item_id)
    ).first()
    if row is None:
        return None
    item, model_version_id, data = row
    return Asked(
        item.id,
        item.job_id,
        item.blob_sha256 or "",
        item.duplicate_of,
        item.product_id,
        _color(item),
        model_version_id,
        data,
    )


def _color(item: Item) -> str | None:
    product = (item.provenance or {}).get("product") or {}
    color = product.get("color")
    return color.casefold() if isinstance(color, str) else None


@dataclass(frozen=True, slots=True)
class Vectors:
    """Some vectors, each with its number."""

    numbers: NDArray[np.int64]
    """int64 [N], ascending."""
    vectors: NDArray[np.float16]
    """float16 [N, length]."""


def read_after(session: Session, model_version_id: int, number: int, limit: int) -> Vectors | None:
    """Return the next vectors of a model version after a number. None if there are none."""
    rows = session.execute(
        select(Vector.number, Vector.data)
        .where(Vector.model_version_id == model_version_id, Vector.number > number)
        .order_by(Vector.number)
        .limit(limit)
    ).all()
    return _vectors([(row.number, row.data) for row in rows])


def read_numbers(session: Session, numbers: Sequence[int]) -> Vectors | None:
    """Return those of up to 500 vectors that exist. None if none does."""
    rows = session.execute(
        select(Vector.number, Vector.data).where(Vector.number.in_(numbers)).order_by(Vector.number)
    ).all()
    return _vectors([(row.number, row.data) for row in rows])


def _vectors(rows: Sequence[tuple[int, bytes]]) -> Vectors | None:
    if not rows:
        return None
    return Vectors(np.array([number for number, _ in rows], np.int64), decode_all([data for _, data in rows]))


def list_numbers(session: Session, model_version_id: int) -> NDArray[np.int64]:
    """Return the numbers of all vectors of a model version, int64 [N], ascending."""
    query = select(Vector.number).where(Vector.model_version_id == model_version_id).order_by(Vector.number)
    return np.fromiter(session.scalars(query.execution_options(yield_per=10_000)), np.int64)


def count_vectors(session: Session, model_version_id: int) -> int:
    query = select(func.count()).select_from(Vector).where(Vector.model_version_id == model_version_id)
    return session.scalar(query) or 0


def prediction_ids(session: Session, numbers: Sequence[int]) -> dict[int, str]:
    """Return the prediction of each of these vectors that exists."""
    rows = session.execute(select(Vector.number, Vector.prediction_id).where(Vector.number.in_(numbers)))
    return {row.number: row.prediction_id for row in rows}


def count_items(session: Session, scope: SearchScope, model_version_id: int, now: datetime) -> int:
    """Return how many items of the scope were classified by the model version. Only the rows of jobs are read."""
    query = select(func.coalesce(func.sum(Job.succeeded), 0)).where(
        scope.jobs(now), Job.model_version_id == model_version_id
    )
    return int(session.scalar(query) or 0)


def newest_items(session: Session, scope: SearchScope, numbers: Sequence[int], now: datetime) -> dict[int, str]:
    """Return the id of the newest item of the scope for each vector. Vectors without such an item are left out."""
    if not numbers:
        return {}
    rows = session.execute(
        select(Vector.number, func.max(Item.id).label("id"))
        .join(Item, Item.prediction_id == Vector.prediction_id)
        .join(Job, Job.id == Item.job_id)
        .where(in_values(session, Vector.number, numbers), scope.jobs(now), scope.items)
        .group_by(Vector.number)
    )
    return {row.number: row.id for row in rows}


@dataclass(frozen=True, slots=True)
class FoundVectors:
    """Items with their vectors."""

    item_ids: list[str]
    prediction_ids: list[str]
    vectors: NDArray[np.float16]
    """float16 [N, length]."""


def read_scope(session: Session, scope: SearchScope, model_version_id: int, now: datetime) -> Iterator[FoundVectors]:
    """Read the vectors of all items of the scope, block by block, those of the newest job first."""
    query = select(Job.id).where(scope.jobs(now), Job.model_version_id == model_version_id, Job.succeeded > 0)
    for job_id in session.scalars(query.order_by(Job.id.desc())).all():
        after = -1
        while True:
            rows = session.execute(
                select(Item.id, Item.position, Item.prediction_id, Vector.data)
                .join(Vector, Vector.prediction_id == Item.prediction_id)
                .where(Item.job_id == job_id, Item.position > after, scope.items)
                .order_by(Item.position)
                .limit(BLOCK)
            ).all()
            if not rows:
                break
            after = rows[-1].position
            ids, predictions = [row.id for row in rows], [row.prediction_id or "" for row in rows]
            yield FoundVectors(ids, predictions, decode_all([row.data for row in rows]))


@dataclass(frozen=True, slots=True)
class Shots:
    """Other pictures of the product that an item shows."""

    item_ids: list[str]
    variants: list[bool]
    """Whether each shows the product in another colour, as its shop names the colours."""
    vectors: NDArray[np.float16]
    """float16 [N, length]."""


def read_shots(session: Session, asked: Asked, scope: SearchScope, now: datetime) -> Shots | None:
    """Return the other pictures of the item's product in its job. None if it shows no product, or the only picture."""
    if asked.product_id is None:
        return None
    rows = session.execute(
        select(Item, Vector.data)
        .join(Vector, Vector.prediction_id == Item.prediction_id)
        .join(Job, Job.id == Item.job_id)
        .where(Item.job_id == asked.job_id, Item.product_id == asked.product_id, scope.jobs(now), scope.items)
        .order_by(Item.position)
        .limit(MAX_SHOTS + 1)
    ).all()
    if not rows or len(rows) > MAX_SHOTS:
        return None
    colors = [_color(item) for item, _ in rows]
    variants = [None not in (color, asked.color) and color != asked.color for color in colors]
    return Shots([item.id for item, _ in rows], variants, decode_all([data for _, data in rows]))


def read_items(session: Session, item_ids: Sequence[str], now: datetime) -> dict[str, Item]:
    """Return these items by their ids, with what an answer shows of them. Items of deleted jobs are left out."""
    query = select(Item).join(Job, Job.id == Item.job_id).where(in_values(session, Item.id, item_ids), is_kept(now))
    rows = session.scalars(with_shown_relations(query).options(joinedload(Item.job)))
    return {item.id: item for item in rows}
