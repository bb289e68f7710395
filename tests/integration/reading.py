"""Shared by the tests of sources: an installation that reads them, and archives to read."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import cast

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import worker.sources.entries
import worker.sources.expander
from broker.client import Broker
from core.clock import utc_now
from core.fetching import Fetcher
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from core.sources.archives import ArchiveLimits, Member
from core.sources.picture_lists import PictureList
from db.blobs.opening import open_blob_store
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.database import Database
from db.steps import submitting
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import SOURCE_LEASES
from db.steps.submitting import NewJob, StoredBlob, UnreadSource
from db.tables import Blob, Chunk, Discovery, Item, Job, JobSource, ModelVersion
from db.views import items
from tests.conftest import RunningRedis
from tests.integration.builders import WORKER, a_model, cancel_job, read_job, record_chunk, scored
from worker.leases import HeldLeases
from worker.maintenance.sweeper import sweep
from worker.sources.entries import FoundItem, LeftOut, SourceLimits
from worker.sources.expander import SourceExpander

OTHER = "wrk_2@there-7"
HOOK = {"url": "https://example.org/hook", "events": ["job.completed", "job.failed", "job.canceled"]}


class StoreWith:
    """A store that calls a function of the test before it makes blobs durable; the function may raise."""

    def __init__(self, store: BlobStore, before_commit: Callable[[], None]) -> None:
        self._store = store
        self._before_commit = before_commit

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, writers: list[BlobWriter]) -> None:
        self._before_commit()
        self._store.commit(writers)


class Place:
    """An installation that reads sources: a database, a store, a Redis, and workers."""

    def __init__(self, database: Database, settings: Settings, broker: Broker) -> None:
        self.database = database
        self.broker = broker
        self.policy = ChunkPolicy.of(settings)
        self.store = open_blob_store(settings)
        self.spool = settings.spool_folder
        self.passed = timedelta()

    def clock(self) -> datetime:
        return utc_now() + self.passed

    def submit(
        self,
        data: bytes,
        name: str = "catalog.zip",
        source: JobSource = JobSource.ARCHIVE,
        model: Callable[[Session], ModelVersion] = a_model,
        columns: Mapping[str, str] | None = None,
    ) -> str:
        unread = UnreadSource(StoredBlob(self.store.put(data), len(data)), name)
        with self.database.writing() as session:
            new = NewJob(name, source, model(session), webhook=HOOK, columns=columns)
            return submitting.create_discovering(session, new, unread, utc_now()).id

    def expander(
        self, worker: str = WORKER, before_commit: Callable[[], None] = lambda: None, members: int = 1000
    ) -> SourceExpander:
        store = cast(BlobStore, StoreWith(self.store, before_commit))
        leases = HeldLeases(self.database, worker, self.policy, table=SOURCE_LEASES)
        limits = SourceLimits(ArchiveLimits(members, 200_000, 2**24), 2**24, self.spool)
        return SourceExpander(self.database, self.broker, store, leases, self.policy, limits, Fetcher(), self.clock)

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
        cancel_job(self.database, job_id, utc_now())

    def classify_all(self) -> None:
        """Record every queued chunk until no chunk is left."""
        while True:
            with self.database.writing() as session:
                chunk = session.scalars(select(Chunk).limit(1)).first()
                if chunk is None:
                    return
                message = ChunkMessage(chunk.id, chunk.job_id, Queue.BULK)
                pictures = items.list_pending_pictures(session, chunk.id)
                record_chunk(session, message, {picture: scored() for picture in pictures}, policy=self.policy)

    def blobs(self) -> set[str]:
        with self.database.reading() as session:
            return set(session.scalars(select(Blob.sha256)))


@pytest.fixture
def place(database: Database, settings: Settings, redis: RunningRedis) -> Iterator[Place]:
    broker = Broker.connect(settings.with_changes(redis_url=redis.url))
    yield Place(database, settings, broker)
    broker.close()


@pytest.fixture
def stored_anywhere(place: Place, blob_settings: Settings) -> Place:
    """An installation with a store of either kind."""
    place.store = open_blob_store(blob_settings)
    return place


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.sources.expander, "BATCH_ITEMS", 3)


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


def fail(place: Place, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Make reading fail in every worker after a number of members."""
    stored = 0
    original = worker.sources.entries._read_member

    def store(blobs: BlobStore, member: Member, pictures: PictureList) -> FoundItem | LeftOut | None:
        nonlocal stored
        stored += 1
        if stored > after:
            raise RuntimeError("a bug")
        return original(blobs, member, pictures)

    monkeypatch.setattr(worker.sources.entries, "_read_member", store)
