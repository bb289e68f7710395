"""`GET /metrics`: gauges for operators in Prometheus' format.

They are read from the database and Redis at each request. All API processes therefore return the same values.
"""

from __future__ import annotations

from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import DBAPIError

from api.answers.spec import METRICS_RESPONSE
from api.services import Services, current_services
from core.clock import utc_now
from core.errors import BrokerUnavailable
from db.views import gauges, jobs

bp = APIBlueprint("metrics", __name__, tag="Health")


@bp.get("/metrics")
@bp.doc(
    summary="Get metrics of the whole service for Prometheus",
    description="Needs a key with the scope `admin` once a key exists.",
    operation_id="get_metrics",
    responses=METRICS_RESPONSE,
)
def get_metrics() -> Response:
    registry = CollectorRegistry()
    registry.register(_Collector(current_services()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Collector:
    """Collects the gauges for one request of Prometheus."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("lookbook_up", "Whether a part of the service answers", labels=["part"])
        for part, read, failure in (
            ("database", self._database_gauges, DBAPIError),
            ("broker", self._broker_gauges, BrokerUnavailable),
        ):
            try:
                families = list(read())
            except failure:
                up.add_metric([part], 0)
            else:
                up.add_metric([part], 1)
                yield from families
        yield up

    def _database_gauges(self) -> Iterator[GaugeMetricFamily]:
        with self._services.database.reading() as session:
            now = gauges.read(session, utc_now())
        waiting = jobs.read_backlog(self._services.database)
        kept = GaugeMetricFamily("lookbook_jobs", "Stored jobs, by status", labels=["status"])
        for status, count in now.jobs.items():
            kept.add_metric([status.value], count)
        yield kept
        yield GaugeMetricFamily("lookbook_items_pending", "Pending items of all jobs", waiting.pending)
        yield GaugeMetricFamily("lookbook_items_per_second", "Items classified per second", waiting.rate)
        chunks = GaugeMetricFamily("lookbook_chunks", "Unfinished chunks, by state", labels=["state"])
        chunks.add_metric(["queued"], now.chunks_queued)
        chunks.add_metric(["in_hand"], now.chunks_leased)
        yield chunks
        yield GaugeMetricFamily(
            "lookbook_chunk_overdue_seconds",
            "Seconds by which the most overdue chunk has waited for the sweeper",
            now.overdue_seconds,
        )

    def _broker_gauges(self) -> Iterator[Metric]:
        lengths = self._services.broker.queue_lengths()
        alive = self._services.broker.list_live_workers()
        queues = GaugeMetricFamily("lookbook_queue_messages", "Messages waiting for a worker", labels=["queue"])
        workers = GaugeMetricFamily("lookbook_workers", "Workers that serve a queue", labels=["queue"])
        for queue, length in lengths.items():
            queues.add_metric([queue.value], length)
            workers.add_metric([queue.value], sum(queue.value in worker.queues for worker in alive))
        yield queues
        yield workers
        yield CounterMetricFamily(
            "lookbook_dead_letters",
            "Malformed messages that workers have set aside",
            self._services.broker.count_dead_letters(),
        )
