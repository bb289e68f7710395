"""The products of a job: what their source says about them, and the verdicts of their photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ColumnElement, SQLColumnExpression, select
from sqlalchemy.orm import Session

from core.votes import Photo, Vote, vote
from db.bulk import in_values
from db.tables import Item, Product, Review

MAX_PHOTOS = 200
"""Pictures of a product that may vote. An id that more pictures have hardly names one product, and counting all their
votes for each recorded chunk would take longer and longer."""


@dataclass(frozen=True, slots=True)
class ProductFilter:
    """Conditions for the products to list. A product must fulfil all of them."""

    product_id: str | None = None
    label: str | None = None
    """The label of the verdict."""
    contradicts: bool | None = None
    """Whether the verdict contradicts the category. Neither holds if one of them is unknown."""
    set_apart: bool | None = None
    """Whether a photo shows something else."""
    min_confidence: float | None = None
    max_confidence: float | None = None


@dataclass(slots=True)
class ProductVerdict:
    """A product of a job with the verdict of its photos."""

    product: Product
    photos: list[Photo]
    """By position, including those that are not classified. The first `MAX_PHOTOS` of them."""
    vote: Vote
    facts: dict[str, Any] = field(default_factory=dict)
    """What the source of the first photo says (core/products.py)."""

    @property
    def category_labels(self) -> list[str] | None:
        """The labels that fit the shop's own category. None if its words are unknown."""
        labels = self.product.category_labels
        return None if labels is None else labels.split("\n")


def list_of_job(
    session: Session, job_id: str, wanted: ProductFilter, after: str | None, limit: int
) -> list[ProductVerdict]:
    """Return the first products of a job behind a product id, in the order of their ids."""
    query = select(Product).where(Product.job_id == job_id, *_conditions(wanted))
    if after is not None:
        query = query.where(Product.product_id > after)
    rows = session.scalars(query.order_by(Product.product_id).limit(limit)).all()
    photos = read_photos(session, job_id, [row.product_id for row in rows if row.pictures <= MAX_PHOTOS])
    photos |= {row.product_id: _first_photos(session, row) for row in rows if row.pictures > MAX_PHOTOS}
    facts = _read_facts(session, [photos[row.product_id][0].id for row in rows])
    return [
        ProductVerdict(
            row,
            photos[row.product_id],
            vote(photos[row.product_id] if row.pictures <= MAX_PHOTOS else ()),
            facts[photos[row.product_id][0].id],
        )
        for row in rows
    ]


def read_photos(session: Session, job_id: str, product_ids: Sequence[str]) -> dict[str, list[Photo]]:
    """Return the photos of products, by position: product id -> photos."""
    columns: list[Any] = [Item.product_id, Item.id, Item.label, Item.confidence, Item.duplicate_of, Review.id]
    query = (
        select(*columns)
        .outerjoin(Review, Review.item_id == Item.id)
        .where(Item.job_id == job_id, in_values(session, cast(SQLColumnExpression[str], Item.product_id), product_ids))
        .order_by(Item.product_id, Item.position)
    )
    photos: defaultdict[str, list[Photo]] = defaultdict(list)
    for product_id, item_id, label, confidence, duplicate_of, review_id in session.execute(query):
        photos[product_id].append(
            Photo(item_id, label, confidence, reviewed=review_id is not None, duplicate_of=duplicate_of)
        )
    return dict(photos)


def _conditions(wanted: ProductFilter) -> list[ColumnElement[bool]]:
    exact = (
        (Product.product_id, wanted.product_id),
        (Product.label, wanted.label),
        (Product.contradicts, wanted.contradicts),
        (Product.has_set_apart, wanted.set_apart),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in exact if value is not None]
    if wanted.min_confidence is not None:
        conditions.append(Product.confidence >= wanted.min_confidence)
    if wanted.max_confidence is not None:
        conditions.append(Product.confidence <= wanted.max_confidence)
    return conditions


def _first_photos(session: Session, product: Product) -> list[Photo]:
    of_product = (Item.job_id == product.job_id) & (Item.product_id == product.product_id)
    query = select(Item.id, Item.label, Item.confidence).where(of_product).order_by(Item.position).limit(MAX_PHOTOS)
    return [Photo(*row) for row in session.execute(query)]


def _read_facts(session: Session, item_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    rows = session.execute(select(Item.id, Item.provenance).where(in_values(session, Item.id, item_ids)))
    return {item_id: (provenance or {}).get("product") or {} for item_id, provenance in rows}
