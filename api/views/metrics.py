"""`GET /metrics`: what an operator watches, in Prometheus' words, read when it is asked for.

All processes of the API answer alike, since nothing is counted in them: the database and Redis know.
"""

from __future__ import annotations

from collections.abc import Iterator

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
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
    summary="Gauges of the whole service, as Prometheus reads them",
    description="Needs a key with the scope `admin` once there are keys.",
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
        self._it = services

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("lookbook_up", "Whether a part of the service answers", labels=["part"])
        for part, read, failure in (
            ("database", self._of_database, DBAPIError),
            ("broker", self._of_broker, BrokerUnavailable),
        ):
            try:
                found = list(read())
            except failure:
                up.add_metric([part], 0)
            else:
                up.add_metric([part], 1)
                yield from found
        yield up

    def _of_database(self) -> Iterator[GaugeMetricFamily]:
        with self._it.database.reading() as session:
            now = gauges.read(session, utc_now())
        waiting = jobs.read_backlog(self._it.database)
        kept = GaugeMetricFamily("lookbook_jobs", "Jobs that are kept, by status", labels=["status"])
        for status, count in now.jobs.items():
            kept.add_metric([status.value], count)
        yield kept
        yield GaugeMetricFamily("lookbook_items_pending", "Items not classified yet, of all jobs", waiting.pending)
        yield GaugeMetricFamily("lookbook_items_per_second", "Items done per second, of all jobs", waiting.rate)
        chunks = GaugeMetricFamily("lookbook_chunks", "Chunks under way, by state", labels=["state"])
        chunks.add_metric(["queued"], now.chunks_queued)
        chunks.add_metric(["in_hand"], now.chunks_in_hand)
        yield chunks
        yield GaugeMetricFamily(
            "lookbook_chunk_overdue_seconds",
            "How long the chunk that is due first has waited for the sweeper",
            now.overdue_seconds,
        )

    def _of_broker(self) -> Iterator[GaugeMetricFamily]:
        lengths = self._it.broker.queue_lengths()
        alive = self._it.broker.workers()
        queues = GaugeMetricFamily("lookbook_queue_messages", "Messages that wait for a worker", labels=["queue"])
        workers = GaugeMetricFamily("lookbook_workers", "Workers that serve a queue", labels=["queue"])
        for queue, length in lengths.items():
            queues.add_metric([queue.value], length)
            workers.add_metric([queue.value], sum(queue.value in worker.queues for worker in alive))
        yield queues
        yield workers
