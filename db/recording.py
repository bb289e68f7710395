"""The record step: outcomes, counts and the job's next chunk in one transaction, before the message is acknowledged.

Delivering the same chunk twice changes nothing: only items that are still pending in this very chunk are touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from core.errors import ItemError
from core.ids import new_id
from core.messages import ChunkMessage
from core.types import PictureInfo
from db import chunks, jobs
from db.chunks import ChunkPolicy
from db.models import Blob, Item, ItemStatus, Job, JobStatus, Prediction
from db.upsert import insert_missing

RATE_STRETCH = timedelta(seconds=2)
"""The rate is measured over stretches of at least this long, so that it neither jumps nor lags."""

PictureKey = tuple[str, str]
"""(SHA-256 of the blob, crop key): what a prediction is of."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A prediction made just now: softmax scores in the order of the model's labels, and what they come to."""

    scores: list[float]
    label: str
    label_group: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture of a chunk: exactly one of `scored`, `known` and `error` is set."""

    scored: Scored | None = None
    known: bool = False
    """Its prediction was in the database before."""
    error: ItemError | None = None
    info: PictureInfo | None = None
    """What the decoder found out about the picture, if it was opened."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What recording a chunk led to."""

    items: int
    """How many items became terminal by it."""
    next_chunks: list[ChunkMessage]
    """To be sent after the commit."""
    job_terminal: bool


def record(
    session: Session,
    message: ChunkMessage,
    outcomes: Mapping[PictureKey, Outcome],
    policy: ChunkPolicy,
    now: datetime,
    taken_at: datetime | None = None,
) -> Recorded:
    """Write the outcomes of one chunk, by picture (items of the chunk that show the same picture share one).

    `taken_at` is when the worker took the chunk up; `now` by default.
    """
    job = jobs.get_locked(session, message.job_id)
    if job is None:
        return Recorded(0, [], job_terminal=True)
    items = session.scalars(
        select(Item).where(Item.chunk_id == message.chunk_id, Item.status == ItemStatus.PENDING).order_by(Item.position)
    ).all()
    _describe_blobs(session, outcomes)
    predictions = _store_predictions(session, job.model_version_id, outcomes, now)
    for item in items:
        outcome = outcomes.get((item.blob_sha256 or "", item.crop_key))
        if outcome is not None:
            _finish_item(item, outcome, predictions, now)
    finished = [item for item in items if item.status != ItemStatus.PENDING]
    _count(job, finished, now, taken_at or now)
    if len(finished) == len(items):
        chunks.forget(session, message.chunk_id)
    session.flush()
    next_chunks = [] if job.terminal else chunks.claim(session, job, policy, now)
    return Recorded(len(finished), next_chunks, job.terminal)


def _describe_blobs(session: Session, outcomes: Mapping[PictureKey, Outcome]) -> None:
    rows = [
        {"key": sha256, "format": o.info.format, "width": o.info.width, "height": o.info.height}
        for (sha256, _), o in sorted(outcomes.items())
        if o.info is not None
    ]
    if rows:
        # Through the connection: the ORM's own bulk update takes no condition beside the primary key.
        session.connection().execute(update(Blob).where(Blob.sha256 == bindparam("key"), Blob.format.is_(None)), rows)


def _store_predictions(
    session: Session, model_version_id: int, outcomes: Mapping[PictureKey, Outcome], now: datetime
) -> dict[PictureKey, Prediction]:
    """Insert what is new; all predictions of the chunk's pictures, whoever computed them."""
    new: list[dict[str, Any]] = [
        {
            "id": new_id("prd"),
            "blob_sha256": sha256,
            "crop_key": crop_key,
            "model_version_id": model_version_id,
            "label": outcome.scored.label,
            "label_group": outcome.scored.label_group,
            "confidence": outcome.scored.confidence,
            "scores": outcome.scored.scores,
            "created_at": now,
        }
        for (sha256, crop_key), outcome in sorted(outcomes.items())
        if outcome.scored is not None
    ]
    insert_missing(session, Prediction, new)
    return find_predictions(session, model_version_id, list(outcomes))


def find_predictions(
    session: Session, model_version_id: int, pictures: Sequence[PictureKey]
) -> dict[PictureKey, Prediction]:
    """What the model version is known to say of these pictures."""
    wanted = set(pictures)
    rows = session.scalars(
        select(Prediction).where(
            Prediction.blob_sha256.in_({sha256 for sha256, _ in wanted}),
            Prediction.model_version_id == model_version_id,
        )
    )
    found = {(row.blob_sha256, row.crop_key): row for row in rows}
    return {key: row for key, row in found.items() if key in wanted}


def _finish_item(item: Item, outcome: Outcome, predictions: Mapping[PictureKey, Prediction], now: datetime) -> None:
    item.finished_at = now
    if outcome.error is not None:
        item.status = ItemStatus.FAILED
        item.error_code = outcome.error.code
        item.error_detail = outcome.error.detail
        item.error_retryable = outcome.error.retryable
        return
    assert item.blob_sha256 is not None
    prediction = predictions[item.blob_sha256, item.crop_key]
    item.status = ItemStatus.SUCCEEDED
    item.prediction_id = prediction.id
    item.reused = outcome.known
    item.label = prediction.label
    item.label_group = prediction.label_group
    item.confidence = prediction.confidence


def _count(job: Job, finished: Sequence[Item], now: datetime, taken_at: datetime) -> None:
    if not finished:
        return
    succeeded = sum(item.status == ItemStatus.SUCCEEDED for item in finished)
    job.pending -= len(finished)
    job.succeeded += succeeded
    job.failed += len(finished) - succeeded
    job.reused += sum(item.reused for item in finished)
    job.revision += 1
    if job.status == JobStatus.QUEUED:
        job.status = JobStatus.RUNNING
        job.started_at = job.started_at or taken_at
    _measure_rate(job, now)
    if job.pending == 0 and not job.discovering:
        job.status = JobStatus.COMPLETED
        job.finished_at = now


def _measure_rate(job: Job, now: datetime) -> None:
    done = job.total - job.pending
    since, done_before = job.rate_at or job.created_at, job.rate_done
    if job.pending == 0:
        # Of a job that is over, its own average is what remains of interest.
        since, done_before = job.created_at, 0
    elif now - since < RATE_STRETCH:
        return
    job.rate = (done - done_before) / max((now - since).total_seconds(), 0.001)
    job.rate_at, job.rate_done = now, done
