"""Parts of the worker in this process, with a real database, a real Redis and the committed model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from broker.client import Broker
from classifier.prepare import InputSpec
from cli.registry import register_models
from core.clock import utc_now
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db import model_versions
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import chunks, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Item, ItemStatus, Job, JobSource, JobStatus, Prediction
from db.views import jobs
from samples import broken
from tests.conftest import SAMPLES, RunningRedis
from tests.integration.builders import WORKER, queued
from worker.decoding.decoder import DecoderLimits
from worker.decoding.pool import DecoderPool
from worker.leases import HeldLeases
from worker.predicting.models import ModelCache
from worker.stages import classifying
from worker.stages.classifying import ClassifyStage


@pytest.fixture
def with_redis(settings: Settings, redis: RunningRedis) -> Settings:
    return settings.model_copy(update={"redis_url": redis.url})


@pytest.fixture
def pipeline(database: Database, broker: Broker, with_redis: Settings) -> Iterator[ClassifyStage]:
    register_models(with_redis, database)
    models = ModelCache(with_redis)
    decoders = DecoderPool(
        LocalBlobStore(with_redis.blobs_folder), 1, DecoderLimits(30, 2**32), 32, InputSpec(224).byte_count
    )
    policy = ChunkPolicy.of(with_redis)
    yield ClassifyStage(database, broker, models, decoders, HeldLeases(database, WORKER, policy), policy)
    decoders.close()
    models.close()


def submit(database: Database, settings: Settings, files: dict[str, bytes]) -> tuple[str, list[ChunkMessage]]:
    store = LocalBlobStore(settings.blobs_folder)
    new_items = [NewItem(name, StoredBlob(store.put(data), len(data))) for name, data in files.items()]
    with database.writing() as session:
        version = model_versions.resolve(session, "production")
        new, policy = NewJob("test", JobSource.UPLOADS, version), ChunkPolicy.of(settings)
        job, messages = submitting.create_with_chunks(session, new, new_items, policy, utc_now())
        return job.id, messages


def work(pipeline: ClassifyStage, messages: list[ChunkMessage], redis: RunningRedis) -> None:
    """Process messages as the worker does until no message is queued."""
    while messages:
        for message in messages:
            pipeline.work_on(message)
        messages = queued(redis, Queue.BULK)


def read(database: Database, job_id: str) -> tuple[Job, list[Item]]:
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        return job, list(session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position)))


def test_a_job_of_good_and_broken_pictures_is_classified(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: ClassifyStage
) -> None:
    files = {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())}
    files |= {"cut.jpg": broken.truncated_jpeg(), "list.jpg": broken.text(), "huge.png": broken.huge_png()}
    job_id, messages = submit(database, with_redis, files)
    work(pipeline, messages, redis)
    job, items = read(database, job_id)
    assert (job.status, job.succeeded, job.failed, job.pending) == (JobStatus.COMPLETED, 26, 3, 0)
    failed = {item.source_name: item.error_code for item in items if item.status == ItemStatus.FAILED}
    assert failed == {"cut.jpg": "truncated_image", "list.jpg": "not_an_image", "huge.png": "too_many_pixels"}


def test_a_chunk_that_takes_long_records_what_it_has_and_nothing_twice(
    database: Database,
    with_redis: Settings,
    redis: RunningRedis,
    pipeline: ClassifyStage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classifying, "RECORD_SECONDS", 0.0)
    files = {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())[:24]}
    files |= {"cut.jpg": broken.truncated_jpeg(), "again.jpg": next(iter(files.values()))}
    job_id, messages = submit(database, with_redis.model_copy(update={"chunk_size": 128}), files)
    assert len(messages) == 3
    assert sum(pipeline.work_on(message) for message in messages) == len(files)
    job, items = read(database, job_id)
    assert (job.status, job.succeeded, job.failed, job.pending) == (JobStatus.COMPLETED, 25, 1, 0)
    assert job.revision > len(messages)
    assert len({item.prediction_id for item in items if item.prediction_id}) == 24


def test_a_repeated_job_reuses_every_prediction(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: ClassifyStage
) -> None:
    files = {path.name: path.read_bytes() for path in sorted(SAMPLES.iterdir())[:6]}
    for expected in (0, 6):
        job_id, messages = submit(database, with_redis, files)
        work(pipeline, messages, redis)
        job, _ = read(database, job_id)
        assert (job.succeeded, job.reused) == (6, expected)
    with database.reading() as session:
        assert len(session.scalars(select(Prediction)).all()) == 6


def test_a_repeated_message_changes_nothing(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: ClassifyStage
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    assert pipeline.work_on(messages[0]) == 1
    assert pipeline.work_on(messages[0]) == 0
    job, _ = read(database, job_id)
    assert (job.succeeded, job.revision) == (1, 1)


def test_a_chunk_held_by_another_worker_is_not_processed(
    database: Database, with_redis: Settings, pipeline: ClassifyStage
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    with database.writing() as session:
        assert chunks.take(session, messages[0].chunk_id, "wrk_2@there-1", ChunkPolicy.of(with_redis), utc_now())
    assert pipeline.work_on(messages[0]) == 0
    assert read(database, job_id)[0].pending == 1


def test_items_whose_bytes_are_lost_or_damaged_fail_alone_and_can_be_retried(
    database: Database, with_redis: Settings, redis: RunningRedis, pipeline: ClassifyStage
) -> None:
    names = ("t-shirt-red.jpg", "dress-green.jpg", "coat-camel.jpg")
    files = {name: (SAMPLES / name).read_bytes() for name in names} | {"list.jpg": broken.text()}
    job_id, messages = submit(database, with_redis, files)
    store = LocalBlobStore(with_redis.blobs_folder)
    gone, damaged = (hashlib.sha256(files[name]).hexdigest() for name in names[:2])
    store.delete([gone])
    (with_redis.blobs_folder / damaged[:2] / damaged).write_bytes(files["coat-camel.jpg"])
    work(pipeline, messages, redis)
    job, items = read(database, job_id)
    assert [item.error_code for item in items] == ["picture_lost", "picture_lost", None, "not_an_image"]
    assert "another SHA-256" in str(items[1].error_detail)
    assert (job.status, job.retryable) == (JobStatus.COMPLETED, 2)

    # The same pictures are uploaded again. Nothing of the damaged bytes is left.
    again, messages = submit(database, with_redis, files)
    work(pipeline, messages, redis)
    _, items = read(database, again)
    assert [item.label for item in items] == ["t-shirt", "dress", "outwear", None]
    assert [path.name for path in (with_redis.blobs_folder / "damaged").iterdir()] == [damaged]


def test_recording_is_retried_when_the_database_is_briefly_unavailable(
    database: Database, with_redis: Settings, pipeline: ClassifyStage
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    failures = [OperationalError("UPDATE", {}, Exception("the server closed the connection"))] * 2

    @event.listens_for(database.engine, "before_cursor_execute")
    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO predictions") and failures:
            raise failures.pop()

    try:
        assert pipeline.work_on(messages[0]) == 1
    finally:
        event.remove(database.engine, "before_cursor_execute", fail)
    assert failures == []
    assert read(database, job_id)[0].succeeded == 1


def test_the_end_of_a_job_wakes_waiting_requests(
    database: Database, with_redis: Settings, pipeline: ClassifyStage, broker: Broker
) -> None:
    job_id, messages = submit(database, with_redis, {"a.jpg": (SAMPLES / "t-shirt-red.jpg").read_bytes()})
    with broker.waiting_for(job_id) as wait:
        pipeline.work_on(messages[0])
        assert wait.wait(30)
