"""What database tests begin with: a model version, stored pictures, a job of them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from core.types import ModelRef, PictureInfo
from db import jobs, model_versions
from db.chunks import ChunkPolicy
from db.jobs import NewItem, NewJob, StoredBlob
from db.model_versions import NewModelVersion
from db.models import Job, JobSource, ModelVersion
from db.recording import Outcome, Scored

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
POLICY = ChunkPolicy(size=4, window=2, lease=timedelta(seconds=60))
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
