"""Shadow runs: start and end them, submit samples of new pictures to the candidate, and collect its predictions.

A sample is a job that nobody sees. It has a low priority, so it only takes time that no other job needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, func, insert, literal, select, true, update
from sqlalchemy.orm import Session

from core.errors import ShadowRefused
from core.ids import first_id, new_id
from core.messages import ChunkMessage
from core.types import Crop
from db import model_versions
from db.steps import lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import FINISHED, Blob, Item, Job, JobSource, ModelVersion, Prediction, Priority, ShadowPicture, ShadowRun
from db.tables.shadows import SHADOW_OWNER

SAMPLE_PICTURES = 500
"""The most pictures of one sample. The next sample follows when its job is finished."""
SETTLED = timedelta(seconds=30)
"""Predictions are considered when they are this old. Transactions that made earlier ones are committed by then."""
_HASH_VALUES = 2**32
"""The first eight hexadecimal digits of a SHA-256 have this many values."""


def start(session: Session, candidate: ModelVersion, share: float, now: datetime) -> ShadowRun:
    """Start a shadow run of a version against `production`. A run that is not ended yet ends.

    Raises:
        ShadowRefused: the version is `production` itself.
    """
    against = model_versions.resolve(session, model_versions.PRODUCTION)
    if against.id == candidate.id:
        raise ShadowRefused(f"expected another version than {against.ref}, because all new jobs use it already")
    end(session, now)
    run = ShadowRun(id=new_id("shd"), candidate=candidate, against=against, share=share, read_until=now, started_at=now)
    run.failed = 0
    session.add(run)
    session.flush()
    return run


def end(session: Session, now: datetime, candidate: ModelVersion | None = None) -> None:
    """End the run that is not ended yet, if it is one of `candidate` (None: of any version)."""
    of_candidate = true() if candidate is None else ShadowRun.candidate_id == candidate.id
    session.execute(update(ShadowRun).where(ShadowRun.ended_at.is_(None), of_candidate).values(ended_at=now))


def list_newest(session: Session, candidate: ModelVersion, limit: int) -> Sequence[ShadowRun]:
    """Return the last shadow runs of a version, newest first."""
    runs = select(ShadowRun).where(ShadowRun.candidate_id == candidate.id).order_by(ShadowRun.id.desc())
    return session.scalars(runs.limit(limit)).all()


def submit_sample(session: Session, policy: ChunkPolicy, now: datetime) -> list[ChunkMessage]:
    """Submit the next pictures of the present run. Return the messages of the first chunks, to send after the commit.

    Nothing is submitted while an earlier sample is unfinished. Those pictures are taken later.
    """
    run = session.scalar(select(ShadowRun).where(ShadowRun.ended_at.is_(None)).with_for_update(of=ShadowRun))
    if run is None or _list_jobs(session, Job.status.not_in(FINISHED)):
        return []
    until = now - SETTLED
    if until <= run.read_until:
        return []
    rows = session.execute(
        select(Prediction.blob_sha256, Prediction.crop_key, Prediction.created_at, Blob.bytes)
        .join(Blob, Blob.sha256 == Prediction.blob_sha256)
        # Identifiers sort by time, so the primary key finds the new predictions.
        .where(Prediction.id >= first_id("prd", run.read_until), Prediction.id < first_id("prd", until))
        .where(Prediction.model_version_id == run.against_id, _in_share(run.share))
        .order_by(Prediction.id)
        .limit(SAMPLE_PICTURES)
    ).all()
    run.read_until = until if len(rows) < SAMPLE_PICTURES else rows[-1].created_at
    if not rows:
        return []
    new = NewJob(
        run.candidate.ref,
        JobSource.RERUN,
        run.candidate,
        priority=Priority.LOW,
        top_k=1,
        key_id=SHADOW_OWNER,
        vectors=False,
        rerun_of=run.id,
    )
    items = [NewItem("", StoredBlob(row.blob_sha256, row.bytes), Crop.from_key(row.crop_key)) for row in rows]
    job, messages = submitting.create_with_chunks(session, new, items, policy, now)
    # Duplicates are of no interest here.
    job.duplicates = 0
    return messages


def list_finished(session: Session) -> Sequence[str]:
    """Return the ids of samples whose predictions are to be collected."""
    return _list_jobs(session, Job.status.in_(FINISHED))


def collect(session: Session, job_id: str, now: datetime) -> int:
    """Pair the predictions of a finished sample with those that are shown, and delete its job. Return the new pairs."""
    job = lifecycle.lock_job(session, job_id)
    if job is None or job.deleted_at is not None:
        return 0
    run = session.get_one(ShadowRun, job.rerun_of)
    known = select(ShadowPicture.run_id).where(
        ShadowPicture.shown_prediction_id == Prediction.id, ShadowPicture.run_id == run.id
    )
    pairs = (
        select(Prediction.id, literal(run.id), func.min(Item.prediction_id))
        .join(Item, (Item.blob_sha256 == Prediction.blob_sha256) & (Item.crop_key == Prediction.crop_key))
        .where(Item.job_id == job_id, Item.prediction_id.is_not(None), Prediction.model_version_id == run.against_id)
        .where(~known.exists())
        .group_by(Prediction.id)
    )
    columns = ["shown_prediction_id", "run_id", "candidate_prediction_id"]
    inserted = cast("CursorResult[Any]", session.execute(insert(ShadowPicture).from_select(columns, pairs)))
    run.failed += job.failed
    job.deleted_at = now
    return inserted.rowcount


def _list_jobs(session: Session, condition: ColumnElement[bool]) -> Sequence[str]:
    query = select(Job.id).where(Job.key_id == SHADOW_OWNER, Job.deleted_at.is_(None), condition)
    return session.scalars(query).all()


def _in_share(share: float) -> ColumnElement[bool]:
    """Return the condition that a picture is in the share. It depends only on the bytes of the picture."""
    return true() if share >= 1 else Prediction.blob_sha256 < f"{int(share * _HASH_VALUES):08x}"
