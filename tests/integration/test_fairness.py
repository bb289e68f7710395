"""A small job beside a huge one: how long it waits, and how many messages Redis holds meanwhile."""

from __future__ import annotations

from broker.client import Broker
from broker.dispatch import dispatch
from core.messages import Queue
from core.settings import Settings
from db.database import Database
from db.steps import chunks, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.submitting import NewItem, NewJob
from db.tables import JobSource
from tests.conftest import RunningRedis
from tests.integration.builders import NOW, POLICY, WORKER, a_blob, a_model, finish, next_message, read_job

HUGE = 10_000
REAL = ChunkPolicy(size=128, window=8, deadlines=POLICY.deadlines)


def submit(database: Database, broker: Broker, name: str, pictures: int) -> str:
    items = [NewItem("x.jpg", a_blob(f"{name} {n}")) for n in range(pictures)]
    with database.writing() as session:
        new = NewJob(name, JobSource.UPLOADS, a_model(session))
        job, messages = submitting.create_with_chunks(session, new, items, REAL, NOW)
    dispatch(database, broker, messages)
    return job.id


def process_one_message(database: Database, broker: Broker, redis: RunningRedis) -> None:
    """Take one message and record its chunk, as a worker does."""
    message = next_message(redis, Queue.BULK)
    assert message
    with database.writing() as session:
        assert chunks.take(session, message.chunk_id, WORKER, REAL, NOW)
    dispatch(database, broker, finish(database, message, policy=REAL).next_chunks)


def test_a_small_job_waits_only_for_a_few_chunks_of_a_huge_one(
    database: Database, redis: RunningRedis, settings: Settings
) -> None:
    broker = Broker.connect(settings.model_copy(update={"redis_url": redis.url}))
    huge = submit(database, broker, "huge", HUGE)
    for _ in range(20):
        process_one_message(database, broker, redis)
        assert redis.connection.llen(Queue.BULK.value) <= REAL.window
    before = read_job(database, huge).pending
    small = submit(database, broker, "small", 50)
    while read_job(database, small).pending:
        process_one_message(database, broker, redis)
        # One message for each chunk in the huge job's window, and those of the small job with 8, 16 and 26 items.
        assert redis.connection.llen(Queue.BULK.value) <= REAL.window + 3
    broker.close()
    assert before - read_job(database, huge).pending <= (REAL.window + 1) * REAL.size
