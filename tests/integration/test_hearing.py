from __future__ import annotations

import pytest

from broker.client import Broker
from core.messages import ChunkMessage, Queue
from tests.conftest import RunningRedis
from worker.health.consumers import SILENT_LOOKS, Hearing


@pytest.fixture
def hearing(broker: Broker) -> Hearing:
    return Hearing(broker, [[Queue.BULK, Queue.LOW], [Queue.INTERACTIVE]])


def looks(hearing: Hearing) -> list[bool]:
    return [hearing.look() for _ in range(SILENT_LOOKS)]


def test_a_consumer_with_nothing_to_receive_is_not_deaf(hearing: Hearing) -> None:
    assert not any(looks(hearing) + looks(hearing))


@pytest.mark.parametrize("queue", [Queue.LOW, Queue.INTERACTIVE])
def test_a_consumer_that_has_nothing_to_do_and_does_not_receive_what_waits_is_deaf(
    broker: Broker, hearing: Hearing, queue: Queue
) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", queue)])
    assert looks(hearing) == [False] * (SILENT_LOOKS - 1) + [True]


def test_a_busy_consumer_is_not_deaf_and_one_that_has_finished_is(broker: Broker, hearing: Hearing) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    hearing.started(Queue.BULK)
    assert not any(looks(hearing) + looks(hearing))
    hearing.finished(Queue.BULK)
    assert looks(hearing)[-1]


def test_a_consumer_that_receives_while_messages_wait_is_not_deaf(broker: Broker, hearing: Hearing) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    for _ in range(3 * SILENT_LOOKS):
        hearing.received(Queue.BULK)
        hearing.started(Queue.BULK)
        hearing.finished(Queue.BULK)
        assert not hearing.look()


def test_a_redis_that_is_away_makes_nobody_deaf(broker: Broker, hearing: Hearing, redis: RunningRedis) -> None:
    broker.send([ChunkMessage("chk_1", "job_1", Queue.BULK)])
    redis.stop()
    assert not any(looks(hearing) + looks(hearing))
