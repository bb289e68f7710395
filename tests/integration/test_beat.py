"""Beat on a real Redis, its clock in the tests' hands."""

from __future__ import annotations

import base64
import json

from broker.client import Broker
from core.messages import Queue
from tests.conftest import RunningRedis
from tests.integration.builders import next_raw_message
from worker.maintenance.beat import Beat


class Clock:
    """Seconds as the tests say."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(redis: RunningRedis) -> list[str]:
    """The tasks that wait for a maintenance worker, taken out; none may expire."""
    tasks = []
    while raw := next_raw_message(redis, Queue.MAINTENANCE):
        message = json.loads(raw)
        assert message["headers"]["expires"] is None
        assert json.loads(base64.b64decode(message["body"]))[0] == []
        tasks.append(message["headers"]["task"])
    return tasks


def test_each_task_is_asked_for_at_its_own_intervals(broker: Broker, redis: RunningRedis) -> None:
    clock = Clock()
    beat = Beat(broker, {"often": 2.0, "seldom": 60.0}, clock)
    asked = []
    for _ in range(4):
        beat.queue_due_tasks()
        asked.append(taken(redis))
        clock.now += 1.0
    assert asked == [["often", "seldom"], [], ["often"], []]
    clock.now += 60.0
    beat.queue_due_tasks()
    assert taken(redis) == ["often", "seldom"]


def test_without_a_worker_the_tasks_do_not_pile_up_and_none_is_forgotten(broker: Broker, redis: RunningRedis) -> None:
    clock = Clock()
    beat = Beat(broker, {"often": 2.0}, clock)
    for _ in range(50):
        beat.queue_due_tasks()
        clock.now += 2.0
    assert taken(redis) == ["often"]
    beat.queue_due_tasks()
    assert taken(redis) == ["often"]


def test_beat_outlives_redis(broker: Broker, redis: RunningRedis) -> None:
    redis.stop()
    Beat(broker, {"often": 2.0}).queue_due_tasks()
