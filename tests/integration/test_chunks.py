"""Who has a chunk in hand, and what becomes of it when they do not finish it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from core.clock import utc_now
from core.messages import ChunkMessage, Queue
from db.database import Database
from db.steps import chunks, lifecycle
from db.steps.leasing import CHUNK_LEASES
from db.tables import Chunk, Item
from db.views import items
from tests.integration.builders import LEASE, NOW, POLICY, WORKER, a_job, finish, read_job
from worker.leases import HeldLeases

OTHER = "wrk_2@there-7"
PATIENCE = POLICY.deadlines.lost_message_after


def submit(database: Database, pictures: list[str]) -> tuple[str, list[ChunkMessage]]:
    with database.writing() as session:
        job = a_job(session, pictures)
        return job.id, chunks.claim(session, job, POLICY, NOW)


def take(database: Database, chunk_id: str, worker: str = WORKER, seconds: float = 0) -> bool:
    with database.writing() as session:
        return chunks.take(session, chunk_id, worker, POLICY, NOW + timedelta(seconds=seconds))


def read_chunk(database: Database, chunk_id: str) -> Chunk:
    with database.reading() as session:
        return session.scalars(select(Chunk).where(Chunk.id == chunk_id)).one()


def send_again(database: Database, seconds: float, empty: set[Queue] | None = None) -> list[ChunkMessage]:
    with database.writing() as session:
        return chunks.find_lost_messages(session, empty or set(), POLICY, NOW + timedelta(seconds=seconds))


def test_a_chunk_is_taken_up_once(database: Database) -> None:
    _, messages = submit(database, ["a"])
    assert take(database, messages[0].chunk_id)
    assert not take(database, messages[0].chunk_id, OTHER)
    chunk = read_chunk(database, messages[0].chunk_id)
    assert (chunk.taken_by, chunk.attempts, chunk.due_at) == (WORKER, 1, NOW + LEASE)


def test_a_recorded_chunk_cannot_be_taken_up_again(database: Database) -> None:
    _, messages = submit(database, ["a"])
    finish(database, messages[0])
    assert not take(database, messages[0].chunk_id)


def test_only_who_has_a_chunk_in_hand_renews_its_lease(database: Database) -> None:
    _, messages = submit(database, ["a"])
    take(database, messages[0].chunk_id)
    for worker, seconds in ((OTHER, 0), (WORKER, 20)):
        with database.writing() as session:
            CHUNK_LEASES.renew(session, [messages[0].chunk_id], worker, NOW + timedelta(seconds=20) + LEASE)
        assert read_chunk(database, messages[0].chunk_id).due_at == NOW + LEASE + timedelta(seconds=seconds)


def test_a_message_that_is_not_in_an_empty_queue_is_sent_again_and_costs_no_attempt(database: Database) -> None:
    _, messages = submit(database, ["a"])
    patience = PATIENCE.total_seconds()
    assert send_again(database, patience - 1, {Queue.BULK}) == []
    for step in range(1, 6):
        assert send_again(database, step * patience, {Queue.BULK}) == messages
        assert send_again(database, step * patience, {Queue.BULK}) == []
    assert read_chunk(database, messages[0].chunk_id).attempts == 0


def test_a_message_that_waits_in_a_long_queue_is_not_sent_again_before_a_lease_has_passed(database: Database) -> None:
    _, messages = submit(database, ["a"])
    seconds, sent_at = 0.0, []
    while seconds < 3 * LEASE.total_seconds():
        seconds += PATIENCE.total_seconds()
        if send_again(database, seconds) == messages:
            sent_at.append(seconds)
    assert sent_at == [60, 120, 180]


def test_what_could_not_be_sent_is_sent_by_the_next_round_however_long_the_queue(database: Database) -> None:
    _, messages = submit(database, ["a"])
    with database.writing() as session:
        chunks.mark_unsent(session, NOW, [messages[0].chunk_id])
    assert send_again(database, 0) == messages


def test_a_chunk_in_hand_is_not_sent_again(database: Database) -> None:
    _, messages = submit(database, ["a"])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        chunks.mark_unsent(session, NOW)
    assert send_again(database, 1000, set(Queue)) == []


def test_a_lost_lease_is_found_when_it_ends(database: Database) -> None:
    _, messages = submit(database, ["a"])
    take(database, messages[0].chunk_id)
    with database.reading() as session:
        assert chunks.list_lost_leases(session, NOW + LEASE - timedelta(seconds=1)) == []
        (lost,) = chunks.list_lost_leases(session, NOW + LEASE)
    assert lost.chunk_id == messages[0].chunk_id


def test_leases_of_one_process_end_when_it_is_known_to_be_gone(database: Database) -> None:
    _, messages = submit(database, [str(n) for n in range(8)])
    take(database, messages[0].chunk_id, "wrk_1@here-1")
    take(database, messages[1].chunk_id, "wrk_2@here-11")
    with database.writing() as session:
        CHUNK_LEASES.end_leases(session, NOW, worker="@here-1")
        assert [lost.chunk_id for lost in chunks.list_lost_leases(session, NOW)] == [messages[0].chunk_id]


def test_what_is_handed_back_was_no_attempt_and_waits_until_it_is_due(database: Database) -> None:
    _, messages = submit(database, ["a"])
    for _ in range(5):
        take(database, messages[0].chunk_id)
        with database.writing() as session:
            due_at = NOW + timedelta(seconds=2)
            CHUNK_LEASES.give_back(session, [messages[0].chunk_id], WORKER, due_at, "the store is away")
        assert send_again(database, 1) == []
        assert send_again(database, 2) == messages
    chunk = read_chunk(database, messages[0].chunk_id)
    assert (chunk.attempts, chunk.taken_by, chunk.error) == (0, None, "the store is away")


def test_a_split_chunk_becomes_two_of_half_its_items_that_are_each_tried_once_alone(database: Database) -> None:
    job_id, messages = submit(database, ["a", "b", "c"])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        chunk = CHUNK_LEASES.lock_lost(session, messages[0].chunk_id, NOW + LEASE)
        assert chunk is not None
        item_ids = list(session.scalars(select(Item.id).order_by(Item.position)))
        chunks.split(session, chunk, item_ids, NOW + LEASE)
    halves = send_again(database, LEASE.total_seconds())
    assert all(half.alone for half in halves)
    with database.reading() as session:
        assert [len(items.list_pending_pictures(session, half.chunk_id)) for half in halves] == [1, 2]
    assert not take(database, messages[0].chunk_id)
    for half in halves:
        assert take(database, half.chunk_id)
        finish(database, half)
    assert read_job(database, job_id).succeeded == 3


def test_late_results_of_a_chunk_that_was_split_meanwhile_are_ignored_and_the_halves_count(database: Database) -> None:
    job_id, messages = submit(database, ["a", "b"])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        chunk = CHUNK_LEASES.lock_lost(session, messages[0].chunk_id, NOW + LEASE)
        assert chunk is not None
        chunks.split(session, chunk, list(session.scalars(select(Item.id))), NOW + LEASE)
    assert finish(database, messages[0]).finished_items == 0
    assert read_job(database, job_id).pending == 2


def test_a_job_that_is_to_be_canceled_claims_nothing(database: Database) -> None:
    job_id, messages = submit(database, [str(n) for n in range(20)])
    take(database, messages[0].chunk_id)
    with database.writing() as session:
        job = lifecycle.lock_job(session, job_id)
        assert job is not None
        lifecycle.request_cancel(session, job, NOW)
        assert chunks.claim(session, job, POLICY, NOW) == []
        assert list(chunks.list_jobs_with_room(session, POLICY)) == []


def test_a_worker_renews_what_it_has_in_hand_but_not_what_a_hanging_thread_has(database: Database) -> None:
    _, messages = submit(database, [str(n) for n in range(8)])
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


def test_a_worker_that_stops_gives_back_what_it_has_not_finished_for_others_to_take_at_once(database: Database) -> None:
    job_id, messages = submit(database, [str(n) for n in range(8)])
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
        # It finishes all the same, a moment too late to be needed: that counts once.
        finish(database, messages[0])
    assert finish(database, again).finished_items == 0
    assert read_job(database, job_id).succeeded == 8
