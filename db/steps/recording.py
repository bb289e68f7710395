"""Record a chunk: its outcomes, the job's counts and the job's next chunks, in one transaction.

The message is acknowledged after the commit. If it arrives twice, the second one changes nothing, because only items
that are still pending in this chunk are updated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, select
from sqlalchemy.orm import Session

from core import metrics
from core.ids import new_id
from core.item_errors import ItemError
from core.messages import ChunkMessage
from core.types import PictureInfo, PictureKey
from db.bulk import InsertMissing, UpdateRows
from db.database import after_commit
from db.steps import chunks, lifecycle, placeholders, products
from db.steps.chunks import ChunkPolicy
from db.tables import Blob, ItemRegion, Prediction, Vector
from db.views import items, regions
from db.views.jobs import JobModel
from db.views.regions import PendingRegion

_BLOBS, _PREDICTIONS = cast(Table, Blob.__table__), cast(Table, Prediction.__table__)

_DESCRIBE_BLOBS = UpdateRows(
    _BLOBS,
    ("format", "width", "height", "fingerprint", "truncated", "flat"),
    _BLOBS.c.format.is_(None) | _BLOBS.c.fingerprint.is_(None),
)
_INSERT_PREDICTIONS = InsertMissing(_PREDICTIONS)
_INSERT_VECTORS = InsertMissing(cast(Table, Vector.__table__))
_PREDICT_REGIONS = UpdateRows(cast(Table, ItemRegion.__table__), ("prediction_id", "reused"))
_KNOWN_PREDICTIONS = select(
    _PREDICTIONS.c.blob_sha256,
    _PREDICTIONS.c.crop_key,
    _PREDICTIONS.c.id,
    _PREDICTIONS.c.label,
    _PREDICTIONS.c.label_group,
    _PREDICTIONS.c.confidence,
).where(
    _PREDICTIONS.c.blob_sha256.in_(bindparam("sha256s", expanding=True)),
    _PREDICTIONS.c.model_version_id == bindparam("model_version_id"),
)
_WITH_VECTORS = _KNOWN_PREDICTIONS.join(Vector, Vector.prediction_id == _PREDICTIONS.c.id)


@dataclass(frozen=True, slots=True)
class NewPrediction:
    """A prediction that was made just now."""

    scores: list[float]
    """Softmax scores in the order of the model's labels."""
    label: str
    label_group: str
    confidence: float
    vector: bytes | None = None
    """The embedding of the picture (`core.vectors.encode`). None if the model has none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one picture of a chunk. Exactly one of `new_prediction`, `is_known` and `error` is set."""

    new_prediction: NewPrediction | None = None
    is_known: bool = False
    """Whether the prediction was in the database before."""
    error: ItemError | None = None
    info: PictureInfo | None = None
    """The properties of the picture, if the decoder could open it."""


@dataclass(frozen=True, slots=True)
class KnownPrediction:
    """A prediction in the database, with the columns that items copy."""

    id: str
    label: str
    label_group: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """The part of the outcome of recording a chunk on which the worker acts."""

    finished_items: int
    """Number of items that became finished."""
    next_chunks: list[ChunkMessage]
    """The messages to send after the commit."""
    job_finished: bool
    has_webhook: bool = False
    """Whether the end of the job is reported to a webhook."""
    has_several_items: bool = True
    """Whether the job has more than one item. The linker runs only if this is True."""


def record(
    session: Session,
    message: ChunkMessage,
    model: JobModel,
    outcomes: Mapping[PictureKey, Outcome],
    policy: ChunkPolicy,
    now: datetime,
    taken_at: datetime | None = None,
) -> Recorded:
    """Record the outcomes of a chunk, by picture. Items that show the same picture share one outcome.

    An item with regions is recorded when its own picture and all its regions have an outcome. It succeeds if all of
    them have a prediction.

    `taken_at` is when the worker took up the chunk (default: `now`).
    """
    # Blobs and predictions are stored before the job's row is locked, because from the lock on the chunks of one job
    # wait for each other.
    _describe_blobs(session, outcomes)
    predictions = _store_new_predictions(session, model.model_version_id, outcomes, now)
    if model.stores_vectors:
        _store_vectors(session, model.model_version_id, outcomes, predictions)
    if (job := lifecycle.lock_job(session, message.job_id)) is None:
        return Recorded(0, [], job_finished=True)
    pending = items.list_pending_since(session, message.chunk_id)
    regions_of_item = regions.list_pending(session, message.chunk_id) if model.takes_regions else {}
    stand_ins = placeholders.find(session, job, (sha256 for _, (sha256, _), _ in pending))
    succeeded, failed, predicted_regions = [], [], []
    submitted: Counter[datetime] = Counter()
    for item_id, picture, created_at in pending:
        item_regions = regions_of_item.get(item_id, [])
        outcome = _with_regions(outcomes.get(picture), item_regions, outcomes)
        if outcome is None:
            continue
        error = outcome.error or stand_ins.errors.get(picture[0])
        if error is not None:
            failed.append({"id": item_id, **failure_columns(error, now)})
        else:
            succeeded.append({"id": item_id, **_success_columns(predictions[picture], outcome, now)})
            submitted[created_at] += 1
            predicted_regions += [_region_row(region, predictions, outcomes) for region in item_regions]
    _PREDICT_REGIONS.execute(session, predicted_regions)
    finished = len(succeeded) + len(failed)
    if finished == len(pending):
        chunks.delete_chunk(session, message.chunk_id)
    placeholders.demote(session, job, stand_ins)
    # Items of a retried job wait since the retry.
    began = (job.run_at or job.rate_at or taken_at or now) if job.run_seconds else None
    priority = job.priority.value
    after_commit(session, lambda: _observe_latency(priority, submitted, began, now))
    lifecycle.finish_items(session, job, succeeded, failed, now, taken_at or now)
    products.count_votes(session, job, [row["id"] for row in succeeded])
    return Recorded(
        finished,
        chunks.claim(session, job, policy, now),
        job.finished,
        has_webhook=job.webhook is not None,
        has_several_items=job.total > 1,
    )


def _observe_latency(priority: str, submitted: Mapping[datetime, int], began: datetime | None, now: datetime) -> None:
    for created_at, count in submitted.items():
        since = created_at if began is None else max(created_at, began)
        metrics.observe_items(priority, max(0.0, (now - since).total_seconds()), count)


def _with_regions(
    outcome: Outcome | None, item_regions: Sequence[PendingRegion], outcomes: Mapping[PictureKey, Outcome]
) -> Outcome | None:
    """Return the outcome of an item: that of its picture, or the first error of its regions. None: one is missing."""
    if outcome is None or outcome.error is not None:
        return outcome
    for region in item_regions:
        region_outcome = outcomes.get(region.picture)
        if region_outcome is None:
            return None
        if (error := region_outcome.error) is not None:
            return Outcome(error=type(error)(f"region {region.name!r}: {error.detail}"))
    return outcome


def _region_row(
    region: PendingRegion, predictions: Mapping[PictureKey, KnownPrediction], outcomes: Mapping[PictureKey, Outcome]
) -> dict[str, Any]:
    return {
        "id": region.id,
        "prediction_id": predictions[region.picture].id,
        "reused": outcomes[region.picture].is_known,
    }


def _success_columns(prediction: KnownPrediction, outcome: Outcome, now: datetime) -> dict[str, Any]:
    return {
        "prediction_id": prediction.id,
        "reused": outcome.is_known,
        "label": prediction.label,
        "label_group": prediction.label_group,
        "confidence": prediction.confidence,
        "finished_at": now,
    }


def failure_columns(error: ItemError, now: datetime) -> dict[str, Any]:
    """Return the new values of an item that has failed."""
    return {
        "error_code": error.code,
        "error_detail": error.detail,
        "error_retryable": error.retryable,
        "finished_at": now,
    }


def _describe_blobs(session: Session, outcomes: Mapping[PictureKey, Outcome]) -> None:
    rows = [
        {
            "sha256": sha256,
            "format": outcome.info.format,
            "width": outcome.info.width,
            "height": outcome.info.height,
            "truncated": outcome.info.truncated,
            "flat": outcome.info.flat,
            "fingerprint": outcome.info.fingerprint,
        }
        for (sha256, _), outcome in sorted(outcomes.items())
        if outcome.info is not None
    ]
    _DESCRIBE_BLOBS.execute(session, rows)


def _store_new_predictions(
    session: Session, model_version_id: int, outcomes: Mapping[PictureKey, Outcome], now: datetime
) -> dict[PictureKey, KnownPrediction]:
    """Insert the new predictions. Return all predictions of the chunk's pictures, including those of other workers."""
    new: list[dict[str, Any]] = [
        {
            "id": new_id("prd"),
            "blob_sha256": sha256,
            "crop_key": crop_key,
            "model_version_id": model_version_id,
            "label": outcome.new_prediction.label,
            "label_group": outcome.new_prediction.label_group,
            "confidence": outcome.new_prediction.confidence,
            "scores": outcome.new_prediction.scores,
            "created_at": now,
        }
        for (sha256, crop_key), outcome in sorted(outcomes.items())
        if outcome.new_prediction is not None
    ]
    if _INSERT_PREDICTIONS.execute(session, new) < len(new):
        # Another worker has stored some of these predictions meanwhile. The stored ones count, so all are read back.
        new = []
    known = {
        (row["blob_sha256"], row["crop_key"]): KnownPrediction(
            row["id"], row["label"], row["label_group"], row["confidence"]
        )
        for row in new
    }
    others = [picture for picture, outcome in outcomes.items() if outcome.error is None and picture not in known]
    return known | find_predictions(session, model_version_id, others)


def _store_vectors(
    session: Session,
    model_version_id: int,
    outcomes: Mapping[PictureKey, Outcome],
    predictions: Mapping[PictureKey, KnownPrediction],
) -> None:
    rows = [
        {
            "prediction_id": predictions[picture].id,
            "model_version_id": model_version_id,
            "data": outcome.new_prediction.vector,
        }
        for picture, outcome in sorted(outcomes.items())
        if outcome.new_prediction is not None and outcome.new_prediction.vector is not None
    ]
    _INSERT_VECTORS.execute(session, rows)


def find_predictions(
    session: Session, model_version_id: int, pictures: Sequence[PictureKey], *, with_vectors: bool = False
) -> dict[PictureKey, KnownPrediction]:
    """Return the stored predictions of the model version for these pictures.

    `with_vectors` leaves out predictions without a vector, so that the pictures are predicted once more for it.
    """
    if not pictures:
        return {}
    requested = set(pictures)
    sha256s = list({sha256 for sha256, _ in requested})
    statement = _WITH_VECTORS if with_vectors else _KNOWN_PREDICTIONS
    rows = session.execute(statement, {"sha256s": sha256s, "model_version_id": model_version_id})
    found = {
        (row.blob_sha256, row.crop_key): KnownPrediction(row.id, row.label, row.label_group, row.confidence)
        for row in rows
    }
    return {picture: known for picture, known in found.items() if picture in requested}
