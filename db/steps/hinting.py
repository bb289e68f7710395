"""Compute the hints of jobs: ask for them, read what they need, and store them (`db.tables.hints`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from core.categories import CategoryWords
from core.types import ModelRef
from core.vectors import Vector as VectorArray
from core.vectors import decode
from db.steps import reviewing
from db.tables import HintKind, HintRun, Item, ItemHint, Job, JobSource, Prediction, Review, Vector
from db.tables.shadows import SHADOW_OWNER

MAX_RANKED = 10_000
"""Items in the order of one hint. Further ones are not stored, because a million rows for each would cost more than the
predictions, and people look at the first ones."""
_ROWS = 1000
"""Rows that one statement inserts."""
_PAGE = 2000
"""Items that one query reads."""


@dataclass(frozen=True, slots=True)
class HintItem:
    """What the hints of an item are computed from."""

    position: int
    scores: list[float]
    listed: str | None
    """The label under which it is listed."""
    given: str | None
    """The label that a person gave, else the one of the catalog, if its words mean exactly one label."""
    vector: VectorArray | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """The order of one hint."""

    rows: Sequence[tuple[int, float, bool]] = ()
    """Position, value and whether it is flagged, the first one first."""
    missing: str | None = None
    """Why there is no order, in words."""
    items: int = 0
    """How many items have a value, also those that are not stored."""


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job whose hints are to be computed."""

    id: str
    requested_at: datetime
    model: ModelRef
    digest: str
    taxonomy: Mapping[str, Any]

    @property
    def labels(self) -> list[str]:
        return [label["id"] for label in self.taxonomy["labels"]]


def request(session: Session, job: Job, now: datetime) -> bool:
    """Ask for the hints of a finished job. Return False if it has none: single pictures, and jobs of shadow runs."""
    if job.source == JobSource.CLASSIFICATION or job.key_id == SHADOW_OWNER or not job.succeeded:
        return False
    run = session.get(HintRun, job.id)
    if run is None:
        session.add(HintRun(job_id=job.id, requested_at=now, computed_at=None, reviews=0, found={}))
    else:
        run.requested_at, run.computed_at = now, None
    return True


def first_due(session: Session) -> DueJob | None:
    """Return the job that has waited longest for its hints, or None."""
    query = (
        select(Job, HintRun.requested_at)
        .join(HintRun, HintRun.job_id == Job.id)
        .where(HintRun.computed_at.is_(None), Job.deleted_at.is_(None), Job.purged_at.is_(None))
        .order_by(HintRun.requested_at)
        .limit(1)
    )
    row = session.execute(query).first()
    if row is None:
        return None
    job, requested_at = row
    version = job.model_version
    return DueJob(job.id, requested_at, ModelRef(version.name, version.version), version.digest, version.taxonomy)


def read_page(session: Session, job: DueJob, after: int) -> list[HintItem]:
    """Return the next items of a job after a position that have a prediction. Empty: there are no more."""
    words = CategoryWords(job.taxonomy)
    query = (
        select(
            Item.position, Item.label, Item.provenance, Prediction.scores, Review.label, Review.rejected, Vector.data
        )
        .join(Prediction, Prediction.id == Item.prediction_id)
        .outerjoin(Review, Review.item_id == Item.id)
        .outerjoin(Vector, Vector.prediction_id == Prediction.id)
        .where(Item.job_id == job.id, Item.position > after)
        .order_by(Item.position)
        .limit(_PAGE)
    )
    return [
        HintItem(
            position,
            scores,
            listed,
            reviewed if rejected is not None else _catalog_label(provenance or {}, words, job.labels),
            None if data is None else decode(data),
        )
        for position, listed, provenance, scores, reviewed, rejected, data in session.execute(query)
    ]


def _catalog_label(provenance: Mapping[str, Any], words: CategoryWords, labels: Sequence[str]) -> str | None:
    """Return the label that the source of an item gave, if its words mean exactly one label of the model."""
    weak = provenance.get("label")
    if weak in labels:
        return str(weak)
    product = provenance.get("product") or {}
    found = words.labels_of(product.get("category"), product.get("breadcrumb") or ())
    return next(iter(found)) if found is not None and len(found) == 1 else None


def store(session: Session, row: Job, job: DueJob, orders: Mapping[HintKind, Ranked], now: datetime) -> bool:
    """Store the orders of a job in place of earlier ones. Return False if the job is gone or asks again by now.

    The caller has locked the row of the job.
    """
    run = session.get(HintRun, job.id, populate_existing=True)
    if run is None or run.requested_at != job.requested_at or row.deleted_at or row.purged_at:
        return False
    session.execute(delete(ItemHint).where(ItemHint.job_id == job.id))
    values = [
        {"job_id": job.id, "kind": kind, "rank": rank, "position": position, "value": value, "flagged": flagged}
        for kind, order in orders.items()
        for rank, (position, value, flagged) in enumerate(order.rows)
    ]
    for start in range(0, len(values), _ROWS):
        session.execute(insert(ItemHint), values[start : start + _ROWS])
    run.computed_at, run.reviews = now, reviewing.count(session, job.id).reviewed
    run.found = {kind.value: _found(order) for kind, order in orders.items()}
    row.revision += 1
    return True


def _found(order: Ranked) -> dict[str, Any]:
    if order.missing is not None:
        return {"missing": order.missing}
    return {"items": order.items, "flagged": sum(flagged for _, _, flagged in order.rows)}


def count_changed_reviews(session: Session, run: HintRun) -> int:
    """Return how many reviews the hints of a job do not know yet."""
    later = select(func.count()).where(Review.job_id == run.job_id, Review.updated_at > run.computed_at)
    return max(session.scalar(later) or 0, abs(reviewing.count(session, run.job_id).reviewed - run.reviews))
