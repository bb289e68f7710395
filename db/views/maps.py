"""Read the map of a job: its state, the items at its points, and whether it can be made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.maps import MIN_POINTS, Points
from db.bulk import in_numbers
from db.tables import Item, Job, JobMap, Review, Vector


class MapStatus(StrEnum):
    """none | ready | failed -> waiting -> computing -> ready | failed."""

    NONE = "none"
    """No map was requested yet."""
    WAITING = "waiting"
    """The map is requested, and no worker has taken it up yet."""
    COMPUTING = "computing"
    """A worker computes the map."""
    READY = "ready"
    """The map has points."""
    FAILED = "failed"
    """The last request has failed. Points of an earlier one remain."""


def status_of(row: JobMap | None) -> MapStatus:
    """Return the status of a map from its row, or that of a job without one."""
    if row is None:
        return MapStatus.NONE
    if row.requested_at is not None:
        return MapStatus.WAITING if row.taken_by is None else MapStatus.COMPUTING
    return MapStatus.FAILED if row.error is not None else MapStatus.READY


@dataclass(frozen=True, slots=True)
class NoMap:
    """Why a job cannot have a map."""

    code: str
    detail: str


def get(session: Session, job_id: str) -> JobMap | None:
    """Return the row of a job's map, without its points."""
    return session.scalar(select(JobMap).where(JobMap.job_id == job_id))


def read_points(session: Session, job_id: str) -> Points | None:
    """Return the points of a job's map, or None if it has none."""
    data = session.scalar(select(JobMap.points).where(JobMap.job_id == job_id))
    return None if data is None else Points.decode(data)


def why_none(session: Session, job: Job) -> NoMap | None:
    """Return why a job cannot have a map, or None if it can."""
    model = job.model_version
    if not model.has_embedding:
        detail = f"the model {model.ref} has no embedding output: its pictures have no vectors to lay out"
        return NoMap("no_embedding", f"{detail}. Classify the job again with a model that has one.")
    if job.succeeded < MIN_POINTS:
        detail = f"expected at least {MIN_POINTS} classified pictures, got {job.succeeded}"
        return NoMap("too_few_pictures", f"{detail}. A map of fewer would show chance.")
    some = _with_vectors(job.id).limit(MIN_POINTS).subquery()
    found = session.scalar(select(func.count()).select_from(some)) or 0
    if found < MIN_POINTS:
        detail = f"expected at least {MIN_POINTS} pictures with a stored vector, got {found}"
        return NoMap("no_vectors", f"{detail}. The job or the service was told to store none.")
    return None


def _with_vectors(job_id: str) -> Any:
    pictures = select(Item.position).join(Vector, Vector.prediction_id == Item.prediction_id)
    return pictures.where(Item.job_id == job_id).order_by(Item.position)


def read_shape(session: Session, job_id: str) -> tuple[NDArray[np.int32], int]:
    """Return the positions of the items of a job that have a vector, ascending, and the length of the vectors."""
    positions = np.array(session.scalars(_with_vectors(job_id)).all(), np.int32)
    one = select(func.length(Vector.data)).join(Item, Vector.prediction_id == Item.prediction_id)
    size = session.scalar(one.where(Item.job_id == job_id).limit(1)) or 0
    return positions, size // np.dtype(np.float16).itemsize


class ReviewState(IntEnum):
    """What a review says about a prediction."""

    NONE = 0
    AGREED = 1
    CORRECTED = 2
    REJECTED = 3


@dataclass(frozen=True, slots=True)
class PointItem:
    """What a map shows of the item of a point."""

    id: str
    position: int
    label: str | None
    """The listed label. None if a person said that no label fits."""
    predicted: str
    """The label of the prediction."""
    confidence: float
    review: ReviewState


def read_items(session: Session, job_id: str, points: Points) -> list[PointItem]:
    """Return the items of the points of a map, in their order. Points of items that were removed are left out."""
    query = (
        select(Item.id, Item.position, Item.label, Item.confidence, Review.label, Review.predicted, Review.rejected)
        .outerjoin(Review, Review.item_id == Item.id)
        .where(Item.job_id == job_id, in_numbers(session, Item.position, points.positions.tolist()))
        .where(Item.confidence.is_not(None))
        .order_by(Item.position)
    )
    return [
        PointItem(
            item_id,
            position,
            label,
            predicted or label or "",
            confidence or 0.0,
            _review_state(reviewed, predicted, rejected),
        )
        for item_id, position, label, confidence, reviewed, predicted, rejected in session.execute(query)
    ]


def _review_state(reviewed: str | None, predicted: str | None, rejected: bool | None) -> ReviewState:
    if predicted is None:
        return ReviewState.NONE
    if rejected:
        return ReviewState.REJECTED
    return ReviewState.AGREED if reviewed == predicted else ReviewState.CORRECTED
