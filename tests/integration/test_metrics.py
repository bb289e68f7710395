"""The figures of /metrics agree with the database and Redis, and sum what all processes have counted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from api.app import LookbookApp
from broker.client import Broker, Heartbeat
from broker.metrics import MetricsSender, read_sums
from core import metrics
from core.clock import utc_now
from core.item_errors import ModelFailed
from core.messages import Queue
from core.settings import Settings
from db.database import Database
from db.steps import chunks, lifecycle
from db.tables import Priority
from db.views import gauges, items
from tests.conftest import RunningRedis, skip_without
from tests.integration.apps import services_of, serving
from tests.integration.builders import FAILED, NOW, POLICY, WORKER, a_job, a_queued_job, finish, record_chunk, scored


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
    assert (found["lookbook_items_pending", "normal"], found["lookbook_items_pending", "low"]) == (20, 0)
    assert found["lookbook_oldest_pending_seconds", "normal"] == pytest.approx(
        (utc_now() - NOW).total_seconds(), abs=60
    )
    assert found["lookbook_oldest_pending_seconds", "interactive"] == 0
    assert found["lookbook_model_info", "production", "test@1"] == 1
    assert (found["lookbook_chunks", "in_hand"], found["lookbook_chunks", "queued"]) == (1, len(messages) - 1)
    assert found["lookbook_chunk_overdue_seconds",] > 0
    assert found["lookbook_queue_messages", "bulk"] == len(messages)
    assert (found["lookbook_workers", "bulk"], found["lookbook_workers", "interactive"]) == (1, 0)
    assert (found["lookbook_up", "database"], found["lookbook_up", "broker"]) == (1, 1)


def test_metrics_without_redis_show_the_rest(app: LookbookApp) -> None:
    found = scraped(app)
    assert (found["lookbook_up", "database"], found["lookbook_up", "broker"]) == (1, 0)
    assert found["lookbook_items_pending", "normal"] == 0
    assert not any(name == "lookbook_workers" for name, *_ in found)


class Process:
    """A process with metrics of its own: it counts, sends, and may end."""

    def __init__(self, broker: Broker) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("test_requests_total", "text", ["code"], registry=self.registry)
        self.seconds = Histogram("test_seconds", "text", buckets=(1, 10), registry=self.registry)
        self.sender = MetricsSender(broker, "api", self.registry, "test")


def sums(broker: Broker) -> dict[tuple[str, ...], float]:
    families = read_sums(broker, Process(broker).registry, "test")
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_the_sums_of_all_processes_outlive_them(broker: Broker) -> None:
    first, second = Process(broker), Process(broker)
    for process, seconds in ((first, 0.5), (second, 5.0)):
        process.requests.labels("200").inc(2)
        process.seconds.observe(seconds)
        process.sender.send()
    second.requests.labels("500").inc()
    second.sender.stop()
    # Nothing that was sent is sent again.
    first.sender.send()
    found = sums(broker)
    assert (found["test_requests_total", "200"], found["test_requests_total", "500"]) == (4, 1)
    buckets = [found["test_seconds_bucket", limit] for limit in ("1.0", "10.0", "+Inf")]
    assert (buckets, found["test_seconds_sum",], found["test_seconds_count",]) == ([1, 2, 2], 5.5, 2)
    started_again = Process(broker)
    started_again.requests.labels("200").inc()
    started_again.sender.send()
    assert sums(broker)["test_requests_total", "200"] == 5


def test_what_is_counted_while_redis_is_away_is_sent_later(settings: Settings, redis: RunningRedis) -> None:
    away, there = Broker.connect(settings), Broker.connect(settings.with_changes(redis_url=redis.url))
    process = Process(there)
    process.sender._broker = away
    process.requests.labels("200").inc(3)
    process.sender.send()
    assert ("test_requests_total", "200") not in sums(there)
    process.sender._broker = there
    process.sender.send()
    assert sums(there)["test_requests_total", "200"] == 3
    away.close()
    there.close()


def test_a_version_with_other_metrics_does_not_continue_the_sums(broker: Broker) -> None:
    old = Process(broker)
    old.seconds.observe(0.5)
    old.sender.send()
    found = read_sums(broker, old.registry, "another version")
    assert {sample.value for family in found for sample in family.samples} == {0}


def test_metrics_are_well_formed_for_promtool(with_redis: LookbookApp) -> None:
    MetricsSender(services_of(with_redis).broker, "worker").send()
    promtool = shutil.which("promtool")
    if promtool is None:
        skip_without("promtool")
    text = with_redis.test_client().get("/metrics").get_data(as_text=True)
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert 'lookbook_process_starts_total{process="worker"} ' in text


def test_the_oldest_item_of_a_retried_job_waits_since_the_retry(database: Database) -> None:
    job_id, messages = a_queued_job(database, ["a"])
    finish(database, messages[0], FAILED, NOW + timedelta(seconds=5))
    retried_at = NOW + timedelta(days=3)
    with database.writing() as session:
        job = lifecycle.lock_job(session, job_id)
        assert job is not None
        # The run lasted a moment.
        job.run_seconds = job.run_seconds or 0.1
        lifecycle.retry_failed_items(session, job, retried_at)
    with database.reading() as session:
        waiting = gauges.read(session, retried_at + timedelta(seconds=7)).waiting[Priority.NORMAL]
    assert (waiting.items, waiting.seconds) == (1, 7.0)


def counted(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_outcomes_are_counted_when_they_are_committed(database: Database) -> None:
    def read() -> list[float]:
        return [
            counted("lookbook_items_total", outcome="succeeded"),
            counted("lookbook_items_total", outcome="failed"),
            counted("lookbook_item_errors_total", code=ModelFailed.code),
            counted("lookbook_prediction_latency_seconds_count", priority="normal"),
            counted("lookbook_prediction_latency_seconds_sum", priority="normal"),
        ]

    before = read()
    _, messages = a_queued_job(database, ["a", "b", "c"])
    first = next(iter(messages))
    with database.reading() as session:
        pictures = items.list_pending_pictures(session, first.chunk_id)
    outcomes = dict(zip(pictures, [scored(), scored(), FAILED], strict=False))

    def record_and_fail() -> None:
        with database.writing() as session:
            record_chunk(session, first, outcomes, NOW + timedelta(seconds=4))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        record_and_fail()
    assert read() == before
    with database.writing() as session:
        record_chunk(session, first, outcomes, NOW + timedelta(seconds=4))
    done = len(pictures)
    failed = sum(outcome is FAILED for outcome in outcomes.values())
    expected = [done - failed, failed, failed, done - failed, 4.0 * (done - failed)]
    assert [after - earlier for after, earlier in zip(read(), before, strict=True)] == pytest.approx(expected)
