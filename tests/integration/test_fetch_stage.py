"""The fetch stage with a real database, a real Redis, and a server on loopback that misbehaves on demand."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.client import Broker
from core.clock import utc_now
from core.errors import StorageFull
from core.fetching import Fetcher, FetchLimits
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db.blobs.local import LocalBlobStore
from db.blobs.spool import BlobWriter
from db.database import Database
from db.steps import chunks, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import CHUNK_LEASES
from db.steps.submitting import NewItem, NewJob
from db.tables import Blob, Chunk, Item, ItemStatus, Job, JobSource, JobStatus, Priority, Stage
from db.views import jobs
from tests.conftest import RunningRedis, until
from tests.integration.apps import files_in
from tests.integration.builders import WORKER, a_model, cancel_job, finish, locked_job, queued
from tests.integration.hostile_server import HostileServer, Visit, response
from worker.leases import HeldLeases
from worker.maintenance.sweeper import sweep
from worker.stages.downloads import DownloadPool, DownloadPools, PictureFetcher
from worker.stages.fetching import FetchStage

LOOPBACK = (ipaddress.IPv4Network("127.0.0.0/8"),)
POLICY = ChunkPolicy.of(Settings(chunk_size=4))
LIMITS = FetchLimits(seconds=5.0, max_bytes=1000)


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as made:
        for number in range(12):
            made.answers[f"/{number}.jpg"] = response(f"picture {number}".encode())
        yield made


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


@contextmanager
def running(
    database: Database, broker: Broker, store: LocalBlobStore, allow: tuple[ipaddress.IPv4Network, ...] = LOOPBACK
) -> Iterator[FetchStage]:
    with Fetcher(allow=allow, limits=LIMITS) as fetcher:
        pool = DownloadPool(PictureFetcher(fetcher, store), threads=4, per_host=3)
        leases = HeldLeases(database, WORKER, POLICY)
        yield FetchStage(database, broker, store, DownloadPools(interactive=pool, bulk=pool), leases, POLICY)
        pool.stop()


@pytest.fixture
def fetching(database: Database, broker: Broker, store: LocalBlobStore) -> Iterator[FetchStage]:
    with running(database, broker, store) as made:
        yield made


def submit(database: Database, urls: list[str], priority: Priority = Priority.NORMAL) -> tuple[str, list[ChunkMessage]]:
    new_items = [NewItem(url.rpartition("/")[2], None, source_url=url) for url in urls]
    with database.writing() as session:
        new = NewJob("test", JobSource.ITEMS, a_model(session), priority)
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, utc_now())
        return job.id, messages


def read(database: Database, job_id: str) -> tuple[Job, list[Item], list[Chunk]]:
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        items = session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position)).all()
        return job, list(items), list(session.scalars(select(Chunk).where(Chunk.job_id == job_id)).all())


def test_a_fetched_chunk_is_queued_to_be_classified(
    database: Database, redis: RunningRedis, server: HostileServer, store: LocalBlobStore, fetching: FetchStage
) -> None:
    job_id, messages = submit(database, [f"{server.url}/{number}.jpg" for number in range(3)])
    assert [message.queue for message in messages] == [Queue.FETCH]
    assert fetching.work_on(messages[0]) == 0
    job, items, (chunk,) = read(database, job_id)
    assert [store.read(str(item.blob_sha256)) for item in items] == [b"picture 0", b"picture 1", b"picture 2"]
    assert (job.status, job.pending, chunk.stage, chunk.attempts, chunk.taken_by) == (
        JobStatus.RUNNING,
        3,
        Stage.CLASSIFY,
        0,
        None,
    )
    assert queued(redis, Queue.BULK) == [ChunkMessage(chunk.id, job_id, Queue.BULK)]
    finish(database, ChunkMessage(chunk.id, job_id, Queue.BULK))
    assert read(database, job_id)[0].status == JobStatus.COMPLETED
    assert list(store.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("priority", "fetched_through", "classified_through"),
    [
        (Priority.INTERACTIVE, Queue.FETCH_INTERACTIVE, Queue.INTERACTIVE),
        (Priority.NORMAL, Queue.FETCH, Queue.BULK),
        (Priority.LOW, Queue.FETCH_LOW, Queue.LOW),
    ],
)
def test_each_priority_has_its_own_queues(
    database: Database,
    redis: RunningRedis,
    server: HostileServer,
    fetching: FetchStage,
    priority: Priority,
    fetched_through: Queue,
    classified_through: Queue,
) -> None:
    _, messages = submit(database, [f"{server.url}/0.jpg"], priority)
    assert [message.queue for message in messages] == [fetched_through]
    fetching.work_on(messages[0])
    assert len(queued(redis, classified_through)) == 1


def test_an_item_that_cannot_be_fetched_fails_with_its_error_code(
    database: Database, server: HostileServer, fetching: FetchStage
) -> None:
    server.answers |= {
        "/empty.jpg": response(b""),
        "/large.jpg": response(b"x" * 1001),
        "/away.jpg": response(b"", "302 Found", location="http://10.0.0.1/inside.jpg"),
    }
    paths = ["/none.jpg", "/empty.jpg", "/large.jpg", "/away.jpg"]
    job_id, messages = submit(database, [server.url + path for path in paths])
    assert fetching.work_on(messages[0]) == 4
    job, items, left = read(database, job_id)
    assert [item.error_code for item in items] == ["fetch_failed", "empty_file", "too_large", "blocked_address"]
    assert [item.error_retryable for item in items] == [False, False, False, False]
    assert (job.status, job.failed, job.pending, left) == (JobStatus.COMPLETED, 4, 0, [])


def test_a_private_ip_address_is_never_connected_to(
    database: Database, broker: Broker, store: LocalBlobStore, server: HostileServer
) -> None:
    job_id, messages = submit(database, [f"{server.url}/0.jpg", f"http://localhost:{server.port}/1.jpg"])
    with running(database, broker, store, allow=()) as guarded:
        guarded.work_on(messages[0])
    _, items, _ = read(database, job_id)
    assert [item.error_code for item in items] == ["blocked_address", "blocked_address"]
    assert (server.connections, server.visits) == (0, [])


def test_a_repeated_message_fetches_nothing(
    database: Database, redis: RunningRedis, server: HostileServer, fetching: FetchStage
) -> None:
    job_id, messages = submit(database, [f"{server.url}/0.jpg"])
    fetching.work_on(messages[0])
    before = read(database, job_id)[2][0].attempts
    assert fetching.work_on(messages[0]) == 0
    assert (len(server.visits), read(database, job_id)[2][0].attempts) == (1, before)
    assert len(queued(redis, Queue.BULK)) == 1


def test_a_worker_that_lost_its_lease_leaves_no_bytes(
    database: Database, server: HostileServer, store: LocalBlobStore, fetching: FetchStage
) -> None:
    arrived, may_answer = threading.Event(), threading.Event()

    def wait(visit: Visit) -> None:
        arrived.set()
        may_answer.wait(10)
        visit.send(response(b"an old picture", connection="close"))

    server.answers["/slow.jpg"] = wait
    job_id, messages = submit(database, [f"{server.url}/slow.jpg"])
    late = threading.Thread(target=fetching.work_on, args=[messages[0]])
    late.start()
    assert arrived.wait(10)
    server.answers["/slow.jpg"] = response(b"the picture now")
    with database.writing() as session:
        # The sweeper has ended the lease, so another worker can take up the chunk.
        session.scalars(select(Chunk)).one().taken_by = None
    fetching.work_on(messages[0])
    may_answer.set()
    late.join()
    _, items, (chunk,) = read(database, job_id)
    assert (store.read(str(items[0].blob_sha256)), chunk.stage) == (b"the picture now", Stage.CLASSIFY)
    with database.reading() as session:
        assert len(session.scalars(select(Blob)).all()) == 1
    assert len(files_in(store.folder)) == 1


def test_a_repeated_url_of_a_chunk_is_requested_once(
    database: Database, server: HostileServer, fetching: FetchStage
) -> None:
    job_id, messages = submit(database, [f"{server.url}/0.jpg"] * 3)
    fetching.work_on(messages[0])
    assert server.log == ["GET /0.jpg"]
    assert len({item.blob_sha256 for item in read(database, job_id)[1]}) == 1


def test_a_temporary_failure_of_a_server_is_retried(
    database: Database, server: HostileServer, fetching: FetchStage
) -> None:
    answers = [response(b"", "503 Busy", retry_after="0"), response(b"", "500 Oops"), response(b"at last")]
    server.answers["/moody.jpg"] = lambda visit: visit.send(answers.pop(0))
    job_id, messages = submit(database, [f"{server.url}/moody.jpg"])
    fetching.work_on(messages[0])
    assert (answers, len(server.visits)) == ([], 3)
    assert read(database, job_id)[1][0].blob_sha256 is not None


def test_a_server_that_demands_a_long_pause_is_not_asked_again(
    database: Database, server: HostileServer, fetching: FetchStage
) -> None:
    server.answers["/busy.jpg"] = response(b"", "429 Too Many", retry_after="3600")
    job_id, messages = submit(database, [f"{server.url}/busy.jpg"])
    fetching.work_on(messages[0])
    item = read(database, job_id)[1][0]
    assert (item.error_code, item.error_retryable, len(server.visits)) == ("fetch_failed", True, 1)


def test_the_next_chunk_is_claimed_if_all_downloads_of_a_chunk_failed(
    database: Database, redis: RunningRedis, server: HostileServer, fetching: FetchStage
) -> None:
    policy = ChunkPolicy(size=2, window=1, deadlines=POLICY.deadlines)
    urls = [f"{server.url}/{name}.jpg" for name in ("none", "nothing", 1, 2)]
    new_items = [NewItem("x.jpg", None, source_url=url) for url in urls]
    with database.writing() as session:
        new = NewJob("test", JobSource.ITEMS, a_model(session))
        job, messages = submitting.create_with_chunks(session, new, new_items, policy, utc_now())
    assert fetching.work_on(messages[0]) == 2
    (following,) = queued(redis, Queue.FETCH)
    assert fetching.work_on(following) == 0
    assert [item.status for item in read(database, job.id)[1]] == [ItemStatus.FAILED] * 2 + [ItemStatus.PENDING] * 2


def test_downloads_of_a_canceled_job_stop(
    database: Database, redis: RunningRedis, server: HostileServer, fetching: FetchStage
) -> None:
    arrived, may_answer = threading.Semaphore(0), threading.Event()

    def wait(visit: Visit) -> None:
        arrived.release()
        may_answer.wait(10)
        visit.send(response(b"a picture", connection="close"))

    for number in range(4):
        server.answers[f"/{number}.jpg"] = wait
    job_id, messages = submit(database, [f"{server.url}/{number}.jpg" for number in range(8)])
    worker = threading.Thread(target=fetching.work_on, args=[messages[0]])
    worker.start()
    for _ in range(3):
        arrived.acquire(timeout=10)
    cancel_job(database, job_id, utc_now())
    until(lambda: not waiting_downloads(fetching))
    may_answer.set()
    worker.join()
    assert fetching.work_on(messages[1]) == 0
    job, _, left = read(database, job_id)
    assert (job.status, job.canceled, left, len(server.visits)) == (JobStatus.CANCELED, 8, [], 3)
    assert queued(redis, Queue.BULK) == []


def waiting_downloads(fetching: FetchStage) -> int:
    return fetching.pools.interactive.waiting + fetching.pools.bulk.waiting


def test_a_full_disk_gives_the_chunk_back_and_fails_no_item(
    database: Database,
    server: HostileServer,
    fetching: FetchStage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id, messages = submit(database, [f"{server.url}/0.jpg"])

    def raise_storage_full(_writer: BlobWriter, _data: bytes) -> int:
        raise StorageFull

    monkeypatch.setattr(BlobWriter, "write", raise_storage_full)
    with pytest.raises(StorageFull):
        fetching.work_on(messages[0])
    _, (item,), (chunk,) = read(database, job_id)
    assert (item.status, chunk.attempts, chunk.taken_by, chunk.stage) == (ItemStatus.PENDING, 0, None, Stage.FETCH)


def test_the_sweeper_sends_lost_chunks_to_the_queue_that_they_were_in(
    database: Database, redis: RunningRedis, broker: Broker, server: HostileServer
) -> None:
    _, messages = submit(database, [f"{server.url}/0.jpg"])
    # The message was never sent to Redis.
    sweep(database, broker, POLICY)
    assert queued(redis, Queue.FETCH) == messages


def test_a_picture_that_repeatedly_ends_its_worker_fails_alone(
    database: Database, redis: RunningRedis, broker: Broker, server: HostileServer, fetching: FetchStage
) -> None:
    job_id, _ = submit(database, [f"{server.url}/{number}.jpg" for number in range(2)])
    while read(database, job_id)[0].pending == 2:
        sweep(database, broker, POLICY)
        for message in queued(redis, Queue.FETCH):
            with database.writing() as session:
                assert chunks.take(session, message.chunk_id, WORKER, POLICY, utc_now(), Stage.FETCH)
                CHUNK_LEASES.fail_attempt(session, message.chunk_id, WORKER, utc_now(), "it was struck by lightning")
    _, items, _ = read(database, job_id)
    assert items[0].error_code == "fetch_failed"
    assert "3 attempts" in str(items[0].error_detail)
    assert "lightning" in str(items[0].error_detail)


def test_a_failed_download_can_be_retried(
    database: Database, redis: RunningRedis, server: HostileServer, fetching: FetchStage
) -> None:
    server.answers["/late.jpg"] = response(b"", "429 Too Many", retry_after="3600")
    job_id, messages = submit(database, [f"{server.url}/late.jpg"])
    fetching.work_on(messages[0])
    assert read(database, job_id)[1][0].error_code == "fetch_failed"
    server.answers["/late.jpg"] = response(b"there it is")
    with locked_job(database, job_id) as (session, job):
        assert lifecycle.retry_failed_items(session, job, utc_now()) == 1
        (again,) = chunks.claim(session, job, POLICY, utc_now())
    assert again.queue is Queue.FETCH
    fetching.work_on(again)
    assert read(database, job_id)[1][0].blob_sha256 is not None
