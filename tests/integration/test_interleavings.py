"""Random orders of messages, crashes, cancelations and other steps: counts are always right, and every job ends."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from broker.client import Broker
from broker.dispatch import dispatch
from core.errors import JobFinished, JobNotFinished, LeaseLost, NothingToRetry
from core.item_errors import FetchTooSlow, ItemError, ModelFailed, TruncatedImage
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from core.types import Crop, Region
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import chunks, lifecycle, reviewing, submitting
from db.steps.fetching import ToFetch, list_items_to_fetch, record_fetched
from db.steps.leasing import CHUNK_LEASES
from db.steps.recording import Outcome, record
from db.steps.reviewing import Verdict
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import FINISHED, Blob, Chunk, Item, ItemRegion, ItemStatus, Job, JobSource, JobStatus, Prediction, Stage
from db.views import items, jobs
from tests.conftest import RunningRedis
from tests.integration.builders import NOW, POLICY, a_garment_model, a_model, next_message, scored
from tests.integration.test_tallies import counted, tallied
from worker.maintenance.purger import purge
from worker.maintenance.sweeper import sweep

WORKERS = ("wrk_1@here-1", "wrk_2@here-2", "wrk_3@there-3")
SECONDS = st.sampled_from([1, 7, 15, 61, 200])
OUTCOMES = {
    "good": scored(),
    "doubtful": scored("dress", 0.55),
    "bad": Outcome(error=TruncatedImage("cut")),
    "unlucky": Outcome(error=ModelFailed("out of luck")),
}
VERDICTS = [Verdict("shirt"), Verdict("dress"), Verdict(None), None]
NOT_STARTED = "not started"
"""The time of a chunk ended before this picture was requested."""
NUMBER = st.integers(0, 10**6)
REGIONS = (Region("top", Crop(0, 0, 30, 20)), Region("bottom", Crop(0, 20, 30, 20)))


class Interleavings(RuleBasedStateMachine):
    """Plays the client, the API, the workers and the clock against a real database and a real Redis."""

    database: Database
    broker: Broker
    redis: RunningRedis
    store: LocalBlobStore

    def __init__(self) -> None:
        super().__init__()
        self.redis.connection.flushall()
        with self.database.reading() as session:
            self.before = set(session.scalars(select(Job.id)))
        self.now = NOW
        self.jobs: list[str] = []
        self.retried: Counter[str] = Counter()
        self.duplicates: list[ChunkMessage] = []
        self.held: list[tuple[str, ChunkMessage]] = []
        self.to_fetch: dict[str, list[ToFetch]] = {}
        self.seen: dict[str, tuple[ItemStatus, int]] = {}

    @rule(pictures=st.lists(st.integers(0, 30), min_size=1, max_size=12), regions=st.integers(0, len(REGIONS)))
    def submit(self, pictures: list[int], regions: int) -> None:
        blobs = [(f"picture {number}".encode(), REGIONS[: number % (regions + 1)]) for number in pictures]
        new_items = [
            NewItem("x.jpg", StoredBlob(self.store.put(data), len(data)), regions=parts) for data, parts in blobs
        ]
        with self.database.writing() as session:
            model = a_garment_model(session) if regions else a_model(session)
            new = NewJob("any", JobSource.UPLOADS, model, expires_at=self.now + timedelta(seconds=300))
            job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, self.now)
        self.jobs.append(job.id)
        dispatch(self.database, self.broker, messages)

    @rule(pictures=st.lists(st.integers(0, 30), min_size=1, max_size=5))
    def submit_and_crash_before_sending(self, pictures: list[int]) -> None:
        blobs = [f"picture {number}".encode() for number in pictures]
        new_items = [NewItem("x.jpg", StoredBlob(self.store.put(data), len(data))) for data in blobs]
        with self.database.writing() as session:
            job, _ = submitting.create_with_chunks(
                session, NewJob("unsent", JobSource.UPLOADS, a_model(session)), new_items, POLICY, self.now
            )
        self.jobs.append(job.id)

    @rule(urls=st.lists(st.integers(0, 30), min_size=1, max_size=12), uploads=st.integers(0, 2))
    def submit_urls(self, urls: list[int], uploads: int) -> None:
        """Submit pictures to fetch, together with some uploaded ones."""
        data = b"uploaded"
        uploaded = [NewItem("x.jpg", StoredBlob(self.store.put(data), len(data)))] * uploads
        new_items = [NewItem("x.jpg", None, source_url=f"https://shop.example/{number}.jpg") for number in urls]
        with self.database.writing() as session:
            new = NewJob("urls", JobSource.ITEMS, a_model(session), expires_at=self.now + timedelta(seconds=300))
            job, messages = submitting.create_with_chunks(session, new, uploaded + new_items, POLICY, self.now)
        self.jobs.append(job.id)
        dispatch(self.database, self.broker, messages)

    @rule(worker=st.sampled_from(WORKERS), twice=st.booleans())
    def receive(self, worker: str, twice: bool) -> None:
        """Let a worker receive the next message. With `twice`, a worker can receive it again later."""
        message = self._receive()
        if message is not None:
            self._take(message, worker)
            if twice:
                self.duplicates.append(message)

    @precondition(lambda self: self.duplicates)
    @rule(which=NUMBER, worker=st.sampled_from(WORKERS))
    def receive_again(self, which: int, worker: str) -> None:
        self._take(self.duplicates[which % len(self.duplicates)], worker)

    def _receive(self) -> ChunkMessage | None:
        return next_message(self.redis, Queue.BULK) or next_message(self.redis, Queue.FETCH)

    def _take(self, message: ChunkMessage, worker: str) -> bool:
        with self.database.writing() as session:
            stage = Stage.FETCH if message.queue is Queue.FETCH else Stage.CLASSIFY
            leased = chunks.take(session, message.chunk_id, worker, POLICY, self.now, stage)
            if leased and stage is Stage.FETCH:
                self.to_fetch[message.chunk_id] = list_items_to_fetch(session, message.chunk_id)
        if leased:
            self.held.append((worker, message))
        return leased

    @precondition(lambda self: self.held)
    @rule(which=NUMBER, names=st.lists(st.sampled_from([*OUTCOMES, NOT_STARTED]), min_size=3, max_size=3))
    def finish(self, which: int, names: list[str]) -> None:
        """Record a chunk that a worker holds or held, perhaps long after another worker leased it."""
        _, message = self.held.pop(which % len(self.held))
        self._finish(message, names)

    def _finish(self, message: ChunkMessage, names: list[str]) -> None:
        if message.queue is Queue.FETCH:
            self._record_fetched(message, names)
        else:
            self._record(message, [name for name in names if name in OUTCOMES] or ["good"])

    def _record_fetched(self, message: ChunkMessage, names: list[str]) -> None:
        results: dict[str, StoredBlob | ItemError] = {}
        for number, item in enumerate(self.to_fetch[message.chunk_id]):
            name = names[number % len(names)]
            if name == "bad":
                results[item.id] = FetchTooSlow()
            elif name != NOT_STARTED:
                data = item.url.encode()
                results[item.id] = StoredBlob(self.store.put(data), len(data))
        messages: list[ChunkMessage] = []
        with suppress(LeaseLost), self.database.writing() as session:
            messages = record_fetched(session, message, results, POLICY, self.now).next_chunks
        dispatch(self.database, self.broker, messages)

    def _record(self, message: ChunkMessage, names: list[str]) -> None:
        with self.database.writing() as session:
            work = jobs.read_job_model(session, message.job_id)
            if work is None:
                return
            outcomes: dict[tuple[str, str], Outcome] = {}
            pictures = items.list_pending_pictures(session, message.chunk_id, with_regions=work.takes_regions)
            for number, picture in enumerate(pictures):
                name = names[number % len(names)]
                outcomes[picture] = OUTCOMES[name]
            recorded = record(session, message, work, outcomes, POLICY, self.now)
        dispatch(self.database, self.broker, recorded.next_chunks)

    @precondition(lambda self: self.held)
    @rule(which=NUMBER)
    def crash(self, which: int) -> None:
        self.held.pop(which % len(self.held))

    @rule(times=st.integers(1, 5))
    def every_worker_dies_again_and_again(self, times: int) -> None:
        for _ in range(times):
            while (message := self._receive()) is not None:
                self._take(message, WORKERS[0])
            self.held.clear()
            self.now += POLICY.deadlines.lease
            self.sweeps()

    @precondition(lambda self: self.held)
    @rule(which=NUMBER, store_failed=st.booleans())
    def give_back(self, which: int, store_failed: bool) -> None:
        worker, message = self.held.pop(which % len(self.held))
        with self.database.writing() as session:
            if store_failed:
                CHUNK_LEASES.give_back(session, [message.chunk_id], worker, self.now, "the store is away")
            else:
                CHUNK_LEASES.fail_attempt(session, message.chunk_id, worker, self.now, "a bug")

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def sweeps(self) -> None:
        sweep(self.database, self.broker, POLICY, self._clock)

    @rule()
    def redis_is_emptied(self) -> None:
        self.redis.connection.flushall()

    @precondition(lambda self: self.jobs)
    @rule(which=NUMBER)
    def cancel(self, which: int) -> None:
        self._change(which, lifecycle.request_cancel)

    @precondition(lambda self: self.jobs)
    @rule(which=NUMBER)
    def retry(self, which: int) -> None:
        self._change(which, lifecycle.retry_failed_items)

    @precondition(lambda self: self.jobs)
    @rule(which=NUMBER)
    def delete(self, which: int) -> None:
        self._change(which, lambda _, job, now: lifecycle.mark_job_deleted(job, now))

    @precondition(lambda self: self.jobs)
    @rule(which=NUMBER, verdicts=st.lists(st.sampled_from(VERDICTS), min_size=1, max_size=4))
    def review(self, which: int, verdicts: list[Verdict | None]) -> None:
        def change(session: Session, job: Job, now: datetime) -> None:
            succeeded = select(Item.id).where(Item.job_id == job.id, Item.status == ItemStatus.SUCCEEDED)
            ids = session.scalars(succeeded.order_by(Item.position)).all()
            found = reviewing.read_items(session, job, ids[: len(verdicts)])
            reviewing.change(session, job, list(zip(found.values(), verdicts, strict=False)), None, now)

        self._change(which, change)

    def _change(self, which: int, change: object) -> None:
        assert callable(change)
        job_id = self.jobs[which % len(self.jobs)]
        try:
            with self.database.writing() as session:
                job = lifecycle.lock_job(session, job_id)
                if job is None or job.deleted_at or job.expired(self.now):
                    return
                change(session, job, self.now)
        except (JobFinished, JobNotFinished, NothingToRetry):
            return
        if change is lifecycle.retry_failed_items:
            self.retried[job_id] += 1

    @rule()
    def purges(self) -> None:
        purge(self.database, self.store, self._clock)

    def _clock(self) -> datetime:
        return self.now

    @invariant()
    def what_is_stored_agrees(self) -> None:
        """Check everything with a fixed number of queries, because it is checked after each step."""
        with self.database.reading() as session:
            self._counts_are_those_of_the_items(session)
            self._exactly_the_regions_of_succeeded_items_have_a_prediction_of_their_crop(session)
            self._canceled_jobs_have_no_chunks(session)
            self._items_to_classify_have_their_bytes(session)
            self._an_item_leaves_a_terminal_state_only_by_a_retry(session)

    def _counts_are_those_of_the_items(self, session: Session) -> None:
        """Check the counts of the jobs and their tallies."""
        shown = select(Job).where(Job.id.in_(self.jobs), Job.deleted_at.is_(None), Job.purged_at.is_(None))
        kept = {job.id: job for job in session.scalars(shown)}
        found = session.execute(
            select(Item.job_id, Item.status, func.count())
            .where(Item.job_id.in_(kept))
            .group_by(Item.job_id, Item.status)
        )
        counts = {(job_id, status): count for job_id, status, count in found}
        for job in kept.values():
            for status in ItemStatus:
                assert getattr(job, status.value) == counts.get((job.id, status), 0), (job.id, status)
            assert (job.pending == 0) == (job.status in FINISHED), (job.id, job.status, job.pending)
        assert tallied(session, *kept) == counted(session, *kept)

    def _exactly_the_regions_of_succeeded_items_have_a_prediction_of_their_crop(self, session: Session) -> None:
        rows = session.execute(
            select(
                Item.status,
                Item.blob_sha256,
                ItemRegion.crop_key,
                Prediction.id,
                Prediction.blob_sha256,
                Prediction.crop_key,
            )
            .join(ItemRegion, ItemRegion.item_id == Item.id)
            .outerjoin(Prediction, Prediction.id == ItemRegion.prediction_id)
        )
        for status, sha256, crop_key, prediction, *predicted in rows:
            assert (prediction is not None) == (status == ItemStatus.SUCCEEDED)
            assert prediction is None or predicted == [sha256, crop_key]

    def _canceled_jobs_have_no_chunks(self, session: Session) -> None:
        canceled = select(Job.id).where(Job.status == JobStatus.CANCELED)
        assert session.scalars(select(Chunk.id).where(Chunk.job_id.in_(canceled))).all() == []

    def _items_to_classify_have_their_bytes(self, session: Session) -> None:
        without_bytes = session.scalars(
            select(Item.id)
            .join(Chunk, Chunk.id == Item.chunk_id)
            .where(Chunk.stage == Stage.CLASSIFY, Item.status == ItemStatus.PENDING, Item.blob_sha256.is_(None))
        )
        assert without_bytes.all() == []

    def _an_item_leaves_a_terminal_state_only_by_a_retry(self, session: Session) -> None:
        rows = session.execute(select(Item.id, Item.job_id, Item.status).where(Item.job_id.in_(self.jobs)))
        for item_id, job_id, status in rows:
            before, retries = self.seen.get(item_id, (ItemStatus.PENDING, 0))
            if before in (ItemStatus.SUCCEEDED, ItemStatus.CANCELED):
                assert status == before
            elif before == ItemStatus.FAILED and status != before:
                assert self.retried[job_id] > retries
            self.seen[item_id] = (status, self.retried[job_id])

    def teardown(self) -> None:
        """Check that every job ends once the faults stop, and that no chunk, blob or message is left."""
        for _ in range(60):
            while (message := self._receive()) is not None:
                if self._take(message, WORKERS[0]):
                    self._finish(message, ["good"])
            self.now += POLICY.deadlines.lease
            self.sweeps()
            if not self._pending():
                break
        assert self._pending() == 0
        with self.database.reading() as session:
            assert session.scalars(select(Chunk)).all() == []
            model_errors = session.scalars(
                select(Item.error_detail).where(Item.error_code == ModelFailed.code, Item.status == ItemStatus.FAILED)
            ).all()
            unused_blobs = session.scalar(
                select(func.count())
                .select_from(Blob)
                .where(~select(Item.id).where(Item.blob_sha256 == Blob.sha256).exists())
            )
            keys = session.execute(
                select(Prediction.blob_sha256, Prediction.crop_key, Prediction.model_version_id)
            ).all()
        assert all(detail == "out of luck" or "3 attempts" in str(detail) for detail in model_errors)
        assert len(keys) == len(set(keys))
        assert unused_blobs == 0

    def _pending(self) -> int:
        with self.database.reading() as session:
            return session.scalar(select(func.sum(Job.pending)).where(Job.id.in_(self.jobs))) or 0


# Measuring coverage takes half as long again, and other tests cover every line that this one reaches.
@pytest.mark.no_cover
def test_every_interleaving_keeps_the_counts_and_ends(database: Database, redis: RunningRedis, tmp_path: Path) -> None:
    broker = Broker.connect(Settings(home=tmp_path, redis_url=redis.url))
    machine = type(
        "Interleavings",
        (Interleavings,),
        {"database": database, "broker": broker, "redis": redis, "store": LocalBlobStore(tmp_path / "blobs")},
    )
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=30,
                stateful_step_count=50,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        broker.close()
