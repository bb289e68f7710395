"""The record step: outcomes, counts and the job's next chunk in one transaction, before the message is acknowledged.

Delivering the same chunk twice changes nothing: only items that are still pending in this very chunk are touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from core.errors import ItemError
from core.ids import new_id
from core.messages import ChunkMessage
from core.types import PictureInfo, PictureKey
from db import chunks, jobs
from db.bulk import insert_missing, update_rows
from db.chunks import ChunkPolicy
from db.models import Blob, Item, ItemStatus, Job, JobStatus, Prediction

RATE_STRETCH = timedelta(seconds=2)
"""The rate is measured over stretches of at least this long, so that it neither jumps nor lags."""

_ITEMS, _BLOBS = cast(Table, Item.__table__), cast(Table, Blob.__table__)


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
class Known:
    """A prediction in the database, as far as items repeat it."""

    id: str
    label: str
    label_group: str
    confidence: float


@dataclass(frozen=True, slots=True)
class _Finished:
    """How many items of a chunk ended which way."""

    succeeded: int
    failed: int
    reused: int


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
    # Its columns alone: a job that is loaded here would keep the counts of before its row is held.
    model_version_id = session.scalar(select(Job.model_version_id).where(Job.id == message.job_id))
    if model_version_id is None:
        return Recorded(0, [], job_terminal=True)
    # What belongs to pictures comes before the job's row is held: chunks of one job wait for each other only there.
    _describe_blobs(session, outcomes)
    predictions = _store_predictions(session, model_version_id, outcomes, now)
    if (job := jobs.get_locked(session, message.job_id)) is None:
        return Recorded(0, [], job_terminal=True)
    items = session.execute(
        select(Item.id, Item.blob_sha256, Item.crop_key)
        .where(Item.chunk_id == message.chunk_id, Item.status == ItemStatus.PENDING)
        .order_by(Item.position)
    ).all()
    succeeded, failed = _Rows(), _Rows()
    for item_id, sha256, crop_key in items:
        outcome = outcomes.get((sha256 or "", crop_key))
        if outcome is None:
            continue
        if outcome.error is not None:
            failed.add(item_id, _failure(outcome.error, now))
        else:
            succeeded.add(item_id, _success(predictions[sha256 or "", crop_key], outcome, now))
    succeeded.write(session)
    failed.write(session)
    reused = sum(row["reused"] for row in succeeded.rows)
    _count(job, _Finished(len(succeeded.rows), len(failed.rows), reused), now, taken_at or now)
    finished = len(succeeded.rows) + len(failed.rows)
    if finished == len(items):
        chunks.forget(session, message.chunk_id)
    session.flush()
    next_chunks = [] if job.terminal else chunks.claim(session, job, policy, now)
    return Recorded(finished, next_chunks, job.terminal)


@dataclass(slots=True)
class _Rows:
    """Items that end the same way, to be written in one statement: loading and flushing them one by one costs most."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, item_id: str, values: dict[str, Any]) -> None:
        self.rows.append({"id": item_id, **values})

    def write(self, session: Session) -> None:
        update_rows(session, _ITEMS, self.rows)


def _success(prediction: Known, outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {
        "status": ItemStatus.SUCCEEDED,
        "prediction_id": prediction.id,
        "reused": outcome.known,
        "label": prediction.label,
        "label_group": prediction.label_group,
        "confidence": prediction.confidence,
        "finished_at": now,
    }


def _failure(error: ItemError, now: datetime) -> dict[str, Any]:
    return {
        "status": ItemStatus.FAILED,
        "error_code": error.code,
        "error_detail": error.detail,
        "error_retryable": error.retryable,
        "finished_at": now,
    }


def _describe_blobs(session: Session, outcomes: Mapping[PictureKey, Outcome]) -> None:
    rows = [
        {"sha256": sha256, "format": o.info.format, "width": o.info.width, "height": o.info.height}
        for (sha256, _), o in sorted(outcomes.items())
        if o.info is not None
    ]
    update_rows(session, _BLOBS, rows, _BLOBS.c.format.is_(None))


def _store_predictions(
    session: Session, model_version_id: int, outcomes: Mapping[PictureKey, Outcome], now: datetime
) -> dict[PictureKey, Known]:
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
) -> dict[PictureKey, Known]:
    """What the model version is known to say of these pictures."""
    wanted = set(pictures)
    rows = session.execute(
        select(
            Prediction.blob_sha256,
            Prediction.crop_key,
            Prediction.id,
            Prediction.label,
            Prediction.label_group,
            Prediction.confidence,
        ).where(
            Prediction.blob_sha256.in_({sha256 for sha256, _ in wanted}),
            Prediction.model_version_id == model_version_id,
        )
    )
    found = {(row.blob_sha256, row.crop_key): Known(row.id, row.label, row.label_group, row.confidence) for row in rows}
    return {key: known for key, known in found.items() if key in wanted}


def _count(job: Job, finished: _Finished, now: datetime, taken_at: datetime) -> None:
    if not finished.succeeded and not finished.failed:
        return
    job.pending -= finished.succeeded + finished.failed
    job.succeeded += finished.succeeded
    job.failed += finished.failed
    job.reused += finished.reused
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
