"""The effects of canceling, retrying, deleting and expiring on a job, its items, blobs and predictions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from core.errors import JobFinished, JobNotFinished, NothingToRetry
from core.item_errors import ModelFailed, TruncatedImage
from core.messages import ChunkMessage
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import chunks, lifecycle, submitting
from db.steps.recording import Outcome
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Blob, Chunk, Item, ItemStatus, Job, JobSource, JobStatus, Prediction
from db.views import items, jobs
from tests.integration.builders import (
    FAILED,
    NOW,
    POLICY,
    WORKER,
    a_model,
    a_queued_job,
    cancel_job,
    delete_job,
    finish,
    locked_job,
    read_job,
    record_chunk,
    scored,
)
from worker.maintenance.purger import purge


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def retry(database: Database, job_id: str) -> int:
    with locked_job(database, job_id) as (session, job):
        return lifecycle.retry_failed_items(session, job, NOW)


def take(database: Database, message: ChunkMessage) -> bool:
    with database.writing() as session:
        return chunks.take(session, message.chunk_id, WORKER, POLICY, NOW)


def test_a_job_without_held_chunks_is_canceled_at_once(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(20)])
    cancel_job(database, job_id)
    job = read_job(database, job_id)
    assert (job.status, job.pending, job.canceled, job.finished_at) == (JobStatus.CANCELED, 0, 20, NOW)
    assert not take(database, messages[0])
    with database.reading() as session:
        assert session.scalars(select(Chunk)).all() == []


def test_a_job_is_canceled_only_after_its_held_chunks_end(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(20)])
    take(database, messages[0])
    cancel_job(database, job_id)
    job = read_job(database, job_id)
    assert (job.status, job.pending, job.canceled) == (JobStatus.QUEUED, 4, 16)
    assert finish(database, messages[0]).next_chunks == []
    job = read_job(database, job_id)
    assert (job.status, job.succeeded, job.canceled, job.pending) == (JobStatus.CANCELED, 4, 16, 0)


def test_a_job_can_be_canceled_twice_but_not_after_its_end(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a"])
    take(database, messages[0])
    cancel_job(database, job_id)
    cancel_job(database, job_id)
    finish(database, messages[0])
    with pytest.raises(JobFinished, match="this one is canceled"):
        cancel_job(database, job_id)


def test_a_large_job_is_canceled_in_several_transactions(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "MAX_CANCELED_AT_ONCE", 3)
    job_id, _ = a_queued_job(database, [str(n) for n in range(8)])
    cancel_job(database, job_id)
    assert read_job(database, job_id).status == JobStatus.QUEUED
    with database.writing() as session:
        assert jobs.list_canceling(session) == [job_id]
        job = lifecycle.lock_job(session, job_id)
        assert job is not None
        assert [lifecycle.cancel_waiting_items(session, job, NOW) for _ in range(3)] == [3, 2, 0]
        assert job.status == JobStatus.CANCELED
        assert jobs.list_canceling(session) == []


def test_a_retry_changes_only_failed_items(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a", "b", "c", "d", "e"])
    finish(database, messages[0])
    finish(database, messages[1], Outcome(error=ModelFailed("out of luck")))
    assert read_job(database, job_id).status == JobStatus.COMPLETED
    assert retry(database, job_id) == 1
    job = read_job(database, job_id)
    assert (job.status, job.pending, job.succeeded, job.failed) == (JobStatus.RUNNING, 1, 4, 0)
    assert job.finished_at is None
    with locked_job(database, job_id) as (session, held):
        (message,) = chunks.claim(session, held, POLICY, NOW)
    finish(database, message)
    job = read_job(database, job_id)
    assert (job.status, job.pending, job.succeeded, job.failed) == (JobStatus.COMPLETED, 0, 5, 0)
    with database.reading() as session:
        assert set(session.scalars(select(Item.error_code))) == {None}


def test_a_retry_takes_only_failures_for_which_another_attempt_may_help(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(8)])
    finish(database, messages[0], Outcome(error=TruncatedImage("cut off")))
    with pytest.raises(NothingToRetry, match="got 4 that would happen again"):
        retry(database, job_id)
    finish(database, messages[1], Outcome(error=ModelFailed("out of luck")))
    assert read_job(database, job_id).retryable == 4
    assert retry(database, job_id) == 4
    job = read_job(database, job_id)
    assert (job.pending, job.failed, job.retryable) == (4, 4, 0)
    with database.reading() as session:
        failed = session.scalars(select(Item.error_code).where(Item.status == ItemStatus.FAILED))
        assert list(failed) == ["truncated_image"] * 4


def test_a_retry_adds_to_the_run_time_of_its_job(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(8)])
    finish(database, messages[0])
    assert read_job(database, job_id).duration(NOW + timedelta(seconds=3)) == 3
    finish(database, messages[1], FAILED, NOW + timedelta(seconds=4))
    job = read_job(database, job_id)
    assert (job.rate, job.duration(NOW + timedelta(days=1))) == (2, 4)

    an_hour_later = NOW + timedelta(hours=1)
    with locked_job(database, job_id) as (session, held):
        lifecycle.retry_failed_items(session, held, an_hour_later)
        (message,) = chunks.claim(session, held, POLICY, an_hour_later)
    assert read_job(database, job_id).duration(an_hour_later + timedelta(minutes=1)) == 4
    with database.writing() as session:
        outcomes = {picture: scored() for picture in items.list_pending_pictures(session, message.chunk_id)}
        record_chunk(session, message, outcomes, an_hour_later + timedelta(seconds=6), an_hour_later)
    job = read_job(database, job_id)
    assert (job.rate, job.duration(NOW + timedelta(days=1)), job.succeeded) == (0.8, 10, 8)
    assert job.started_at == NOW


def test_the_rate_of_a_canceled_job_counts_what_was_classified(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(20)])
    finish(database, messages[0])
    take(database, messages[1])
    cancel_job(database, job_id)
    finish(database, messages[1], now=NOW + timedelta(seconds=4))
    job = read_job(database, job_id)
    assert (job.status, job.succeeded, job.canceled, job.rate) == (JobStatus.CANCELED, 8, 12, 2)


def test_a_retry_without_failed_items_is_refused(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a"])
    finish(database, messages[0])
    with pytest.raises(NothingToRetry):
        retry(database, job_id)
    other, _ = a_queued_job(database, ["b"])
    cancel_job(database, other)
    with pytest.raises(JobFinished):
        retry(database, other)


def stored(database: Database, store: LocalBlobStore, pictures: list[bytes]) -> str:
    """Create a finished job of pictures whose bytes are in the store, and return its id."""
    new_items = [NewItem(f"{n}.jpg", StoredBlob(store.put(data), len(data))) for n, data in enumerate(pictures)]
    with database.writing() as session:
        new = NewJob("stored", JobSource.UPLOADS, a_model(session), expires_at=NOW + timedelta(days=1))
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    for message in messages:
        finish(database, message)
    return job.id


def rows(database: Database) -> tuple[int, int, int]:
    """Return the numbers of items, blobs and predictions."""
    with database.reading() as session:
        items, blobs, predictions = (len(session.scalars(select(kind)).all()) for kind in (Item, Blob, Prediction))
        return items, blobs, predictions


def test_a_running_job_cannot_be_deleted(database: Database) -> None:
    job_id, _ = a_queued_job(database, ["a"])
    with pytest.raises(JobNotFinished, match="cancel it first"):
        delete_job(database, job_id)


def test_deleting_a_job_removes_only_what_no_other_job_uses(database: Database, store: LocalBlobStore) -> None:
    shared, own = b"shared", b"own"
    kept = stored(database, store, [shared])
    gone = stored(database, store, [shared, own, own])
    store.put_derived(store.put(own), "thumbnail.jpg", b"small")
    assert rows(database) == (4, 2, 2)
    delete_job(database, gone)
    assert purge(database, store, lambda: NOW) == 3
    assert rows(database) == (1, 1, 1)
    assert [path.name for path in store.folder.glob("??/*")] == [store.put(shared)]
    with database.reading() as session:
        assert list(session.scalars(select(Job.id))) == [kept]
    delete_job(database, kept)
    purge(database, store, lambda: NOW)
    assert rows(database) == (0, 0, 0)


def test_an_expired_job_loses_its_items_but_keeps_its_row(database: Database, store: LocalBlobStore) -> None:
    job_id = stored(database, store, [b"a", b"b"])
    assert purge(database, store, lambda: NOW) == 0
    after = NOW + timedelta(days=2)
    assert purge(database, store, lambda: after) == 2
    assert purge(database, store, lambda: after) == 0
    assert rows(database) == (0, 0, 0)
    job = read_job(database, job_id)
    assert (job.purged_at, job.succeeded) == (after, 2)


def test_a_large_job_is_removed_in_several_transactions(
    database: Database, store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.steps.purging.MAX_ITEMS_AT_ONCE", 2)
    job_id = stored(database, store, [b"a", b"b", b"a", b"c", b"a"])
    delete_job(database, job_id)
    assert purge(database, store, lambda: NOW) == 5
    assert rows(database) == (0, 0, 0)


def test_a_job_of_refused_pictures_only_is_completed_at_once(database: Database) -> None:
    with database.writing() as session:
        refused = NewItem("empty.jpg", None, error=ModelFailed("empty"))
        job = submitting.create(session, NewJob("refused", JobSource.UPLOADS, a_model(session)), [refused], NOW)
        assert (job.status, job.failed, job.finished_at) == (JobStatus.COMPLETED, 1, NOW)
        assert session.scalars(select(Item.status)).all() == [ItemStatus.FAILED]
