"""Worker parts on a real database, real Redis and the committed model, in this process."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from broker.client import Broker
from cli.registry import register_models
from core.clock import utc_now
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db import chunks, jobs, model_versions
from db.blobs.local import LocalBlobStore
from db.chunks import ChunkPolicy
from db.engine import Database
from db.jobs import NewItem, NewJob, StoredBlob
from db.models import Item, ItemStatus, Job, JobSource, JobStatus, Prediction
from samples import broken
from tests.conftest import SAMPLES, RunningRedis
from worker.decoders import DecoderLimits, Decoders
from worker.models import Models
from worker.pipeline import Pipeline
from worker.sweeper import sweep


@pytest.fixture
def with_redis(settings: Settings, redis: RunningRedis) -> Settings:
    return settings.model_copy(update={"redis_url": redis.url})


@pytest.fixture
def broker(with_redis: Settings) -> Iterator[Broker]:
    made = Broker.connect(with_redis)
    yield made
    made.close()


@pytest.fixture
def pipeline(database: Database, broker: Broker, with_redis: Settings) -> Iterator[Pipeline]:
    register_models(with_redis, database)
    models = Models(with_redis)
    decoders = Decoders(LocalBlobStore(with_redis.blobs_folder), 1, DecoderLimits(30, 2**32), 32, 224)
    yield Pipeline(database, broker, models, decoders, ChunkPolicy.of(with_redis))
    decoders.close()
    models.close()


def submit(database: Database, settings: Settings, files: dict[str, bytes]) -> tuple[str, list[ChunkMessage]]:
    store = LocalBlobStore(settings.blobs_folder)
    new_items = [NewItem(name, StoredBlob(store.put(data), len(data))) for name, data in files.items()]
    with database.writing() as session:
        version = model_versions.resolve(session, "production")
        new, policy = NewJob("test", JobSource.UPLOADS, version), ChunkPolicy.of(settings)
        job, messages = jobs.create_leased(session, new, new_items, policy, utc_now())
        return job.id, messages


def queued(redis: RunningRedis, queue: Queue) -> list[ChunkMessage]:
    """The chunks that wait in Redis, taken out."""
    messages = []
    while raw := redis.connection.rpop(queue.value):
        (_, arguments, _) = json.loads(base64.b64decode(json.loads(raw)["body"]))
        messages.append(ChunkMessage(arguments["chunk_id"], arguments["job_id"], Queue(arguments["queue"])))
    return messages


def work(pipeline: Pipeline, messages: list[ChunkMessage], redis: RunningRedis) -> None:
    """Be the worker until nothing is queued any more."""
    while messages:
        for message in messages:
            pipeline.classify(message)
        messages = queued(redis, Queue.BULK)


def read(database: Database, job_id: str) -> tuple[Job, list[Item]]:
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        return job, list(session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position)))


def test_a_job_of_good_and_broken_pictures_is_classified_to_its_end(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: Pipeline
) -> None:
    files = {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())}
    files |= {"cut.jpg": broken.truncated_jpeg(), "list.jpg": broken.text(), "huge.png": broken.huge_png()}
    job_id, messages = submit(database, with_redis, files)
    work(pipeline, messages, redis)
    job, items = read(database, job_id)
    assert (job.status, job.succeeded, job.failed, job.pending) == (JobStatus.COMPLETED, 26, 3, 0)
    failed = {item.source_name: item.error_code for item in items if item.status == ItemStatus.FAILED}
    assert failed == {"cut.jpg": "truncated_image", "list.jpg": "not_an_image", "huge.png": "too_many_pixels"}


def test_the_same_job_again_reuses_every_prediction(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: Pipeline
) -> None:
    files = {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())[:6]}
    for expected in (0, 6):
        job_id, messages = submit(database, with_redis, files)
        work(pipeline, messages, redis)
        job, _ = read(database, job_id)
        assert (job.succeeded, job.reused) == (6, expected)
    with database.reading() as session:
        assert len(session.scalars(select(Prediction)).all()) == 6


def test_a_message_delivered_twice_changes_nothing(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: Pipeline
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    assert pipeline.classify(messages[0]) == 1
    assert pipeline.classify(messages[0]) == 0
    job, _ = read(database, job_id)
    assert (job.succeeded, job.revision) == (1, 1)


def test_the_sweeper_sends_what_could_not_be_sent_when_redis_was_away(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: Pipeline, broker: Broker
) -> None:
    _, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    with database.writing() as session:
        chunks.release(session, [messages[0].chunk_id], utc_now())
    assert sweep(database, broker, ChunkPolicy.of(with_redis)) == 1
    assert sweep(database, broker, ChunkPolicy.of(with_redis)) == 0
    assert queued(redis, Queue.BULK) == messages


def test_a_chunk_without_attempts_left_fails_its_items_with_the_reason(
    database: Database, with_redis: Settings, pipeline: Pipeline, broker: Broker
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    policy = ChunkPolicy.of(with_redis)
    for _ in range(chunks.MAX_ATTEMPTS):
        with database.writing() as session:
            chunks.hand_back(session, messages[0].chunk_id, utc_now())
        sweep(database, broker, policy)
    job, items = read(database, job_id)
    assert (job.status, items[0].error_code) == (JobStatus.COMPLETED, "model_error")
    assert "3 attempts" in str(items[0].error_detail)


def test_whoever_waits_for_a_job_is_woken_by_its_end(
    database: Database, with_redis: Settings, pipeline: Pipeline, broker: Broker
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    with broker.waiting_for(job_id) as wait:
        pipeline.classify(messages[0])
        assert wait.wait(30)
