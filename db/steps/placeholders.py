"""Placeholder pictures: what a shop sends in place of a picture that is gone. They get no label.

A picture is one of them if it has a single colour, or if many URLs of one job lead to the same bytes. Shops also show
one photo under several URLs, for example one for each size. Therefore many URLs are needed, and they must belong to
different products as far as these are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import SQLColumnExpression, Table, distinct, func, select, update
from sqlalchemy.orm import Session

from core.item_errors import ItemError, PlaceholderPicture
from db.bulk import UpdateRows, in_values
from db.steps import products, tallies
from db.tables import Blob, Item, ItemRegion, ItemStatus, Job, JobSource, Review

MIN_URLS = 10
"""How many URLs of one job must lead to the same bytes."""

_BY_URL = {JobSource.ITEMS, JobSource.MANIFEST, JobSource.CRAWL}
_ITEMS = cast(Table, Item.__table__)
_SHA256 = cast("SQLColumnExpression[str]", Item.blob_sha256)
_NO_PREDICTION = {"prediction_id": None, "reused": False, "label": None, "label_group": None, "confidence": None}
_DEMOTE = UpdateRows(
    _ITEMS,
    ("status", *_NO_PREDICTION, "error_code", "error_detail", "error_retryable"),
    _ITEMS.c.status == ItemStatus.SUCCEEDED,
)


@dataclass(frozen=True, slots=True)
class Placeholders:
    """The placeholder pictures among those of a chunk: SHA-256 -> the error of their items."""

    errors: Mapping[str, ItemError]
    repeated: Sequence[str]
    """Those that many URLs lead to. Earlier items may have got a prediction."""


def find(session: Session, job: Job, sha256s: Iterable[str]) -> Placeholders:
    """Return which of these pictures are placeholders in a job. The caller has locked the job's row."""
    wanted = sorted(set(sha256s))
    if job.source not in _BY_URL or not wanted:
        return Placeholders({}, ())
    errors: dict[str, ItemError] = {}
    flat = select(Blob.sha256).where(Blob.flat.is_(True), in_values(session, Blob.sha256, wanted))
    for sha256 in session.scalars(flat):
        errors[sha256] = PlaceholderPicture("expected a picture of a product, got one of a single colour")
    urls, known = func.count(distinct(Item.source_url)), func.count(Item.product_id)
    products_shown = func.count(distinct(Item.product_id))
    repeated = (
        select(_SHA256, urls)
        .where(Item.job_id == job.id, in_values(session, _SHA256, wanted))
        .group_by(_SHA256)
        .having(urls >= MIN_URLS, (known < MIN_URLS) | (products_shown >= MIN_URLS))
    )
    counts = {row[0]: row[1] for row in session.execute(repeated)}
    for sha256, count in counts.items():
        detail = f"expected a picture of its own, got the same one from {count} URLs of this job"
        errors[sha256] = PlaceholderPicture(detail)
    return Placeholders(errors, list(counts))


def demote(session: Session, job: Job, placeholders: Placeholders) -> None:
    """succeeded -> failed, for items whose picture has turned out to be a placeholder. Not if they have a review."""
    if not placeholders.repeated:
        return
    reviewed = select(Review.id).where(Review.item_id == Item.id).exists()
    rows = session.execute(
        select(Item.id, _SHA256, Item.label, Item.label_group, Item.confidence, Item.reused).where(
            Item.job_id == job.id,
            Item.status == ItemStatus.SUCCEEDED,
            in_values(session, _SHA256, placeholders.repeated),
            ~reviewed,
        )
    ).all()
    if not rows:
        return
    _DEMOTE.execute(session, [{"id": row.id, **_failure(placeholders.errors[row.blob_sha256])} for row in rows])
    ids = [row.id for row in rows]
    without = update(ItemRegion).where(in_values(session, ItemRegion.item_id, ids)).values(prediction_id=None)
    session.execute(without.execution_options(synchronize_session=False))
    tallies.uncount_labels(session, job.id, [row._asdict() for row in rows])
    tallies.count_errors(session, job, {(PlaceholderPicture.code, False): len(rows)})
    job.succeeded -= len(rows)
    job.failed += len(rows)
    job.reused -= sum(row.reused for row in rows)
    products.count_votes(session, job, ids)


def _failure(error: ItemError) -> dict[str, Any]:
    return {
        "status": ItemStatus.FAILED,
        **_NO_PREDICTION,
        "error_code": error.code,
        "error_detail": error.detail,
        "error_retryable": error.retryable,
    }
