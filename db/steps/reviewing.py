"""Reviews of predictions by people. An item has one review, the latest, with its time and the key of its author.

A review decides under which label its item is listed (`Item.label`), and the tallies count the item under it. Removing
the review lists the item under the label of its prediction again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from core.errors import NotReviewable
from core.ids import new_id
from core.item_errors import BadCrop
from core.types import Crop
from db.bulk import in_values
from db.steps import products, tallies
from db.steps.tallies import LabelMove
from db.tables import Item, ItemStatus, Job, Review
from db.views.items import with_shown_relations
from db.views.labels import labels_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """A person's statement about an item: the label that it shows, and a better crop of its picture."""

    label: str | None
    """One of the labels of the job's model or of the owner's taxonomy. None means that no label fits."""
    crop: Crop | None = None
    """The part of the picture that shows the label. None: what was classified."""


class ReviewCounts(NamedTuple):
    """The reviews of a job: how many, and how many of them give the predicted label."""

    reviewed: int
    agreed: int


def read_items(session: Session, job: Job, item_ids: Sequence[str]) -> dict[str, Item]:
    """Return items of a job by id, as they are under the job's lock. Ids of other items are missing in the answer."""
    query = select(Item).where(Item.job_id == job.id, in_values(session, Item.id, item_ids))
    found = session.scalars(with_shown_relations(query).execution_options(populate_existing=True))
    return {item.id: item for item in found}


def put(session: Session, job: Job, item: Item, verdict: Verdict, key_id: str | None, now: datetime) -> Review:
    """Store a review, in place of an earlier one of the item. Otherwise as `change`.

    Raises:
        NotReviewable: The item has no prediction.
        BadCrop: The crop is not inside the picture.
    """
    change(session, job, [(item, verdict)], key_id, now)
    assert item.review is not None
    return item.review


def remove(session: Session, job: Job, item: Item, now: datetime) -> bool:
    """Remove the review of an item. Return whether there was one. Otherwise as `change`."""
    (before,) = change(session, job, [(item, None)], None, now)
    return before is not None


def change(
    session: Session, job: Job, changes: Sequence[tuple[Item, Verdict | None]], key_id: str | None, now: datetime
) -> list[Verdict | None]:
    """Store the verdicts on items, or remove the review of an item (None). Return what undoes this, in the same order.

    A verdict that is already stored changes nothing. The caller has locked the job's row and then read the items
    (`read_items`). No item occurs twice.

    Raises:
        NotReviewable: An item has no prediction.
        BadCrop: A crop is not inside the picture.
    """
    groups = {label["id"]: label["group"] for label in labels_of(job)}
    before: list[Verdict | None] = []
    moves: list[LabelMove] = []
    for item, verdict in changes:
        _check(item, verdict)
        earlier = None if item.review is None else Verdict(item.review.label, item.review.crop)
        before.append(earlier)
        if earlier == verdict:
            continue
        _store(session, job, item, verdict, key_id, now)
        listed = item.label
        _list_item(item, verdict, groups)
        moves.append(LabelMove(listed, item.label, item.confidence or 0.0))
    if moves:
        tallies.move_labels(session, job.id, moves, groups)
        job.revision += 1
        session.flush()
        products.count_votes(session, job, [item.id for item, _ in changes])
    return before


def _check(item: Item, verdict: Verdict | None) -> None:
    if verdict is None:
        return
    if item.status != ItemStatus.SUCCEEDED:
        raise NotReviewable(f"expected an item with a prediction, but item {item.id} is {item.status}")
    if verdict.crop is not None and item.blob is not None and item.blob.width and item.blob.height:
        crop, width, height = verdict.crop, item.blob.width, item.blob.height
        if not crop.within(width, height):
            raise BadCrop(f"expected a crop inside {width} x {height} pixels, got {crop.key} for item {item.id}")


def _store(session: Session, job: Job, item: Item, verdict: Verdict | None, key_id: str | None, now: datetime) -> None:
    if verdict is None:
        session.delete(item.review)
        item.review = None
        return
    assert item.prediction is not None
    if item.review is None:
        item.review = Review(
            id=new_id("rev"),
            job_id=job.id,
            position=item.position,
            predicted=item.prediction.label,
            created_at=now,
        )
    item.review.label, item.review.rejected, item.review.crop = verdict.label, verdict.label is None, verdict.crop
    item.review.key_id, item.review.updated_at = key_id, now


def _list_item(item: Item, verdict: Verdict | None, groups: dict[str, str]) -> None:
    """List an item under the label of its review, or of its prediction if it has none."""
    if verdict is not None:
        item.label = verdict.label
    else:
        assert item.prediction is not None
        item.label = item.prediction.label
    item.label_group = None if item.label is None else groups[item.label]


def list_of_job(session: Session, job_id: str, after: int | None, limit: int) -> Sequence[Review]:
    """Return the reviews of a job after a position, each with its item, in order of position."""
    query = select(Review).join(Review.item).where(Review.job_id == job_id)
    if after is not None:
        query = query.where(Review.position > after)
    return session.scalars(query.order_by(Review.position).limit(limit).options(contains_eager(Review.item))).all()


def count(session: Session, job_id: str) -> ReviewCounts:
    """Return how many items of a job have a review, and how many reviews give the predicted label."""
    agreed = func.count().filter(Review.label == Review.predicted)
    row = session.execute(select(func.count(), agreed).where(Review.job_id == job_id)).one()
    return ReviewCounts(*row)
