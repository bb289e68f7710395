"""Tallies agree with counting the items after every change, on both databases."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from core.item_errors import TooLarge, TruncatedImage
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import chunks, lifecycle, submitting, tallies
from db.steps.recording import Outcome
from db.steps.submitting import NewItem, NewJob
from db.steps.tallies import ErrorCount
from db.tables import ErrorTally, Item, ItemStatus, JobSource, LabelTally
from db.views import items
from tests.integration.builders import FAILED, NOW, POLICY, a_blob, a_model, finish, record_chunk, scored
from worker.maintenance.purger import purge

Tallied = tuple[dict[tuple[str, str, int], tuple[int, float]], dict[str, tuple[int, int]]]
"""The tallies of a job.

The first dictionary maps label, group and bin to count and sum of confidences, the second error codes to the counts of
all items and of those that a retry takes.
"""


def tallied(session: Session, *job_ids: str) -> dict[str, Tallied]:
    """Return the stored tallies of each job."""
    found: dict[str, Tallied] = {job_id: ({}, {}) for job_id in job_ids}
    for row in session.scalars(select(LabelTally).where(LabelTally.job_id.in_(job_ids), LabelTally.count != 0)):
        found[row.job_id][0][row.label, row.label_group, row.bin] = row.count, round(row.confidence_sum, 9)
    for error in session.scalars(select(ErrorTally).where(ErrorTally.job_id.in_(job_ids), ErrorTally.count != 0)):
        found[error.job_id][1][error.code] = error.count, error.retryable
    return found


def counted(session: Session, *job_ids: str) -> dict[str, Tallied]:
    """Return the tallies of each job that counting item by item gives."""
    found: dict[str, Tallied] = {job_id: ({}, {}) for job_id in job_ids}
    columns = Item.job_id, Item.status, Item.label, Item.label_group, Item.confidence
    for item in session.execute(
        select(*columns, Item.error_code, Item.error_retryable).where(Item.job_id.in_(job_ids))
    ):
        labels, errors = found[item.job_id]
        if item.status == ItemStatus.SUCCEEDED:
            assert item.confidence is not None
            key = item.label or "", item.label_group or "", min(int(item.confidence * 20), 19)
            count, total = labels.get(key, (0, 0.0))
            labels[key] = count + 1, round(total + item.confidence, 9)
        elif item.status == ItemStatus.FAILED:
            count, retryable = errors.get(str(item.error_code), (0, 0))
            errors[str(item.error_code)] = count + 1, retryable + bool(item.error_retryable)
    return found


def test_the_summary_adds_up_to_the_items(database: Database) -> None:
    with database.writing() as session:
        new_items = [NewItem(f"{name}.jpg", a_blob(name)) for name in "abcd"]
        new = NewJob("test", JobSource.UPLOADS, a_model(session))
        job, (message,) = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
        a, b, c, d = items.list_pending_pictures(session, message.chunk_id)
        outcomes = {
            a: scored("shirt", 1.0),
            b: scored("shirt", 0.55),
            c: scored("dress", 0.99),
            d: Outcome(error=TruncatedImage()),
        }
        record_chunk(session, message, outcomes)
        summary = tallies.summarize(session, job.id)
        assert tallied(session, job.id) == counted(session, job.id)
    assert {row.label: row.count for row in summary.labels} == {"shirt": 2, "dress": 1}
    sums = {row.label: row.confidence_sum for row in summary.labels}
    assert sums == pytest.approx({"shirt": 1.55, "dress": 0.99})
    assert summary.errors == [ErrorCount("truncated_image", 1, 0)]
    assert (summary.histogram[11], summary.histogram[19], sum(summary.histogram)) == (1, 2, 3)


def test_refused_items_are_tallied_and_retried_items_are_not(database: Database) -> None:
    with database.writing() as session:
        refused = [NewItem(f"{n}.jpg", None, error=TooLarge()) for n in range(2)]
        kept = [NewItem(f"{name}.jpg", a_blob(name)) for name in "abc"]
        new = NewJob("test", JobSource.UPLOADS, a_model(session))
        job, (message,) = submitting.create_with_chunks(session, new, refused + kept, POLICY, NOW)
        assert tallies.summarize(session, job.id).errors == [ErrorCount("too_large", 2, 0)]
    finish(database, message, FAILED)
    with database.writing() as session:
        assert tallies.summarize(session, job.id).errors == [
            ErrorCount("model_error", 3, 3),
            ErrorCount("too_large", 2, 0),
        ]
        held = lifecycle.lock_job(session, job.id)
        assert held is not None
        assert held.retryable == 3
        lifecycle.retry_failed_items(session, held, NOW)
        assert tallies.summarize(session, job.id).errors == [ErrorCount("too_large", 2, 0)]
        assert held.retryable == 0
        (message,) = chunks.claim(session, held, POLICY, NOW)
    finish(database, message, scored("dress", 0.7))
    with database.reading() as session:
        expected = ({("dress", "tops", 14): (3, 2.1)}, {"too_large": (2, 0)})
        assert tallied(session, job.id) == counted(session, job.id) == {job.id: expected}


def test_tallies_of_a_purged_job_are_empty(database: Database, tmp_path: Path) -> None:
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), expires_at=NOW + timedelta(days=1))
        new_items = [NewItem("a.jpg", a_blob("a")), NewItem("b.jpg", None, error=TooLarge())]
        job, (message,) = submitting.create_with_chunks(session, new, new_items, POLICY, NOW)
    finish(database, message)
    with database.reading() as session:
        assert tallied(session, job.id) == {job.id: ({("shirt", "tops", 18): (1, 0.9)}, {"too_large": (1, 0)})}
    purge(database, LocalBlobStore(tmp_path / "blobs"), lambda: NOW + timedelta(days=2))
    with database.reading() as session:
        assert tallied(session, job.id) == {job.id: ({}, {})}
