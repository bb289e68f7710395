"""The path of a chunk through the database, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import cast

import pytest
from sqlalchemy import Table, func, select, update
from sqlalchemy.exc import IntegrityError

from core.item_errors import TruncatedImage
from core.messages import ChunkMessage, Queue
from db.access.keys import ANYONE
from db.bulk import InsertMissing
from db.database import Database
from db.steps import chunks
from db.steps.chunks import ChunkPolicy
from db.steps.recording import Outcome, Recorded, find_predictions
from db.tables import Blob, Chunk, Item, ItemStatus, Job, JobSource, JobStatus, Prediction
from db.views import items, jobs
from tests.integration.builders import (
    NOW,
    POLICY,
    a_blob,
    a_job,
    a_queued_job,
    a_varied_job,
    finish,
    read_job,
    record_chunk,
    scored,
)


def test_a_new_job_queues_only_its_window_in_order_of_position(database: Database) -> None:
    job_id, messages = a_queued_job(database, [f"picture {n}" for n in range(20)])
    assert len(messages) == POLICY.window
    with database.reading() as session:
        claimed = session.scalars(select(Item.position).where(Item.chunk_id.is_not(None)).order_by(Item.position))
        assert list(claimed) == list(range(8))
    assert read_job(database, job_id).status == JobStatus.QUEUED


def test_recording_a_chunk_counts_its_items_and_claims_the_next(database: Database) -> None:
    job_id, messages = a_queued_job(database, [f"picture {n}" for n in range(20)])
    recorded = finish(database, messages[0])
    assert recorded.finished_items == 4
    assert len(recorded.next_chunks) == 1
    job = read_job(database, job_id)
    assert (job.total, job.pending, job.succeeded, job.status) == (20, 16, 4, JobStatus.RUNNING)


def test_a_job_is_completed_when_its_last_chunk_is_recorded(database: Database) -> None:
    job_id, messages = a_queued_job(database, [f"picture {n}" for n in range(10)])
    messages += finish(database, messages.pop()).next_chunks
    while messages:
        messages += finish(database, messages.pop(), now=NOW + timedelta(seconds=5)).next_chunks
    job = read_job(database, job_id)
    assert (job.pending, job.succeeded, job.status) == (0, 10, JobStatus.COMPLETED)
    assert job.finished_at == NOW + timedelta(seconds=5)
    assert job.rate == pytest.approx(2.0)
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Chunk)) == 0


def test_a_job_starts_when_its_first_chunk_is_leased(database: Database) -> None:
    job_id, messages = a_queued_job(database, [f"picture {n}" for n in range(10)])
    with database.writing() as session:
        outcomes = {picture: scored() for picture in items.list_pending_pictures(session, messages[0].chunk_id)}
        recorded_at, taken_at = NOW + timedelta(seconds=3), NOW + timedelta(seconds=1)
        record_chunk(session, messages[0], outcomes, recorded_at, taken_at)
    finish(database, messages[1], now=NOW + timedelta(seconds=9))
    assert read_job(database, job_id).started_at == taken_at


def test_recording_a_chunk_twice_changes_nothing(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a", "b", "c"])
    finish(database, messages[0])
    before = read_job(database, job_id)
    again = finish(database, messages[0], scored("dress"))
    assert again.finished_items == 0
    after = read_job(database, job_id)
    assert (after.revision, after.succeeded) == (before.revision, before.succeeded)
    with database.reading() as session:
        assert set(session.scalars(select(Item.label))) == {"shirt"}


def test_a_repeated_picture_of_a_job_has_one_prediction(database: Database) -> None:
    _, messages = a_queued_job(database, ["same", "same", "other"])
    finish(database, messages[0])
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 2
        assert len(set(session.scalars(select(Item.prediction_id)))) == 2


def test_the_prediction_of_a_picture_is_reused_by_another_job(database: Database) -> None:
    _, first = a_queued_job(database, ["same"])
    finish(database, first[0], scored("dress", 0.7))
    job_id, second = a_queued_job(database, ["same"])
    with database.reading() as session:
        pictures = items.list_pending_pictures(session, second[0].chunk_id)
        model_version_id = read_job(database, job_id).model_version_id
        assert set(find_predictions(session, model_version_id, pictures)) == set(pictures)
    finish(database, second[0], Outcome(is_known=True))
    job = read_job(database, job_id)
    assert (job.succeeded, job.reused) == (1, 1)
    with database.reading() as session:
        item = session.scalars(select(Item).where(Item.job_id == job_id)).one()
        assert (item.label, item.reused) == ("dress", True)
        assert item.confidence == pytest.approx(0.7)


def test_a_failed_picture_fails_its_item_only(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["good", "bad"])
    with database.writing() as session:
        good, bad = items.list_pending_pictures(session, messages[0].chunk_id)
        outcomes = {good: scored(), bad: Outcome(error=TruncatedImage("cut off"))}
        record_chunk(session, messages[0], outcomes)
    job = read_job(database, job_id)
    assert (job.succeeded, job.failed, job.status) == (1, 1, JobStatus.COMPLETED)
    with database.reading() as session:
        item = session.scalars(select(Item).where(Item.status == ItemStatus.FAILED)).one()
        assert (item.error_code, item.error_detail, item.error_retryable) == ("truncated_image", "cut off", False)


def test_the_decoded_format_and_size_are_stored_with_the_blob(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    finish(database, messages[0])
    with database.reading() as session:
        blob = session.scalars(select(Blob)).one()
        assert (blob.format, blob.width, blob.height) == ("jpeg", 30, 40)


def test_the_database_refuses_counts_that_do_not_add_up(database: Database) -> None:
    job_id, _ = a_queued_job(database, ["a"])
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(pending=0))


def test_jobs_with_room_have_items_without_a_chunk(database: Database) -> None:
    job_id, _ = a_queued_job(database, ["a"])
    with database.writing() as session:
        waiting = a_job(session, ["b"])
        assert list(chunks.list_jobs_with_room(session, POLICY)) == [waiting.id]
        assert job_id != waiting.id


def test_recording_a_chunk_of_a_deleted_job_does_nothing(database: Database) -> None:
    with database.writing() as session:
        gone = ChunkMessage("chk_gone", "job_gone", Queue.BULK)
        assert record_chunk(session, gone, {}) == Recorded(0, [], job_finished=True)


def test_single_classifications_are_not_in_the_default_list_of_jobs(database: Database) -> None:
    with database.writing() as session:
        listed = a_job(session, ["a"], "Autumn 50 %")
        single = a_job(session, ["b"], source=JobSource.CLASSIFICATION)
        assert [job.id for job in jobs.list_newest(session, ANYONE, jobs.JobFilter(), None, 10, NOW)] == [listed.id]
        only = jobs.JobFilter(source=JobSource.CLASSIFICATION)
        assert [job.id for job in jobs.list_newest(session, ANYONE, only, None, 10, NOW)] == [single.id]
        assert [job.id for job in jobs.list_newest(session, ANYONE, jobs.JobFilter(text="50 %"), None, 10, NOW)] == [
            listed.id
        ]
        assert jobs.list_newest(session, ANYONE, jobs.JobFilter(text="5_ %"), None, 10, NOW) == []


def test_the_first_succeeded_items_of_several_jobs_are_read_together(database: Database) -> None:
    varied = a_varied_job(database)
    with database.writing() as session:
        empty = a_job(session, ["pending"]).id
    with database.reading() as session:
        succeeded = select(Item.id).where(Item.job_id == varied, Item.status == ItemStatus.SUCCEEDED)
        expected = list(session.scalars(succeeded.order_by(Item.position)))
        assert len(expected) > 2
        assert jobs.first_succeeded(session, [empty, varied], 2) == {varied: expected[:2]}
        assert jobs.first_succeeded(session, [empty, varied], 10) == {varied: expected[:10]}
        assert jobs.first_succeeded(session, [], 5) == jobs.first_succeeded(session, [varied], 0) == {}


def test_concurrently_recorded_chunks_of_a_job_are_all_counted(database: Database) -> None:
    with database.writing() as session:
        job = a_job(session, [str(n) for n in range(32)])
        messages = chunks.claim(session, job, ChunkPolicy(size=4, window=8, deadlines=POLICY.deadlines), NOW)
    start = threading.Barrier(len(messages))

    def record_one(message: ChunkMessage) -> None:
        with database.reading() as session:
            pictures = items.list_pending_pictures(session, message.chunk_id)
        start.wait()
        with database.writing() as session:
            record_chunk(session, message, dict.fromkeys(pictures, scored()))

    with ThreadPoolExecutor(len(messages)) as pool:
        list(pool.map(record_one, messages))
    with database.reading() as session:
        stored = jobs.get(session, job.id)
        assert stored is not None
        assert (stored.pending, stored.succeeded, stored.status) == (0, 32, JobStatus.COMPLETED)


def test_only_missing_rows_are_inserted_and_counted(database: Database) -> None:
    blobs = InsertMissing(cast(Table, Blob.__table__))
    for contents, inserted in (("ab", 2), ("bcd", 2), ("abcd", 0)):
        rows = [{"sha256": a_blob(c).sha256, "bytes": 1, "created_at": NOW} for c in sorted(contents)]
        with database.writing() as session:
            assert blobs.execute(session, rows) == inserted
