"""Sources that workers read: nothing is lost, nothing is there twice, whatever happens meanwhile."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import cast

import pytest
from sqlalchemy import select

import worker.expander
from broker.client import Broker
from core.clock import utc_now
from core.errors import BlobStoreUnavailable
from core.fetching import Fetcher
from core.messages import Queue
from core.settings import Settings
from core.sources.archives import ArchiveLimits
from db import chunks, discoveries, items, jobs, lifecycle
from db.blobs.opening import open_blob_store
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.chunks import ChunkPolicy
from db.discoveries import Taken
from db.engine import Database
from db.jobs import NewJob, StoredBlob, UnreadSource
from db.leasing import SOURCES
from db.models import ApiKey, Blob, Chunk, Discovery, Item, ItemStatus, Job, JobSource, JobStatus, Stage
from tests.conftest import RunningRedis
from tests.integration.builders import WORKER, a_model, deliveries, read_job, record_chunk, scored
from worker.expander import Expander
from worker.leases import Leases
from worker.purger import purge
from worker.sources import SourceLimits
from worker.sweeper import sweep

OTHER = "wrk_2@there-7"
HOOK = {"url": "https://example.org/hook", "events": ["job.completed", "job.failed", "job.canceled"]}


class StoreWith:
    """A store that does something, or fails, before it makes a batch durable."""

    def __init__(self, store: BlobStore, before_commit: Callable[[], None]) -> None:
        self._store = store
        self._before_commit = before_commit

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, writers: list[BlobWriter]) -> None:
        self._before_commit()
        self._store.commit(writers)


class Place:
    """A database, a store and a Redis, and whoever reads sources there."""

    def __init__(self, database: Database, settings: Settings, broker: Broker) -> None:
        self.database = database
        self.broker = broker
        self.policy = ChunkPolicy.of(settings)
        self.store = open_blob_store(settings)
        self.spool = settings.spool_folder
        self.passed = timedelta()

    def clock(self) -> datetime:
        return utc_now() + self.passed

    def submit(self, data: bytes, name: str = "catalog.zip", source: JobSource = JobSource.ARCHIVE) -> str:
        unread = UnreadSource(StoredBlob(self.store.put(data), len(data)), name)
        with self.database.writing() as session:
            new = NewJob(name, source, a_model(session), webhook=HOOK)
            return jobs.create_discovering(session, new, unread, utc_now()).id

    def expander(
        self, worker: str = WORKER, before_commit: Callable[[], None] = lambda: None, members: int = 1000
    ) -> Expander:
        store = cast(BlobStore, StoreWith(self.store, before_commit))
        leases = Leases(self.database, worker, self.policy, table=SOURCES)
        limits = SourceLimits(ArchiveLimits(members, 200_000, 2**24), self.spool)
        return Expander(self.database, self.broker, store, leases, self.policy, limits, Fetcher(), self.clock)

    def sweep(self, seconds: float = 0) -> None:
        self.passed += timedelta(seconds=seconds)
        sweep(self.database, self.broker, self.policy, self.clock)

    def job(self, job_id: str) -> Job:
        return read_job(self.database, job_id)

    def items(self, job_id: str) -> list[Item]:
        with self.database.reading() as session:
            return list(session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position)))

    def names(self, job_id: str) -> list[str]:
        return [item.source_name for item in self.items(job_id)]

    def discovery(self, job_id: str) -> Discovery | None:
        with self.database.reading() as session:
            return session.get(Discovery, job_id)

    def cancel(self, job_id: str) -> None:
        with self.database.writing() as session:
            job = lifecycle.hold(session, job_id)
            assert job is not None
            lifecycle.request_cancel(session, job, utc_now())

    def classify_all(self) -> None:
        """Record every chunk that is queued, until none is."""
        while True:
            with self.database.writing() as session:
                chunk = session.scalars(select(Chunk).limit(1)).first()
                if chunk is None:
                    return
                message = chunks.ChunkMessage(chunk.id, chunk.job_id, Queue.BULK)
                pictures = items.pending_pictures(session, chunk.id)
                record_chunk(session, message, {picture: scored() for picture in pictures}, policy=self.policy)

    def blobs(self) -> set[str]:
        with self.database.reading() as session:
            return set(session.scalars(select(Blob.sha256)))


@pytest.fixture
def place(database: Database, settings: Settings, redis: RunningRedis) -> Iterator[Place]:
    broker = Broker.connect(settings.having(redis_url=redis.url))
    yield Place(database, settings, broker)
    broker.close()


@pytest.fixture
def stored_anywhere(place: Place, blob_settings: Settings) -> Place:
    """A place with a store of either kind."""
    place.store = open_blob_store(blob_settings)
    return place


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.expander, "BATCH_ITEMS", 3)


def a_zip(pictures: int, **others: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(pictures):
            archive.writestr(f"look/{number}.jpg", f"picture {number}")
        for name, data in others.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def a_tar(pictures: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for number in range(pictures):
            info = tarfile.TarInfo(f"look/{number}.jpg")
            info.size = len(f"picture {number}")
            archive.addfile(info, io.BytesIO(f"picture {number}".encode()))
    return buffer.getvalue()


def expected(pictures: int) -> list[str]:
    return [f"look/{number}.jpg" for number in range(pictures)]


@pytest.mark.parametrize("make", [a_zip, a_tar])
def test_the_members_of_an_archive_become_items_in_their_order(
    stored_anywhere: Place, make: Callable[[int], bytes]
) -> None:
    place = stored_anywhere
    job_id = place.submit(make(10))
    assert place.job(job_id).discovering
    assert place.expander().work_off() == 1
    job = place.job(job_id)
    assert (job.total, job.pending, job.discovering, job.status) == (10, 10, False, JobStatus.QUEUED)
    assert place.names(job_id) == expected(10)
    for number, item in enumerate(place.items(job_id)):
        assert place.store.read(item.blob_sha256 or "") == f"picture {number}".encode()
    assert list(place.spool.iterdir()) == []
    place.classify_all()
    job = place.job(job_id)
    assert (job.status, job.succeeded) == (JobStatus.COMPLETED, 10)


def test_bad_members_are_failed_items_among_the_others(place: Place) -> None:
    data = a_zip(1, **{"../evil.jpg": b"x", "large.jpg": bytes(200_001), "empty.jpg": b"", "__MACOSX/a": b"x"})
    job_id = place.submit(data)
    place.expander().work_off()
    codes = {item.source_name: item.error_code for item in place.items(job_id)}
    assert codes == {
        "look/0.jpg": None,
        "../evil.jpg": "archive_unsafe",
        "large.jpg": "too_large",
        "empty.jpg": "not_an_image",
    }
    job = place.job(job_id)
    assert (job.total, job.pending, job.failed) == (4, 1, 3)


@pytest.mark.parametrize("make", [a_zip, a_tar])
@pytest.mark.parametrize("dies_at", range(1, 5))
def test_who_dies_between_batches_is_followed_by_who_goes_on_there(
    place: Place, monkeypatch: pytest.MonkeyPatch, make: Callable[[int], bytes], dies_at: int
) -> None:
    job_id = place.submit(make(10))
    commits = 0

    class Killed(BaseException):
        """As if the process were gone: nothing tidies up."""

    def get_on(*arguments: object) -> object:
        nonlocal commits
        commits += 1
        if commits == dies_at:
            raise Killed
        return really(*arguments)

    really = worker.expander.expanding.get_on
    monkeypatch.setattr(worker.expander.expanding, "get_on", get_on)
    with pytest.raises(Killed):
        place.expander().work_off()
    assert place.names(job_id) == expected(3 * (dies_at - 1))
    assert place.expander(OTHER).work_off() == 0
    place.sweep(seconds=31)
    assert place.expander(OTHER).work_off() == 1
    assert place.names(job_id) == expected(10)
    job = place.job(job_id)
    assert (job.total, job.pending, job.discovering) == (10, 10, False)


def test_a_worker_that_wakes_up_after_its_lease_adds_nothing(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    overtaken = []

    def be_overtaken() -> None:
        if not overtaken:
            overtaken.append(True)
            place.sweep(seconds=31)
            # The other one even has the same name: a thread of the same process.
            place.expander().work_off()

    place.expander(before_commit=be_overtaken).work_off()
    assert place.names(job_id) == expected(10)
    assert place.job(job_id).total == 10


def fail(place: Place, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Have reading fail, whoever tries, after a number of members."""
    stored = 0
    really = worker.sources._store

    def store(*arguments: object) -> object:
        nonlocal stored
        stored += 1
        if stored > after:
            raise RuntimeError("a bug")
        return really(*arguments)

    monkeypatch.setattr(worker.sources, "_store", store)


def test_a_source_that_nobody_can_begin_with_fails_its_job_after_three_attempts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = place.submit(a_zip(10))
    fail(place, monkeypatch, after=0)
    for _ in range(3):
        assert place.job(job_id).status == JobStatus.QUEUED
        assert place.expander().work_off() == 1
        place.sweep()
    job = place.job(job_id)
    assert (job.status, job.discovering, job.total) == (JobStatus.FAILED, False, 0)
    assert job.error == {
        "code": "archive_unsafe",
        "detail": "not read further in 3 attempts; the last one: RuntimeError('a bug')",
        "retryable": False,
    }
    assert [delivery.event for delivery in deliveries(place.database)] == ["job.failed"]


def test_a_source_that_nobody_gets_on_with_ends_with_an_item_that_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = place.submit(a_zip(10))
    fail(place, monkeypatch, after=7)
    # The first one got on.
    for _ in range(4):
        place.expander().work_off()
        place.sweep()
    assert place.names(job_id) == [*expected(6), "catalog.zip"]
    last = place.items(job_id)[-1]
    assert (last.status, last.error_code) == (ItemStatus.FAILED, "archive_unsafe")
    place.classify_all()
    assert place.job(job_id).status == JobStatus.COMPLETED


def test_an_attempt_that_got_on_is_not_held_against_the_source(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = place.submit(a_zip(30))
    for _ in range(9):
        fail(place, monkeypatch, after=3)
        place.expander().work_off()
        monkeypatch.undo()
        monkeypatch.setattr(worker.expander, "BATCH_ITEMS", 3)
        place.sweep()
    assert place.names(job_id) == expected(27)
    place.expander().work_off()
    assert place.names(job_id) == expected(30)


def test_what_is_no_archive_fails_its_job_at_once(place: Place) -> None:
    job_id = place.submit(b"this is no archive", "notes.txt")
    place.expander().work_off()
    job = place.job(job_id)
    assert (job.status, job.total, job.finished_at is not None) == (JobStatus.FAILED, 0, True)
    assert job.error is not None
    assert job.error["detail"] == "expected a ZIP or TAR file, got something else"


def test_an_archive_without_pictures_fails_its_job(place: Place) -> None:
    job_id = place.submit(a_zip(0, **{"folder/": b"", "Thumbs.db": b"x"}))
    place.expander().work_off()
    job = place.job(job_id)
    assert (job.status, job.error and job.error["code"]) == (JobStatus.FAILED, "empty_source")


def test_a_tar_file_that_is_cut_off_keeps_its_items_and_says_so_in_a_last_one(place: Place) -> None:
    job_id = place.submit(a_tar(10)[: 10 * 1024], "cut.tar")
    place.expander().work_off()
    assert place.names(job_id) == [*expected(10), "cut.tar"]
    assert "cut off" in str(place.items(job_id)[-1].error_detail)


def test_a_store_that_is_away_costs_no_attempt(place: Place) -> None:
    job_id = place.submit(a_zip(5))

    def away() -> None:
        raise BlobStoreUnavailable("the store is away")

    for _ in range(5):
        place.expander(before_commit=away).work_off()
        found = place.discovery(job_id)
        assert found is not None
        assert (found.attempts, found.taken_by, found.error) == (0, None, "the store is away")
        place.passed += timedelta(seconds=3)
    place.expander().work_off()
    assert place.names(job_id) == expected(5)


def test_canceled_before_it_is_read_it_is_canceled_at_once_and_never_read(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    place.cancel(job_id)
    assert place.job(job_id).status == JobStatus.CANCELED
    place.sweep()
    assert place.expander().work_off() == 0
    assert place.items(job_id) == []


def test_canceled_while_it_is_read_it_ends_with_the_next_batch(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    seen: list[object] = []

    def cancel() -> None:
        seen.append(None)
        if len(seen) == 3:
            place.cancel(job_id)
            job = place.job(job_id)
            seen.append((job.status, job.discovering))

    place.expander(before_commit=cancel).work_off()
    assert seen == [None, None, None, (JobStatus.QUEUED, True)]
    job = place.job(job_id)
    assert (job.status, job.total, job.canceled, job.discovering) == (JobStatus.CANCELED, 6, 6, False)
    assert [delivery.event for delivery in deliveries(place.database)] == ["job.canceled"]
    # Of the batch that was not committed, nothing stays.
    purge(place.database, place.store)
    assert {item.blob_sha256 for item in place.items(job_id)} == place.blobs()


def test_canceled_while_its_worker_is_dead_it_ends_with_the_lease(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    with place.database.writing() as session:
        assert worker.expander.expanding.take(session, WORKER, place.policy, utc_now())
    place.cancel(job_id)
    assert place.job(job_id).status == JobStatus.QUEUED
    place.sweep(seconds=31)
    assert place.job(job_id).status == JobStatus.CANCELED


def test_the_bytes_of_a_source_are_removed_once_it_is_read(stored_anywhere: Place) -> None:
    place = stored_anywhere
    data = a_zip(2)
    first, second = place.submit(data), place.submit(data)
    source = place.discovery(first)
    assert source is not None
    assert source.blob_sha256 is not None
    place.expander().work_off()
    assert place.discovery(first) is not None
    with place.database.writing() as session:
        # The second job is as if it were still waiting.
        session.get_one(Job, second).discovering = True
    purge(place.database, place.store)
    assert (place.discovery(first), place.discovery(second) is not None) == (None, True)
    assert source.blob_sha256 in place.blobs()
    with place.database.writing() as session:
        session.get_one(Job, second).discovering = False
    purge(place.database, place.store)
    assert place.discovery(second) is None
    assert source.blob_sha256 not in place.blobs()
    with pytest.raises(Exception, match="no blob"):
        place.store.read(source.blob_sha256)


def test_a_source_that_is_a_picture_of_another_job_stays_with_it(place: Place) -> None:
    data = a_zip(1)
    job_id = place.submit(data)
    with place.database.writing() as session:
        blob = StoredBlob(place.store.put(data), len(data))
        jobs.create(session, NewJob("odd", JobSource.UPLOADS, a_model(session)), [jobs.NewItem("x", blob)], utc_now())
    place.expander().work_off()
    purge(place.database, place.store)
    assert place.discovery(job_id) is None
    assert place.store.read(blob.sha256) == data


def test_the_sweeper_asks_for_what_waits_and_one_message_has_all_read(place: Place, redis: RunningRedis) -> None:
    submitted = [place.submit(a_zip(2)) for _ in range(3)]
    for _ in range(4):
        place.sweep()
    assert redis.connection.llen(Queue.INGEST.value) == 1
    expander = place.expander()
    expander.wake()
    expander.close()
    expander = place.expander()
    expander.work_off()
    assert [place.job(job_id).total for job_id in submitted] == [2, 2, 2]


def test_a_worker_that_is_stopped_gives_its_source_back_after_the_batch(place: Place) -> None:
    job_id = place.submit(a_zip(10))
    expanders: list[Expander] = []

    def stop() -> None:
        expanders[0].close()

    expanders.append(place.expander(before_commit=stop))
    expanders[0].work_off()
    found = place.discovery(job_id)
    assert found is not None
    assert (found.taken_by, found.attempts) == (None, 0)
    assert place.names(job_id)[:3] == expected(3)
    place.expander(OTHER).work_off()
    assert place.names(job_id) == expected(10)


def test_two_workers_never_have_the_same_source_in_hand(place: Place) -> None:
    place.submit(a_zip(2))
    taken: list[Taken | None] = []
    for name in (WORKER, OTHER):
        with place.database.writing() as session:
            taken.append(worker.expander.expanding.take(session, name, place.policy, utc_now()))
    assert taken[0] is not None
    assert taken[1] is None


def test_leases_of_one_process_end_when_it_is_known_to_be_gone(place: Place) -> None:
    job_id = place.submit(a_zip(2))
    with place.database.writing() as session:
        worker.expander.expanding.take(session, WORKER, place.policy, utc_now())
        SOURCES.end_leases(session, utc_now(), worker="@there-1")
        assert discoveries.lost_leases(session, utc_now()) == []
        SOURCES.end_leases(session, utc_now(), worker="@here-1")
        assert discoveries.lost_leases(session, utc_now()) == [job_id]


def test_leases_are_renewed_while_a_batch_is_gathered(place: Place) -> None:
    job_id = place.submit(a_zip(2))
    leases = Leases(place.database, WORKER, place.policy, table=SOURCES)
    with place.database.writing() as session:
        worker.expander.expanding.take(session, WORKER, place.policy, utc_now() - timedelta(seconds=20))
    with leases.holding(job_id):
        leases.renew()
    with place.database.reading() as session:
        assert discoveries.lost_leases(session, utc_now() + timedelta(seconds=25)) == []


MANIFEST = """url,id,title,crop,season
https://shop.example/looks/1.jpg,sku-1,Coat,"1,2,30,40",autumn
,sku-2
http://127.0.0.1/2.jpg,sku-3
ftp://shop.example/3.jpg

https://shop.example/looks/%EC%85%94%EC%B8%A0.jpg,sku-5
"""


def test_the_rows_of_a_manifest_become_items_to_fetch(stored_anywhere: Place) -> None:
    place = stored_anywhere
    job_id = place.submit(MANIFEST.encode(), "looks.csv", JobSource.MANIFEST)
    place.expander().work_off()
    found = [(item.source_name, item.custom_id, item.error_code) for item in place.items(job_id)]
    assert found == [
        ("1.jpg", "sku-1", None),
        ("row 3", "sku-2", "bad_row"),
        ("2.jpg", "sku-3", "blocked_address"),
        ("row 5", None, "fetch_forbidden"),
        ("셔츠.jpg", "sku-5", None),
    ]
    item = place.items(job_id)[0]
    assert (item.source_url, item.crop_key, item.blob_sha256) == ("https://shop.example/looks/1.jpg", "1,2,30x40", None)
    assert (item.provenance, item.details) == ({"title": "Coat"}, {"season": "autumn"})
    assert str(place.items(job_id)[2].error_detail).startswith("row 4: ")
    job = place.job(job_id)
    assert (job.total, job.pending, job.failed, job.discovering) == (5, 2, 3, False)
    with place.database.reading() as session:
        assert {chunk.stage for chunk in session.scalars(select(Chunk))} == {Stage.FETCH}


def test_what_is_no_manifest_fails_its_job_and_one_without_rows_does_too(place: Place) -> None:
    for data, code in ((b"title\na\n", "bad_manifest"), (b"url\n\n", "empty_source")):
        job_id = place.submit(data, "looks.csv", JobSource.MANIFEST)
        place.expander().work_off()
        job = place.job(job_id)
        assert (job.status, job.error and job.error["code"]) == (JobStatus.FAILED, code)


def test_a_manifest_with_too_many_rows_ends_with_an_item_that_says_so(place: Place) -> None:
    data = "url\n" + "".join(f"https://shop.example/{n}.jpg\n" for n in range(9))
    job_id = place.submit(data.encode(), "looks.csv", JobSource.MANIFEST)
    place.expander(members=7).work_off()
    assert len(place.items(job_id)) == 8
    assert place.items(job_id)[-1].error_code == "bad_manifest"


def test_a_key_whose_quota_ends_keeps_all_that_was_within_it(place: Place) -> None:
    with place.database.writing() as session:
        session.add(ApiKey(id="key_1", name="k", secret_sha256="0" * 64, scopes=[], quota=7, created_at=utc_now()))
    job_id = place.submit(a_zip(10))
    with place.database.writing() as session:
        session.get_one(Job, job_id).key_id = "key_1"
    place.expander().work_off()
    assert place.names(job_id) == [*expected(7), "catalog.zip"]
    last = place.items(job_id)[-1]
    assert (last.error_code, last.error_retryable) == ("quota_exceeded", True)
    purge(place.database, place.store)
    assert {item.blob_sha256 for item in place.items(job_id)[:7]} == place.blobs()


def test_reading_again_up_to_where_it_was_is_not_getting_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = place.submit(a_tar(10))
    fail(place, monkeypatch, after=7)
    place.expander().work_off()
    place.sweep()
    # So slow that every member takes a batch's time: the first ones are read again in batches without items.
    monkeypatch.setattr(worker.expander, "BATCH_SECONDS", 0)
    for _ in range(3):
        assert place.job(job_id).discovering
        place.expander().work_off()
        place.sweep()
    assert place.names(job_id) == [*expected(6), "catalog.zip"]
