from __future__ import annotations

import pytest

from broker.client import Broker
from core.messages import ChunkMessage, Queue
from tests.conftest import RunningRedis
from worker.health.consumers import STALLED_CHECKS, ConsumerWatch


@pytest.fixture
def consumer_watch(broker: Broker) -> ConsumerWatch:
    return ConsumerWatch(broker, [[Queue.BULK, Queue.LOW], [Queue.INTERACTIVE]])


def check_repeatedly(consumer_watch: ConsumerWatch) -> list[bool]:
    return [consumer_watch.check_stalled() for _ in range(STALLED_CHECKS)]


def test_a_consumer_with_nothing_to_receive_is_not_stalled(consumer_watch: ConsumerWatch) -> None:
    assert not any(check_repeatedly(consumer_watch) + check_repeatedly(consumer_watch))


@pytest.mark.parametrize("queue", [Queue.LOW, Queue.INTERACTIVE])
def test_a_consumer_that_has_nothing_to_do_and_does_not_receive_waiting_messages_is_stalled(
    broker: Broker, consumer_watch: ConsumerWatch, queue: Queue
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", queue)])
    assert check_repeatedly(consumer_watch) == [False] * (STALLED_CHECKS - 1) + [True]


def test_a_busy_consumer_is_not_stalled_and_one_that_has_finished_is(
    broker: Broker, consumer_watch: ConsumerWatch
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    consumer_watch.started(Queue.BULK)
    assert not any(check_repeatedly(consumer_watch) + check_repeatedly(consumer_watch))
    consumer_watch.finished(Queue.BULK)
    assert check_repeatedly(consumer_watch)[-1]


def test_a_consumer_that_receives_while_messages_wait_is_not_stalled(
    broker: Broker, consumer_watch: ConsumerWatch
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    for _ in range(3 * STALLED_CHECKS):
        consumer_watch.received(Queue.BULK)
        consumer_watch.started(Queue.BULK)
        consumer_watch.finished(Queue.BULK)
        assert not consumer_watch.check_stalled()


def test_no_consumer_counts_as_stalled_while_redis_is_unavailable(
    broker: Broker, consumer_watch: ConsumerWatch, redis: RunningRedis
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    redis.stop()
    assert not any(check_repeatedly(consumer_watch) + check_repeatedly(consumer_watch))
