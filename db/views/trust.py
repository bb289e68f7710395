"""Estimate from which confidence on the predictions of a job can be trusted (core/trust.py says how)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Integer, cast, func, select
from sqlalchemy.orm import Session

from core import trust
from core.trust import BINS, Counts, Estimate, Judged
from db.bulk import on_postgresql
from db.tables import Item, Job, ModelVersion, Review

NEXT_REVIEWS = 100
"""How many items are proposed for the next reviews."""
_RANDOM_PART = 15
"""The first random character of an id, from 1: after the prefix with its underscore and ten characters of time."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """A range of confidence, with its unreviewed pictures and the judged ones."""

    low: float
    high: float
    waiting: int
    validation: int
    validation_right: int
    reviews: int
    reviews_right: int
    by_reviews: bool
    """Whether the reviews count here, or the validation pictures."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known about the predictions of a job: by label of the prediction, in bins of confidence."""

    waiting: Mapping[str, Counts]
    """The items without a review."""
    validation: Mapping[str, Judged]
    reviews: Mapping[str, Judged]

    @property
    def counted(self) -> Judged:
        """All judged pictures that count."""
        return trust.combined(_sum(self.validation), _sum(self.reviews))

    @property
    def all_waiting(self) -> Counts:
        return sum(self.waiting.values(), start=np.zeros(BINS, np.int64))

    @property
    def reviewed(self) -> int:
        return _sum(self.reviews).total

    @property
    def validated(self) -> int:
        return _sum(self.validation).total

    def overall(self, target: float) -> Estimate | None:
        return trust.find_threshold(self.counted, self.all_waiting, target)

    def of_label(self, label: str, target: float) -> Estimate | None:
        judged = self.validation.get(label, Judged.none())
        if self.reviewed >= trust.MIN_REVIEWS:
            judged = trust.combined(judged, self.reviews.get(label, Judged.none()), least=0)
        return trust.find_threshold(judged, self.waiting_of(label), target, trust.MIN_JUDGED_OF_LABEL)

    def waiting_of(self, label: str) -> Counts:
        return self.waiting.get(label, np.zeros(BINS, np.int64))

    def strata(self) -> list[Stratum]:
        validation, reviews, waiting = _sum(self.validation), _sum(self.reviews), self.all_waiting
        rows = []
        for low, high in trust.strata():
            of = slice(low, high)
            rows.append(
                Stratum(
                    low / BINS,
                    high / BINS,
                    int(waiting[of].sum()),
                    int(validation.pictures[of].sum()),
                    int(validation.right[of].sum()),
                    int(reviews.pictures[of].sum()),
                    int(reviews.right[of].sum()),
                    trust.reviews_count(validation, reviews, of),
                )
            )
        return rows


def read(session: Session, job: Job) -> Trust:
    """Return what is known about the predictions of a job. It reads the index of all its classified items."""
    bins = _bin(session).label("bin")
    query = select(Item.label, bins, func.count()).where(Item.job_id == job.id, Item.label.is_not(None))
    waiting: dict[str, Counts] = {}
    for label, number, count in session.execute(query.group_by(Item.label, bins)):
        _of(waiting, str(label))[number] += count
    reviews: dict[str, Judged] = {}
    reviewed = (
        select(Review.predicted, Review.label, bins, func.count())
        .join(Review.item)
        .where(Review.job_id == job.id)
        .group_by(Review.predicted, Review.label, bins)
    )
    for predicted, label, number, count in session.execute(reviewed):
        if label is not None:
            _of(waiting, label)[number] -= count
        judged = reviews.setdefault(predicted, Judged.none())
        judged.pictures[number] += count
        judged.right[number] += count if label == predicted else 0
    return Trust(waiting, _validation(session, job.model_version), reviews)


def choose_reviews(session: Session, job: Job, found: Trust, target: float) -> list[str]:
    """Return the ids of the items whose reviews narrow the estimate of a target most, those with the least confidence
    first.

    They are drawn at random within each stratum, so that the reviews are a fair sample of it. Without a threshold that
    reaches the target, they are drawn from all items.
    """
    overall = found.overall(target)
    first_bin = 0 if overall is None else int(overall.threshold * BINS)
    parts = trust.allocate(found.counted, _sum(found.reviews), found.all_waiting, first_bin, NEXT_REVIEWS)
    is_reviewed = select(Review.id).where(Review.item_id == Item.id).exists()
    ids: list[str] = []
    for low, high, number in parts:
        upper = Item.confidence <= 1 if high == BINS else Item.confidence < high / BINS
        query = (
            select(Item.id)
            .where(Item.job_id == job.id, Item.confidence >= low / BINS, upper, ~is_reviewed)
            .order_by(func.substr(Item.id, _RANDOM_PART), Item.id)
            .limit(number)
        )
        ids += session.scalars(query)
    return ids


def _bin(session: Session) -> ColumnElement[int]:
    """Return the bin of an item's confidence. A cast cuts decimals off on SQLite and rounds on PostgreSQL."""
    scaled = Item.confidence * BINS
    number = cast(func.floor(scaled) if on_postgresql(session) else scaled, Integer)
    return func.least(number, BINS - 1) if on_postgresql(session) else func.min(number, BINS - 1)


def _validation(session: Session, version: ModelVersion) -> dict[str, Judged]:
    stored: dict[str, Any] | None = session.scalar(select(ModelVersion.validation).where(ModelVersion.id == version.id))
    return {label: Judged.of(rows) for label, rows in (stored or {}).items()}


def _of(counts: dict[str, Counts], label: str) -> Counts:
    return counts.setdefault(label, np.zeros(BINS, np.int64))


def _sum(judged: Mapping[str, Judged]) -> Judged:
    total = Judged.none()
    for row in judged.values():
        total.pictures[:] += row.pictures
        total.right[:] += row.right
    return total
