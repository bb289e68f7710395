"""Builders for database tests: model versions, stored pictures, jobs, and outcomes of their chunks."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.deadlines import Deadlines
from core.item_errors import ModelFailed
from core.messages import ChunkMessage, Queue
from core.types import ModelRef, PictureInfo
from db import model_versions
from db.access import keys
from db.database import Database
from db.model_versions import NewModelVersion
from db.steps import chunks, lifecycle, reviewing, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.recording import NewPrediction, Outcome, Recorded, record
from db.steps.reviewing import Verdict
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Delivery, Item, Job, JobEvent, JobSource, ModelVersion, Scope
from db.tables.model_versions import GARMENT_VIEW
from db.views import items, jobs
from db.views.jobs import JobModel
from tests.conftest import RunningRedis

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
LEASE = timedelta(seconds=60)
POLICY = ChunkPolicy(size=4, window=2, deadlines=Deadlines(LEASE))
WORKER = "wrk_1@here-1"
EVENTS = [event.value for event in JobEvent]
FAILED = Outcome(error=ModelFailed("broken"))
"""A failure that a retry takes."""
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


def a_garment_model(session: Session) -> ModelVersion:
    """Register a model for single garments, which takes regions."""
    new = NewModelVersion(
        ModelRef("garment", "1"), "9" * 64, TAXONOMY, {"size": 8, "view": GARMENT_VIEW}, {"accuracy": 0.5}, "card"
    )
    return model_versions.register(session, new, NOW)


def an_embedding_model(session: Session) -> ModelVersion:
    """Register a model whose pictures get vectors of length 4."""
    model_input = {"size": 8, "embedding": {"length": 4, "layer": "pool"}}
    new = NewModelVersion(ModelRef("embedding", "1"), "8" * 64, TAXONOMY, model_input, {"accuracy": 0.5}, "card")
    return model_versions.register(session, new, NOW)


def a_blob(content: str) -> StoredBlob:
    return StoredBlob(hashlib.sha256(content.encode()).hexdigest(), len(content))


def a_job(session: Session, pictures: list[str], name: str = "test", source: JobSource = JobSource.UPLOADS) -> Job:
    items = [NewItem(f"{n}-{content}.jpg", a_blob(content)) for n, content in enumerate(pictures)]
    return submitting.create(session, NewJob(name, source, a_model(session)), items, NOW)


def a_queued_job(
    database: Database, pictures: list[str], policy: ChunkPolicy = POLICY
) -> tuple[str, list[ChunkMessage]]:
    """Create a job and claim its first chunks. Return its id and their messages."""
    with database.writing() as session:
        job = a_job(session, pictures)
        return job.id, chunks.claim(session, job, policy, NOW)


def a_key(
    database: Database, *scopes: Scope, name: str = "test", rate_limit: int | None = None, quota: int | None = None
) -> tuple[str, str]:
    """Create a key and return its id and its written form."""
    with database.writing() as session:
        key, written = keys.create(session, name, scopes or [Scope.SUBMIT, Scope.READ], NOW, rate_limit, quota)
        return key.id, written


def scored(label: str = "shirt", confidence: float = 0.9, vector: bytes | None = None) -> Outcome:
    scores = [confidence, 1 - confidence] if label == "shirt" else [1 - confidence, confidence]
    prediction = NewPrediction(scores, label, "tops", confidence, vector)
    return Outcome(new_prediction=prediction, info=PictureInfo("jpeg", 30, 40))


def record_chunk(
    session: Session,
    message: ChunkMessage,
    outcomes: dict[tuple[str, str], Outcome],
    now: datetime = NOW,
    taken_at: datetime | None = None,
    policy: ChunkPolicy = POLICY,
) -> Recorded:
    """Record outcomes under the job's model version, as the worker that holds the chunk does."""
    gone = JobModel(0, ModelRef("gone", "1"), takes_regions=False, stores_vectors=False)
    model = jobs.read_job_model(session, message.job_id) or gone
    return record(session, message, model, outcomes, policy, now, taken_at)


def finish(
    database: Database,
    message: ChunkMessage,
    outcome: Outcome | None = None,
    now: datetime = NOW,
    policy: ChunkPolicy = POLICY,
) -> Recorded:
    """Record the same outcome for every picture of a chunk, by default a success."""
    with database.writing() as session:
        pictures = items.list_pending_pictures(session, message.chunk_id, with_regions=True)
        outcomes = {picture: outcome or scored() for picture in pictures}
        return record_chunk(session, message, outcomes, now, policy=policy)


def a_varied_job(database: Database) -> str:
    """Create a job of 40 items in every possible state, and return its id.

    24 items are recorded, and every sixth of them has failed. Several have the same confidence. A worker holds 4 items,
    and the others are canceled.
    """
    with database.writing() as session:
        new_items = [NewItem(f"{n}.jpg", a_blob(f"varied {n}")) for n in range(40)]
        new = NewJob("varied", JobSource.UPLOADS, a_model(session))
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    recorded = 0
    while recorded < 24:
        message = messages.pop(0)
        with database.writing() as session:
            outcomes = {}
            for picture in items.list_pending_pictures(session, message.chunk_id):
                label = "dress" if recorded % 4 == 1 else "shirt"
                outcomes[picture] = FAILED if recorded % 6 == 5 else scored(label, (50 + recorded * 7 % 5 * 10) / 100)
                recorded += 1
            messages += record_chunk(session, message, outcomes).next_chunks
    with database.writing() as session:
        chunks.take(session, messages[0].chunk_id, WORKER, POLICY, NOW)
    cancel_job(database, job.id)
    return job.id


def review(database: Database, job_id: str, labels: dict[int, str | None]) -> None:
    """Review items by position, with the label that they show or None if no label fits."""
    with locked_job(database, job_id) as (session, job):
        ids = session.scalars(select(Item.id).where(Item.job_id == job_id, Item.position.in_(labels)))
        for item in reviewing.read_items(session, job, list(ids)).values():
            reviewing.put(session, job, item, Verdict(labels[item.position]), None, NOW)


@contextmanager
def locked_job(database: Database, job_id: str) -> Iterator[tuple[Session, Job]]:
    """Open a transaction in which the row of a job is locked."""
    with database.writing() as session:
        job = lifecycle.lock_job(session, job_id)
        assert job is not None
        yield session, job


def cancel_job(database: Database, job_id: str, now: datetime = NOW) -> None:
    with locked_job(database, job_id) as (session, job):
        lifecycle.request_cancel(session, job, now)


def delete_job(database: Database, job_id: str) -> None:
    with locked_job(database, job_id) as (_, job):
        lifecycle.mark_job_deleted(job, NOW)


def read_job(database: Database, job_id: str) -> Job:
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        return job


def end_job(
    database: Database,
    url: str,
    events: Sequence[str] = EVENTS,
    outcome: Outcome | None = None,
    now: datetime = NOW,
) -> str:
    """Create a job of one picture, let it end, and return its id."""
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), webhook={"url": url, "events": list(events)})
        job, messages = submitting.create_with_chunks(session, new, [NewItem("a.jpg", a_blob("a"))], POLICY, now)
    for message in messages:
        finish(database, message, outcome, now)
    return job.id


def end_again(database: Database, job_id: str, outcome: Outcome | None = None, now: datetime = NOW) -> None:
    """Retry the failed items of a job, and let it end again."""
    with locked_job(database, job_id) as (session, job):
        lifecycle.retry_failed_items(session, job, now)
        messages = chunks.claim(session, job, POLICY, now)
    for message in messages:
        finish(database, message, outcome, now)


def deliveries(database: Database) -> list[Delivery]:
    with database.reading() as session:
        return list(session.scalars(select(Delivery).order_by(Delivery.id)))


def delivery(database: Database) -> Delivery:
    (only,) = deliveries(database)
    return only


def next_raw_message(redis: RunningRedis, queue: Queue) -> bytes | None:
    """Take the message that waits first in a queue out of Redis."""
    raw = redis.connection.rpop(queue.value)
    assert raw is None or isinstance(raw, bytes)
    return raw


def next_message(redis: RunningRedis, queue: Queue) -> ChunkMessage | None:
    """Take the message of a chunk that waits first in a queue out of Redis."""
    raw = next_raw_message(redis, queue)
    if raw is None:
        return None
    (_, arguments, _) = json.loads(base64.b64decode(json.loads(raw)["body"]))
    return ChunkMessage(**{**arguments, "queue": Queue(arguments["queue"])})


def queued(redis: RunningRedis, queue: Queue) -> list[ChunkMessage]:
    """Take all messages of chunks that wait in a queue out of Redis."""
    return list(iter(partial(next_message, redis, queue), None))


def together(calls: Sequence[Callable[[], object]]) -> None:
    """Run all calls at once, each in its own thread."""
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
