"""Reviews of predictions by people. An item has one review, the latest, with its time and the key of its author."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from core.errors import NotReviewable
from core.ids import new_id
from db.tables import Item, ItemStatus, Job, Review


def put(session: Session, job: Job, item: Item, label: str | None, key_id: str | None, now: datetime) -> Review:
    """Store a review, in place of an earlier one of the item. The caller has locked the job's row.

    `label` is one of the labels of the job's model. None means that no label fits.

    Raises:
        NotReviewable: The item has no prediction.
    """
    if item.status != ItemStatus.SUCCEEDED:
        raise NotReviewable(f"expected an item with a prediction, but this one is {item.status}")
    review = session.scalar(select(Review).where(Review.item_id == item.id))
    if review is None:
        review = Review(
            id=new_id("rev"), item_id=item.id, job_id=job.id, position=item.position, created_at=now, item=item
        )
        session.add(review)
    review.label, review.rejected = label, label is None
    review.key_id, review.updated_at = key_id, now
    job.revision += 1
    session.flush()
    return review


def remove(session: Session, job: Job, item_id: str) -> bool:
    """Remove the review of an item. Return whether there was one. The caller has locked the job's row."""
    review = session.scalar(select(Review).where(Review.item_id == item_id))
    if review is None:
        return False
    session.delete(review)
    job.revision += 1
    return True


def list_of_job(session: Session, job_id: str, after: int | None, limit: int) -> Sequence[Review]:
    """Return the reviews of a job after a position, each with its item, in order of position."""
    query = select(Review).join(Review.item).where(Review.job_id == job_id)
    if after is not None:
        query = query.where(Review.position > after)
    return session.scalars(query.order_by(Review.position).limit(limit).options(contains_eager(Review.item))).all()


def count(session: Session, job_id: str) -> int:
    """Return how many items of a job have a review."""
    return session.scalar(select(func.count()).where(Review.job_id == job_id)) or 0
