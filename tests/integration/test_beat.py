"""Beat with a real Redis and a clock that the tests set."""

from __future__ import annotations

import base64
import json
import os

import pytest
from typer.testing import CliRunner

from broker.client import Broker
from cli.main import app
from core.messages import Queue
from tests.clocks import ManualClock
from tests.conftest import RunningRedis
from tests.integration.builders import next_raw_message
from worker.maintenance.beat import Beat


def queued_tasks(redis: RunningRedis) -> list[str]:
    """Take all tasks for maintenance workers out of Redis and return their names. No task may expire."""
    tasks = []
    while raw := next_raw_message(redis, Queue.MAINTENANCE):
        message = json.loads(raw)
        assert message["headers"]["expires"] is None
        assert json.loads(base64.b64decode(message["body"]))[0] == []
        tasks.append(message["headers"]["task"])
    return tasks


def test_each_task_is_queued_at_its_own_interval(broker: Broker, redis: RunningRedis) -> None:
    clock = ManualClock(1000.0)
    beat = Beat(broker, {"often": 2.0, "seldom": 60.0}, clock)
    queued = []
    for _ in range(4):
        beat.queue_due_tasks()
        queued.append(queued_tasks(redis))
        clock.now += 1.0
    assert queued == [["often", "seldom"], [], ["often"], []]
    clock.now += 60.0
    beat.queue_due_tasks()
    assert queued_tasks(redis) == ["often", "seldom"]


def test_tasks_do_not_pile_up_without_a_worker_and_are_not_forgotten(broker: Broker, redis: RunningRedis) -> None:
    clock = ManualClock(1000.0)
    beat = Beat(broker, {"often": 2.0}, clock)
    for _ in range(50):
        beat.queue_due_tasks()
        clock.now += 2.0
    assert queued_tasks(redis) == ["often"]
    beat.queue_due_tasks()
    assert queued_tasks(redis) == ["often"]


def test_beat_survives_the_end_of_redis(broker: Broker, redis: RunningRedis) -> None:
    redis.stop()
    Beat(broker, {"often": 2.0}).queue_due_tasks()


def test_the_health_check_of_a_container_sees_whether_its_beat_is_alive(
    broker: Broker, redis: RunningRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_REDIS_URL", redis.url)
    check, host = ["health", "beat"], os.uname().nodename
    redis.connection.set("lookbook:beat:another-host", "")
    before = CliRunner().invoke(app, check)
    assert (before.exit_code, before.output.strip()) == (1, f"no beat runs on {host}")
    Beat(broker, {"often": 2.0}).queue_due_tasks()
    after = CliRunner().invoke(app, check)
    assert (after.exit_code, after.output.strip()) == (0, f"a beat runs on {host}")
    # A beat that hangs or dies removes nothing, so its sign of life ends by itself.
    assert 0 < redis.connection.ttl(f"lookbook:beat:{host}") <= 10
    redis.stop()
    assert CliRunner().invoke(app, check).exit_code == 1
