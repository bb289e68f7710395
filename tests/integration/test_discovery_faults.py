"""Sources whose workers die, hang, stop or make no progress: no item is lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import worker.sources.expander
from core.clock import utc_now
from core.errors import BlobStoreUnavailable
from db.steps import discoveries, expanding
from db.steps.discoveries import MAX_ATTEMPTS, LeasedSource
from db.steps.leasing import SOURCE_LEASES
from db.tables import ItemStatus, JobStatus
from tests.integration.builders import WORKER, deliveries
from tests.integration.reading import OTHER, Place, a_tar, a_zip, expected, fail, place, small_batches, stored_anywhere
from worker.leases import HeldLeases
from worker.sources.expander import SourceExpander

__all__ = ["place", "small_batches", "stored_anywhere"]


@pytest.mark.parametrize("make", [a_zip, a_tar])
@pytest.mark.parametrize("dies_at", range(1, 5))
def test_another_worker_continues_after_the_last_source_batch_of_a_dead_worker(
    place: Place, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], bytes], dies_at: int
) -> None:
    job_id = place.submit(make(10))
    commits = 0

    class Killed(BaseException):
        """The end of the process: a BaseException, so that no handler cleans up."""

    def commit_batch(*arguments: Any) -> object:
        nonlocal commits
        commits += 1
        if commits == dies_at:
            raise Killed
        return original(*arguments)

    original = expanding.commit_batch
    monkeypatch.setattr(expanding, "commit_batch", commit_batch)
    with pytest.raises(Killed):
        place.expander().run_pending()
    assert place.names(job_id) == expected(3 * (dies_at - 1))
    assert place.expander(OTHER).run_pending() == 0
    place.sweep(seconds=31)
    assert place.expander(OTHER).run_pending() == 1
    assert place.names(job_id) == expected(10)
    job = place.job(job_id)
    assert (job.total, job.pending, job.discovering) == (10, 10, False)


def test_a_worker_that_lost_its_lease_adds_no_items(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    overtaken: list[bool] = []

    def be_overtaken() -> None:
        if not overtaken:
            overtaken.append(True)
            place.sweep(seconds=31)
            # The other worker has the same name, because it is a thread of the same process.
            place.expander().run_pending()

    place.expander(before_commit=be_overtaken).run_pending()
    assert place.names(job_id) == expected(10)
    assert place.job(job_id).total == 10


def test_a_source_that_cannot_be_read_fails_its_job_after_its_last_attempt(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = place.submit(a_zip(10))
    fail(place, monkeypatch, after=0)
    for _ in range(MAX_ATTEMPTS):
        assert place.job(job_id).status == JobStatus.QUEUED
        assert place.expander().run_pending() == 1
        place.sweep()
    job = place.job(job_id)
    assert (job.status, job.discovering, job.total) == (JobStatus.FAILED, False, 0)
    assert job.error == {
        "code": "archive_unsafe",
        "detail": f"gave up after {MAX_ATTEMPTS} attempts; reason of the last one: RuntimeError('a bug')",
        "retryable": False,
    }
    assert [delivery.event for delivery in deliveries(place.database)] == ["job.failed"]


def test_a_source_without_further_progress_ends_with_an_error_item(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = place.submit(a_zip(10))
    fail(place, monkeypatch, after=7)
    # The first attempt makes progress, and the next ones do not.
    for _ in range(1 + MAX_ATTEMPTS):
        place.expander().run_pending()
        place.sweep()
    assert place.names(job_id) == [*expected(6), "catalog.zip"]
    last = place.items(job_id)[-1]
    assert (last.status, last.error_code) == (ItemStatus.FAILED, "archive_unsafe")
    place.classify_all()
    assert place.job(job_id).status == JobStatus.COMPLETED


def test_an_attempt_with_progress_does_not_count_as_failed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = place.submit(a_zip(30))
    for _ in range(9):
        fail(place, monkeypatch, after=3)
        place.expander().run_pending()
        monkeypatch.undo()
        monkeypatch.setattr(worker.sources.expander, "BATCH_ITEMS", 3)
        place.sweep()
    assert place.names(job_id) == expected(27)
    place.expander().run_pending()
    assert place.names(job_id) == expected(30)


def test_an_unavailable_store_costs_no_attempt(place: Place) -> None:
    job_id = place.submit(a_zip(5))

    def fail_to_store() -> None:
        raise BlobStoreUnavailable("the store is away")

    for _ in range(5):
        place.expander(before_commit=fail_to_store).run_pending()
        found = place.discovery(job_id)
        assert found is not None
        assert (found.attempts, found.taken_by, found.error) == (0, None, "the store is away")
        place.passed += timedelta(seconds=3)
    place.expander().run_pending()
    assert place.names(job_id) == expected(5)


def test_a_canceled_job_of_a_dead_worker_ends_with_the_lease(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    with place.database.writing() as session:
        assert expanding.take(session, WORKER, place.policy, utc_now())
    place.cancel(job_id)
    assert place.job(job_id).status == JobStatus.QUEUED
    place.sweep(seconds=31)
    assert place.job(job_id).status == JobStatus.CANCELED


def test_a_stopping_worker_gives_its_source_back_after_the_source_batch(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    expanders: list[SourceExpander] = []

    def stop() -> None:
        expanders[0].close()

    expanders.append(place.expander(before_commit=stop))
    expanders[0].run_pending()
    found = place.discovery(job_id)
    assert found is not None
    assert (found.taken_by, found.attempts) == (None, 0)
    assert place.names(job_id)[:3] == expected(3)
    place.expander(OTHER).run_pending()
    assert place.names(job_id) == expected(10)


def test_two_workers_never_hold_the_same_source(place: Place) -> None:
    place.submit(a_zip(2))
    leased: list[LeasedSource | None] = []
    for name in (WORKER, OTHER):
        with place.database.writing() as session:
            leased.append(expanding.take(session, name, place.policy, utc_now()))
    assert leased[0] is not None
    assert leased[1] is None


def test_the_leases_of_an_ended_process_can_be_ended_at_once(place: Place) -> None:
    job_id = place.submit(a_zip(2))
    with place.database.writing() as session:
        expanding.take(session, WORKER, place.policy, utc_now())
        SOURCE_LEASES.end_leases(session, utc_now(), worker="@there-1")
        assert discoveries.list_expired_leases(session, utc_now()) == []
        SOURCE_LEASES.end_leases(session, utc_now(), worker="@here-1")
        assert discoveries.list_expired_leases(session, utc_now()) == [job_id]


def test_leases_are_renewed_while_a_source_batch_is_collected(place: Place) -> None:
    job_id = place.submit(a_zip(2))
    leases = HeldLeases(place.database, WORKER, place.policy, table=SOURCE_LEASES)
    with place.database.writing() as session:
        expanding.take(session, WORKER, place.policy, utc_now() - timedelta(seconds=20))
    with leases.holding(job_id):
        leases.renew()
    with place.database.reading() as session:
        assert discoveries.list_expired_leases(session, utc_now() + timedelta(seconds=25)) == []


def test_rereading_known_members_does_not_count_as_progress(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = place.submit(a_tar(10))
    fail(place, monkeypatch, after=7)
    place.expander().run_pending()
    place.sweep()
    # Every member takes the time of a whole source batch, so known members are read again in batches without items.
    monkeypatch.setattr(worker.sources.expander, "BATCH_SECONDS", 0)
    for _ in range(MAX_ATTEMPTS):
        assert place.job(job_id).discovering
        place.expander().run_pending()
        place.sweep()
    assert place.names(job_id) == [*expected(6), "catalog.zip"]
