"""Reviews: what people say of predictions. The last word of an item counts; who had it and when is kept with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from core.errors import NotReviewable
from core.ids import new_id
from db.tables import Item, ItemStatus, Job, Review


def put(session: Session, job: Job, item: Item, label: str | None, key_id: str | None, now: datetime) -> Review:
    """Say what an item shows, or (with no label) that no label fits; in place of what was said before.

    The caller holds the job's row. `label` is one of the labels of the job's model.

    Raises:
        NotReviewable: there is no prediction to be judged.
    """
    if item.status != ItemStatus.SUCCEEDED:
        raise NotReviewable(f"expected an item that has a prediction, this one is {item.status}")
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
    """Take back what was said of an item; whether anything was. The caller holds the job's row."""
    review = session.scalar(select(Review).where(Review.item_id == item_id))
    if review is None:
        return False
    session.delete(review)
    job.revision += 1
    return True


def list_of_job(session: Session, job_id: str, after: int | None, limit: int) -> Sequence[Review]:
    """The reviews of a job's items behind a position, in order of position; each with its item."""
    query = select(Review).join(Review.item).where(Review.job_id == job_id)
    if after is not None:
        query = query.where(Review.position > after)
    return session.scalars(query.order_by(Review.position).limit(limit).options(contains_eager(Review.item))).all()


def count(session: Session, job_id: str) -> int:
    """How many items of a job are reviewed."""
    return session.scalar(select(func.count()).where(Review.job_id == job_id)) or 0
