"""What database tests begin with: a model version, stored pictures, a job of them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from core.deadlines import Deadlines
from core.messages import ChunkMessage
from core.types import ModelRef, PictureInfo
from db import items, jobs, model_versions
from db.chunks import ChunkPolicy
from db.engine import Database
from db.jobs import NewItem, NewJob, StoredBlob
from db.model_versions import NewModelVersion
from db.models import Job, JobSource, ModelVersion
from db.recording import Outcome, Recorded, Scored, record

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
POLICY = ChunkPolicy(size=4, window=2, deadlines=Deadlines(LEASE))
WORKER = "wrk_1@here-1"
TAXONOMY = {
    "name": "test",
    "version": "1",
    "groups": [{"id": "tops", "name": {"en": "Tops", "ko": "상의"}}],
    "labels": [
        {"id": "shirt", "group": "tops", "name": {"en": "Shirt", "ko": "셔츠"}},
        {"id": "dress", "group": "tops", "name": {"en": "Dress", "ko": "원피스"}},
    ],
}


def a_model(session: Session, version: str = "1") -> ModelVersion:
    new = NewModelVersion(
        ModelRef("test", version), version.zfill(64), TAXONOMY, {"size": 8}, {"accuracy": 0.5}, "card"
    )
    return model_versions.register(session, new, NOW)


def a_blob(content: str) -> StoredBlob:
    return StoredBlob(hashlib.sha256(content.encode()).hexdigest(), len(content))


def a_job(session: Session, pictures: list[str], name: str = "test", source: JobSource = JobSource.UPLOADS) -> Job:
    items = [NewItem(f"{n}-{content}.jpg", a_blob(content)) for n, content in enumerate(pictures)]
    return jobs.create(session, NewJob(name, source, a_model(session)), items, NOW)


def scored(label: str = "shirt", confidence: float = 0.9) -> Outcome:
    scores = [confidence, 1 - confidence] if label == "shirt" else [1 - confidence, confidence]
    return Outcome(scored=Scored(scores, label, "tops", confidence), info=PictureInfo("jpeg", 30, 40))


def record_chunk(
    session: Session,
    message: ChunkMessage,
    outcomes: dict[tuple[str, str], Outcome],
    now: datetime = NOW,
    taken_at: datetime | None = None,
) -> Recorded:
    """Record outcomes under the job's model version, as a worker would that has taken the chunk up."""
    work = jobs.work_of(session, message.job_id)
    return record(session, message, work.model_version_id if work else 0, outcomes, POLICY, now, taken_at)


def finish(database: Database, message: ChunkMessage, outcome: Outcome | None = None, now: datetime = NOW) -> Recorded:
    """Record the same outcome, a success by default, for every picture of a chunk."""
    with database.writing() as session:
        pictures = items.pending_pictures(session, message.chunk_id)
        return record_chunk(session, message, {picture: outcome or scored() for picture in pictures}, now)


def read_job(database: Database, job_id: str) -> Job:
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        return job
