"""A maintenance worker ends the leases of a dead worker early, and no lease of a worker that shows a sign of life."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from broker.client import Broker, Heartbeat
from core.clock import utc_now
from core.settings import Settings
from db.database import Database
from db.steps import chunks, discoveries, expanding
from db.steps.leasing import CHUNK_LEASES
from db.tables import Chunk
from tests.conftest import RunningRedis
from tests.faults.proxy import Cut, Proxies
from tests.integration.builders import LEASE, NOW, POLICY, WORKER, a_queued_job, finish, read_job
from tests.integration.reading import Place
from worker.maintenance.lease_watch import LeaseWatch
from worker.maintenance.sweeper import sweep

OTHER = "wrk_2@there-7"
SILENCE = POLICY.deadlines.silence.total_seconds()


class Watched:
    """An installation whose monotonic clock a test moves."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self.database, self.broker = database, broker
        self.seconds = 1000.0
        self.watch = LeaseWatch(database, broker, POLICY, lambda: self.seconds, lambda: NOW)

    def look_for(self, seconds: float) -> int:
        """Look every second for some seconds, and return how many leases were ended."""
        ended = self.watch.look()
        for _ in range(int(seconds)):
            self.seconds += 1
            ended += self.watch.look()
        return ended

    def take(self, chunk_id: str, worker: str = WORKER) -> bool:
        with self.database.writing() as session:
            return chunks.take(session, chunk_id, worker, POLICY, NOW)

    def renew(self, chunk_id: str) -> None:
        with self.database.writing() as session:
            until = NOW + LEASE + timedelta(seconds=self.seconds)
            CHUNK_LEASES.renew(session, [chunk_id], WORKER, until)

    def beat(self, worker: str = WORKER) -> None:
        self.broker.send_heartbeat(Heartbeat(worker, ["bulk"], "null", "CPU", "f32", []))


@pytest.fixture
def watched(database: Database, redis: RunningRedis, settings: Settings) -> Watched:
    return Watched(database, Broker.connect(settings.with_changes(redis_url=redis.url)))


def test_a_dead_workers_chunk_is_taken_up_by_another_one_long_before_its_lease_would_end(watched: Watched) -> None:
    job_id, (message,) = a_queued_job(watched.database, ["a"])
    assert watched.take(message.chunk_id)
    assert watched.look_for(SILENCE - 1) == 0
    assert watched.look_for(1) == 1
    sweep(watched.database, watched.broker, POLICY, lambda: NOW)
    assert watched.take(message.chunk_id, OTHER)
    finish(watched.database, message)
    assert read_job(watched.database, job_id).succeeded == 1


def test_a_paused_worker_that_wakes_after_its_chunk_was_taken_up_again_holds_nothing(watched: Watched) -> None:
    _, (message,) = a_queued_job(watched.database, ["a"])
    watched.take(message.chunk_id)
    watched.look_for(SILENCE)
    sweep(watched.database, watched.broker, POLICY, lambda: NOW)
    watched.take(message.chunk_id, OTHER)
    watched.renew(message.chunk_id)
    with watched.database.reading() as session:
        chunk = session.scalars(select(Chunk)).one()
    assert (chunk.taken_by, chunk.attempts, chunk.due_at) == (OTHER, 2, NOW + LEASE)
    # Both finish: the first one records the chunk, and the second one changes nothing.
    assert finish(watched.database, message).finished_items == 1
    assert finish(watched.database, message).finished_items == 0


def test_a_worker_that_reaches_only_the_database_keeps_its_leases(watched: Watched) -> None:
    _, (message,) = a_queued_job(watched.database, ["a"])
    watched.take(message.chunk_id)
    for _ in range(5):
        assert watched.look_for(SILENCE - 1) == 0
        watched.renew(message.chunk_id)


def test_a_worker_that_reaches_only_redis_keeps_its_leases(watched: Watched) -> None:
    _, (message,) = a_queued_job(watched.database, ["a"])
    watched.take(message.chunk_id)
    watched.beat()
    watched.beat(OTHER)
    assert watched.look_for(3 * SILENCE) == 0


def test_a_worker_whose_chunk_is_at_its_last_attempt_keeps_it_until_the_lease_ends(watched: Watched) -> None:
    _, (message,) = a_queued_job(watched.database, ["a"])
    with watched.database.writing() as session:
        session.scalars(select(Chunk)).one().attempts = chunks.MAX_ATTEMPTS - 1
    watched.take(message.chunk_id)
    assert watched.look_for(3 * SILENCE) == 0


def test_a_watch_that_was_paused_gives_every_worker_time_to_show_a_sign_of_life(watched: Watched) -> None:
    _, (message,) = a_queued_job(watched.database, ["a"])
    watched.take(message.chunk_id)
    watched.look_for(SILENCE - 1)
    watched.seconds += 60
    assert watched.watch.look() == 0
    assert watched.look_for(SILENCE - 1) == 0
    assert watched.look_for(1) == 1


def test_a_watch_that_was_cut_off_from_redis_gives_every_worker_time_to_show_a_sign_of_life(
    database: Database, redis: RunningRedis, settings: Settings
) -> None:
    proxies = Proxies()
    wire = proxies.open(Path(redis.url.removeprefix("unix://")))
    try:
        broker = Broker.connect(settings.with_changes(redis_url=f"redis://127.0.0.1:{wire.port}/0"))
        watched = Watched(database, broker)
        _, (message,) = a_queued_job(database, ["a"])
        watched.take(message.chunk_id)
        wire.cut(Cut.REFUSED)
        assert watched.look_for(2 * SILENCE) == 0
        wire.heal()
        assert watched.look_for(SILENCE - 1) == 0
    finally:
        proxies.close()


def test_a_dead_workers_source_is_taken_up_by_another_one_long_before_its_lease_would_end(
    watched: Watched, settings: Settings
) -> None:
    place = Place(watched.database, settings, watched.broker)
    place.submit(b"PK")
    with watched.database.writing() as session:
        taken = expanding.take(session, WORKER, POLICY, utc_now())
    assert taken is not None
    assert watched.look_for(SILENCE) == 1
    place.sweep()
    with watched.database.writing() as session:
        again = expanding.take(session, OTHER, POLICY, utc_now())
        assert again is not None
        # The first worker wakes: it holds the source no longer.
        assert not discoveries.renew(session, taken, POLICY, utc_now())
    assert (again.job_id, again.worker) == (taken.job_id, OTHER)
