"""Read what lessons are computed from: reviewed items with their vectors, and the vectors of all items of jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from core.clock import utc_now
from core.fingerprints import Fingerprint
from db.tables import Blob, Item, Prediction, Review, Vector
from db.views import jobs

BLOCK = 5000
"""Items that one query reads."""


class ReviewedItem(NamedTuple):
    """A reviewed item, with what a lesson needs of it."""

    item_id: str
    label: str | None
    """None: no label fits."""
    predicted: str
    has_other_crop: bool
    """Whether the review names another part of the picture than the one that was classified."""
    scores: list[float]
    """Of its prediction, in the order of the labels of the job's model version."""
    model_version_id: int
    vector: bytes | None
    sha256: str | None
    duplicate_of: str | None
    product: str | None
    """The same for all pictures of one product, also in several jobs of one shop. None: no product."""
    fingerprint: Fingerprint | None
    aspect: float
    """Width / height of the picture."""


def read_reviewed(session: Session, job_ids: Sequence[str]) -> list[ReviewedItem]:
    """Return the reviewed items of jobs, by job and position. Jobs that were removed meanwhile are left out."""
    found: list[ReviewedItem] = []
    for job_id in job_ids:
        if not _is_there(session, job_id):
            continue
        rows = session.execute(
            select(
                Item.id,
                Review.label,
                Review.predicted,
                Review.crop_key,
                Item.crop_key.label("item_crop_key"),
                Prediction.scores,
                Prediction.model_version_id,
                Vector.data,
                Item.blob_sha256,
                Item.duplicate_of,
                Item.product_id,
                Item.provenance,
                Blob.fingerprint,
                Blob.width,
                Blob.height,
            )
            .join(Item, Item.id == Review.item_id)
            .join(Prediction, Prediction.id == Item.prediction_id)
            .outerjoin(Vector, Vector.prediction_id == Prediction.id)
            .outerjoin(Blob, Blob.sha256 == Item.blob_sha256)
            .where(Review.job_id == job_id)
            .order_by(Review.position)
        )
        found += [_reviewed(row, job_id) for row in rows]
    return found


def _reviewed(row: Row[Any], job_id: str) -> ReviewedItem:
    return ReviewedItem(
        row.id,
        row.label,
        row.predicted,
        row.crop_key is not None and row.crop_key != row.item_crop_key,
        row.scores,
        row.model_version_id,
        row.data,
        row.blob_sha256,
        row.duplicate_of,
        _product(row, job_id),
        row.fingerprint,
        row.width / row.height if row.width and row.height else 1.0,
    )


def _product(row: Row[Any], job_id: str) -> str | None:
    if row.product_id is None:
        return None
    # Without a shop, an id names a product only within its job.
    host = urlsplit((row.provenance or {}).get("page_url") or "").hostname
    return f"{host or job_id} {row.product_id}"


class ScoredItem(NamedTuple):
    """An item with the label of its prediction, its review and its vector."""

    item_id: str
    position: int
    predicted: str
    review_label: str | None
    """None: there is no review, or no label fits."""
    reviewed_at: datetime | None
    model_version_id: int
    vector: bytes


def read_scored(session: Session, job_id: str) -> Iterator[Sequence[ScoredItem]]:
    """Read the items of a job that have a vector, block by block, by position. A removed job has none."""
    if not _is_there(session, job_id):
        return
    after = -1
    while True:
        rows = session.execute(
            select(
                Item.id,
                Item.position,
                Prediction.label,
                Review.label,
                Review.updated_at,
                Vector.model_version_id,
                Vector.data,
            )
            .join(Prediction, Prediction.id == Item.prediction_id)
            .join(Vector, Vector.prediction_id == Prediction.id)
            .outerjoin(Review, Review.item_id == Item.id)
            .where(Item.job_id == job_id, Item.position > after)
            .order_by(Item.position)
            .limit(BLOCK)
        ).all()
        if not rows:
            return
        after = rows[-1].position
        yield [ScoredItem(*row) for row in rows]


def _is_there(session: Session, job_id: str) -> bool:
    job = jobs.get(session, job_id)
    return job is not None and job.deleted_at is None and not job.expired(utc_now())
