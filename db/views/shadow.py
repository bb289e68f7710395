"""The comparison of a shadow run: how often the candidate and the version that is shown agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session, aliased

from db.tables import Item, Prediction, Review, ShadowPicture, ShadowRun


@dataclass(frozen=True, slots=True)
class LabelFlip:
    """The pictures for which the versions predict two different labels."""

    shown: str
    candidate: str
    count: int


@dataclass(frozen=True, slots=True)
class ShadowComparison:
    """The pictures that both versions have classified."""

    pictures: int
    same: int
    """Pictures with the same label."""
    shown_confidence: float | None
    """Mean. None without pictures."""
    candidate_confidence: float | None
    reviewed: int
    """Pictures that people have reviewed with a label."""
    shown_right: int
    """Reviewed pictures for which the version that is shown predicts the label of the review."""
    candidate_right: int
    flips: Sequence[LabelFlip]
    """Most frequent first."""


def compare(session: Session, run: ShadowRun) -> ShadowComparison:
    """Return the comparison of a run so far."""
    shown, candidate = aliased(Prediction), aliased(Prediction)
    pairs = (
        select(shown.label, candidate.label, func.count(), func.sum(shown.confidence), func.sum(candidate.confidence))
        .select_from(ShadowPicture)
        .join(shown, shown.id == ShadowPicture.shown_prediction_id)
        .join(candidate, candidate.id == ShadowPicture.candidate_prediction_id)
        .where(ShadowPicture.run_id == run.id)
        .group_by(shown.label, candidate.label)
    )
    rows = session.execute(pairs).all()
    pictures = sum(count for _, _, count, _, _ in rows)
    reviewed, shown_right, candidate_right = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((Review.label == shown.label, 1), else_=0)), 0),
            func.coalesce(func.sum(case((Review.label == candidate.label, 1), else_=0)), 0),
        )
        .select_from(ShadowPicture)
        .join(shown, shown.id == ShadowPicture.shown_prediction_id)
        .join(candidate, candidate.id == ShadowPicture.candidate_prediction_id)
        .join(Item, (Item.blob_sha256 == shown.blob_sha256) & (Item.prediction_id == shown.id))
        .join(Review, Review.item_id == Item.id)
        .where(ShadowPicture.run_id == run.id, Review.label.is_not(None))
    ).one()
    flips = [LabelFlip(before, after, count) for before, after, count, _, _ in rows if before != after]
    return ShadowComparison(
        pictures,
        sum(count for before, after, count, _, _ in rows if before == after),
        sum(row[3] for row in rows) / pictures if pictures else None,
        sum(row[4] for row in rows) / pictures if pictures else None,
        reviewed,
        shown_right,
        candidate_right,
        sorted(flips, key=lambda flip: (-flip.count, flip.shown, flip.candidate)),
    )
