from __future__ import annotations

import pytest

from broker.client import Broker
from core.messages import ChunkMessage, Queue
from tests.conftest import RunningRedis
from worker.health.consumers import SILENT_LOOKS, ConsumerWatch


@pytest.fixture
def consumer_watch(broker: Broker) -> ConsumerWatch:
    return ConsumerWatch(broker, [[Queue.BULK, Queue.LOW], [Queue.INTERACTIVE]])


def looks(consumer_watch: ConsumerWatch) -> list[bool]:
    return [consumer_watch.look() for _ in range(SILENT_LOOKS)]


def test_a_consumer_with_nothing_to_receive_is_not_deaf(consumer_watch: ConsumerWatch) -> None:
    assert not any(looks(consumer_watch) + looks(consumer_watch))


@pytest.mark.parametrize("queue", [Queue.LOW, Queue.INTERACTIVE])
def test_a_consumer_that_has_nothing_to_do_and_does_not_receive_what_waits_is_deaf(
    broker: Broker, consumer_watch: ConsumerWatch, queue: Queue
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", queue)])
    assert looks(consumer_watch) == [False] * (SILENT_LOOKS - 1) + [True]


def test_a_busy_consumer_is_not_deaf_and_one_that_has_finished_is(
    broker: Broker, consumer_watch: ConsumerWatch
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    consumer_watch.started(Queue.BULK)
    assert not any(looks(consumer_watch) + looks(consumer_watch))
    consumer_watch.finished(Queue.BULK)
    assert looks(consumer_watch)[-1]


def test_a_consumer_that_receives_while_messages_wait_is_not_deaf(
    broker: Broker, consumer_watch: ConsumerWatch
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    for _ in range(3 * SILENT_LOOKS):
        consumer_watch.received(Queue.BULK)
        consumer_watch.started(Queue.BULK)
        consumer_watch.finished(Queue.BULK)
        assert not consumer_watch.look()


def test_a_redis_that_is_away_makes_nobody_deaf(
    broker: Broker, consumer_watch: ConsumerWatch, redis: RunningRedis
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    redis.stop()
    assert not any(looks(consumer_watch) + looks(consumer_watch))
