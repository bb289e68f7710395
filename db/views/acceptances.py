"""Read which items of a job are accepted by its policy (`db.tables.Acceptance`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from sqlalchemy import ColumnElement, false, func, or_, select
from sqlalchemy.orm import Session, aliased

from db.tables import Acceptance, Item, Review


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds of confidence, and the time until which an item must have succeeded."""

    threshold: float | None
    thresholds: tuple[tuple[str, float], ...]
    """Label and threshold. Empty if there is one threshold for all labels."""
    at: datetime

    @classmethod
    def of(cls, row: Acceptance) -> Self:
        return cls(row.threshold, tuple(sorted((row.thresholds or {}).items())), row.created_at)

    def covers(self) -> ColumnElement[bool]:
        """Return the condition that an item without a review is accepted."""
        if self.threshold is not None:
            above = Item.confidence >= self.threshold
        else:
            # An item without a review is listed under its predicted label.
            above = or_(false(), *((Item.label == label) & (Item.confidence >= low) for label, low in self.thresholds))
        return above & (Item.finished_at <= self.at)

    def accepts(self) -> ColumnElement[bool]:
        """Return the condition that an item is accepted. A review wins: it says more than the policy."""
        review = aliased(Review)
        return self.covers() & ~select(review.id).where(review.item_id == Item.id).exists()

    def threshold_of(self, label: str | None, confidence: float | None, finished_at: datetime | None) -> float | None:
        """Return the threshold by which an item without a review is accepted, or None if it is not accepted."""
        if confidence is None or finished_at is None or finished_at > self.at:
            return None
        low = dict(self.thresholds).get(label or "") if self.threshold is None else self.threshold
        return low if low is not None and confidence >= low else None


def count_accepted(session: Session, job_id: str, policy: Policy) -> int:
    """Return how many items of a job a policy accepts now."""
    # Reviews are few, so they are subtracted, which costs less than looking for one of each item.
    conditions = (Item.job_id == job_id, policy.covers())
    covered = session.scalar(select(func.count()).select_from(Item).where(*conditions)) or 0
    query = select(func.count()).select_from(Review).join(Review.item).where(Review.job_id == job_id, *conditions)
    return covered - (session.scalar(query) or 0)
