"""Leases of chunks, and what happens to a chunk whose worker does not finish it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from core.clock import utc_now
from core.messages import ChunkMessage, Queue
from db.database import Database
from db.steps import chunks, lifecycle
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import CHUNK_LEASES
from db.tables import Chunk, Item
from db.views import items
from tests.integration.builders import LEASE, NOW, POLICY, WORKER, a_queued_job, finish, locked_job, read_job
from worker.leases import HeldLeases

OTHER = "wrk_2@there-7"
PATIENCE = POLICY.deadlines.lost_message_after


def take(database: Database, chunk_id: str, worker: str = WORKER, seconds: float = 0) -> bool:
    with database.writing() as session:
        return chunks.take(session, chunk_id, worker, POLICY, NOW + timedelta(seconds=seconds))


def read_chunk(database: Database, chunk_id: str) -> Chunk:
    with database.reading() as session:
        return session.scalars(select(Chunk).where(Chunk.id == chunk_id)).one()


def count_items(database: Database, message: ChunkMessage) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).where(Item.chunk_id == message.chunk_id)) or 0


def find_lost_messages(database: Database, seconds: float, empty: set[Queue] | None = None) -> list[ChunkMessage]:
    with database.writing() as session:
        return chunks.find_lost_messages(session, empty or set(), POLICY, NOW + timedelta(seconds=seconds))


def test_a_chunk_is_leased_once(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    assert take(database, messages[0].chunk_id)
    assert not take(database, messages[0].chunk_id, OTHER)
    chunk = read_chunk(database, messages[0].chunk_id)
    assert (chunk.taken_by, chunk.attempts, chunk.due_at) == (WORKER, 1, NOW + LEASE)


def test_the_chunks_of_a_job_begin_small_and_grow(database: Database) -> None:
    policy = ChunkPolicy(size=128, window=6, deadlines=POLICY.deadlines)
    _, messages = a_queued_job(database, [f"{number}" for number in range(2000)], policy=policy)
    assert [count_items(database, message) for message in messages] == [8, 16, 32, 125, 125, 125]
    (following,) = finish(database, messages[0], policy=policy).next_chunks
    assert count_items(database, following) == 125


def test_a_recorded_chunk_cannot_be_leased_again(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    finish(database, messages[0])
    assert not take(database, messages[0].chunk_id)


def test_only_the_worker_that_holds_a_chunk_renews_its_lease(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    take(database, messages[0].chunk_id)
    for worker, seconds in ((OTHER, 0), (WORKER, 20)):
        with database.writing() as session:
            CHUNK_LEASES.renew(session, [messages[0].chunk_id], worker, NOW + timedelta(seconds=20) + LEASE)
        assert read_chunk(database, messages[0].chunk_id).due_at == NOW + LEASE + timedelta(seconds=seconds)


def test_a_message_missing_from_an_empty_queue_is_sent_again_without_an_attempt(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    patience = PATIENCE.total_seconds()
    assert find_lost_messages(database, patience - 1, {Queue.BULK}) == []
    for step in range(1, 6):
        assert find_lost_messages(database, step * patience, {Queue.BULK}) == messages
        assert find_lost_messages(database, step * patience, {Queue.BULK}) == []
    assert read_chunk(database, messages[0].chunk_id).attempts == 0


def test_a_message_in_a_long_queue_is_sent_again_once_per_lease(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    seconds, sent_at = 0.0, []
    while seconds < 3 * LEASE.total_seconds():
        seconds += PATIENCE.total_seconds()
        if find_lost_messages(database, seconds) == messages:
            sent_at.append(seconds)
    assert sent_at == [60, 120, 180]


def test_an_unsent_message_is_sent_by_the_next_sweep(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    with database.writing() as session:
        chunks.mark_unsent(session, NOW, [messages[0].chunk_id])
    assert find_lost_messages(database, 0) == messages


def test_the_message_of_a_held_chunk_is_not_sent_again(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        chunks.mark_unsent(session, NOW)
    assert find_lost_messages(database, 1000, set(Queue)) == []


def test_a_lease_is_lost_when_it_ends(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    take(database, messages[0].chunk_id)
    with database.reading() as session:
        assert chunks.list_expired_leases(session, NOW + LEASE - timedelta(seconds=1)) == []
        (lost,) = chunks.list_expired_leases(session, NOW + LEASE)
    assert lost.chunk_id == messages[0].chunk_id


def test_the_leases_of_an_ended_process_can_be_ended_at_once(database: Database) -> None:
    _, messages = a_queued_job(database, [str(n) for n in range(8)])
    take(database, messages[0].chunk_id, "wrk_1@here-1")
    take(database, messages[1].chunk_id, "wrk_2@here-11")
    with database.writing() as session:
        CHUNK_LEASES.end_leases(session, NOW, worker="@here-1")
        assert [lost.chunk_id for lost in chunks.list_expired_leases(session, NOW)] == [messages[0].chunk_id]


def test_a_chunk_that_is_given_back_costs_no_attempt_and_waits_until_it_is_due(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    for _ in range(5):
        take(database, messages[0].chunk_id)
        with database.writing() as session:
            due_at = NOW + timedelta(seconds=2)
            CHUNK_LEASES.give_back(session, [messages[0].chunk_id], WORKER, due_at, "the store is away")
        assert find_lost_messages(database, 1) == []
        assert find_lost_messages(database, 2) == messages
    chunk = read_chunk(database, messages[0].chunk_id)
    assert (chunk.attempts, chunk.taken_by, chunk.error) == (0, None, "the store is away")


def test_a_chunk_that_was_sent_or_given_back_while_a_clock_was_ahead_is_sent_again(database: Database) -> None:
    _, messages = a_queued_job(database, ["a"])
    before = -4 * 3600.0
    assert find_lost_messages(database, before) == messages
    assert find_lost_messages(database, before) == []
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        CHUNK_LEASES.give_back(session, [messages[0].chunk_id], WORKER, NOW, "the store is away")
        assert chunks.any_due(session, POLICY, NOW + timedelta(seconds=before))
    assert find_lost_messages(database, before) == messages


def test_a_split_chunk_becomes_two_halves_that_are_processed_alone(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a", "b", "c"])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        chunk = CHUNK_LEASES.lock_lost(session, messages[0].chunk_id, NOW + LEASE)
        assert chunk is not None
        item_ids = list(session.scalars(select(Item.id).order_by(Item.position)))
        chunks.split(session, chunk, item_ids, NOW + LEASE)
    halves = find_lost_messages(database, LEASE.total_seconds())
    assert all(half.alone for half in halves)
    with database.reading() as session:
        assert [len(items.list_pending_pictures(session, half.chunk_id)) for half in halves] == [1, 2]
    assert not take(database, messages[0].chunk_id)
    for half in halves:
        assert take(database, half.chunk_id)
        finish(database, half)
    assert read_job(database, job_id).succeeded == 3


def test_late_predictions_of_a_split_chunk_are_ignored(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a", "b"])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        chunk = CHUNK_LEASES.lock_lost(session, messages[0].chunk_id, NOW + LEASE)
        assert chunk is not None
        chunks.split(session, chunk, list(session.scalars(select(Item.id))), NOW + LEASE)
    assert finish(database, messages[0]).finished_items == 0
    assert read_job(database, job_id).pending == 2


def test_a_canceling_job_claims_no_chunks(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(20)])
    take(database, messages[0].chunk_id)
    with locked_job(database, job_id) as (session, job):
        lifecycle.request_cancel(session, job, NOW)
        assert chunks.claim(session, job, POLICY, NOW) == []
        assert list(chunks.list_jobs_with_room(session, POLICY)) == []


def test_a_worker_renews_held_leases_but_not_those_of_a_hanging_thread(database: Database) -> None:
    _, messages = a_queued_job(database, [str(n) for n in range(8)])
    clock = [0.0]
    leases = HeldLeases(database, WORKER, POLICY, clock=lambda: clock[0])
    for message in messages:
        take(database, message.chunk_id)
    with leases.holding(messages[0].chunk_id):
        clock[0] = POLICY.deadlines.max_hold.total_seconds() + 1
        with leases.holding(messages[1].chunk_id):
            leases.renew()
    assert read_chunk(database, messages[0].chunk_id).due_at == NOW + LEASE
    assert read_chunk(database, messages[1].chunk_id).due_at > utc_now()


def test_a_stopping_worker_gives_back_unfinished_chunks_at_once(database: Database) -> None:
    job_id, messages = a_queued_job(database, [str(n) for n in range(8)])
    leases = HeldLeases(database, WORKER, POLICY)
    for message in messages:
        take(database, message.chunk_id)
    with leases.holding(messages[0].chunk_id):
        with leases.holding(messages[1].chunk_id):
            finish(database, messages[1])
        leases.give_back()
        with database.writing() as session:
            (again,) = chunks.find_lost_messages(session, set(), POLICY, utc_now())
        assert again.chunk_id == messages[0].chunk_id
        assert take(database, again.chunk_id, OTHER)
        chunk = read_chunk(database, again.chunk_id)
        assert (chunk.attempts, chunk.taken_by) == (1, OTHER)
        # The first worker finishes as well, and its late predictions count only once.
        finish(database, messages[0])
    assert finish(database, again).finished_items == 0
    assert read_job(database, job_id).succeeded == 8
