"""The figures of /metrics agree with the database and Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import LookbookApp
from broker.client import Heartbeat
from core.messages import Queue
from core.settings import Settings
from db.steps import chunks
from tests.conftest import RunningRedis
from tests.integration.apps import services_of, serving
from tests.integration.builders import NOW, POLICY, WORKER, a_job


def scraped(app: LookbookApp) -> dict[tuple[str, ...], float]:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain")
    families = text_string_to_metric_families(answer.get_data(as_text=True))
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


@pytest.fixture
def with_redis(settings: Settings, redis: RunningRedis, app: LookbookApp) -> Iterator[LookbookApp]:
    with serving(settings.with_changes(redis_url=redis.url)) as made:
        yield made


def test_metrics_show_waiting_work_and_workers(with_redis: LookbookApp) -> None:
    services = services_of(with_redis)
    with services.database.writing() as session:
        messages = chunks.claim(session, a_job(session, [str(n) for n in range(20)]), POLICY, NOW)
        chunks.take(session, messages[0].chunk_id, WORKER, POLICY, NOW)
    services.broker.send(messages)
    services.broker.send_heartbeat(Heartbeat(WORKER, [Queue.BULK.value], "null", "CPU", "f32", []))
    found = scraped(with_redis)
    assert found["lookbook_jobs", "queued"] == 1
    assert found["lookbook_jobs", "completed"] == 0
    assert found["lookbook_items_pending",] == 20
    assert (found["lookbook_chunks", "in_hand"], found["lookbook_chunks", "queued"]) == (1, len(messages) - 1)
    assert found["lookbook_chunk_overdue_seconds",] > 0
    assert found["lookbook_queue_messages", "bulk"] == len(messages)
    assert (found["lookbook_workers", "bulk"], found["lookbook_workers", "interactive"]) == (1, 0)
    assert (found["lookbook_up", "database"], found["lookbook_up", "broker"]) == (1, 1)


def test_metrics_without_redis_show_the_rest(app: LookbookApp) -> None:
    found = scraped(app)
    assert (found["lookbook_up", "database"], found["lookbook_up", "broker"]) == (1, 0)
    assert found["lookbook_items_pending",] == 0
    assert not any(name == "lookbook_workers" for name, *_ in found)
