"""`GET /metrics`: the metrics of the whole service in Prometheus' format.

They are read from the database and Redis at each request, also the counters (broker/metrics.py). All API processes
therefore return the same values, and Prometheus needs to ask only one of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import version

from apiflask import APIBlueprint
from flask import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from api.answers.spec import METRICS_RESPONSE
from api.services import Services, current_services
from broker.metrics import read_sums
from core.clock import utc_now
from core.errors import BrokerUnavailable
from db import model_versions
from db.views import drift, gauges, jobs

bp = APIBlueprint("metrics", __name__, tag="Health")

DRIFT_DAYS = 7
"""Days of jobs that the drift of the model covers."""


@bp.get("/metrics")
@bp.doc(
    summary="Get metrics of the whole service for Prometheus",
    description="Needs a key with the scope `metrics` or `admin` once a key exists.",
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
            ("broker", self._broker_metrics, BrokerUnavailable),
        ):
            try:
                families = list(read())
            except failure:
                up.add_metric([part], 0)
            else:
                up.add_metric([part], 1)
                yield from families
        yield up
        yield _info("lookbook_build_info", "The version of the API", version=version("lookbook"))
        yield GaugeMetricFamily(
            "lookbook_disk_free_bytes",
            "Free bytes on the disk of the API's data folder",
            shutil.disk_usage(self._services.settings.home).free,
        )

    def _database_gauges(self) -> Iterator[GaugeMetricFamily]:
        with self._services.database.reading() as session:
            now = gauges.read(session, utc_now())
            aliases = model_versions.list_aliases(session)
            drifted = _drift(session) if model_versions.PRODUCTION in aliases else {}
        rate = jobs.read_backlog(self._services.database).rate
        kept = GaugeMetricFamily("lookbook_jobs", "Stored jobs, by status", labels=["status"])
        for status, count in now.jobs.items():
            kept.add_metric([status.value], count)
        yield kept
        crawls = GaugeMetricFamily("lookbook_crawls", "Stored crawls, by status", labels=["status"])
        for status, count in now.crawls.items():
            crawls.add_metric([status.value], count)
        yield crawls
        pending = GaugeMetricFamily("lookbook_items_pending", "Pending items, by priority", labels=["priority"])
        oldest = GaugeMetricFamily(
            "lookbook_oldest_pending_seconds",
            "Time for which the oldest pending item has waited, by priority",
            labels=["priority"],
        )
        for priority, waiting in now.waiting.items():
            pending.add_metric([priority.value], waiting.items)
            oldest.add_metric([priority.value], waiting.seconds)
        yield pending
        yield oldest
        versions = GaugeMetricFamily(
            "lookbook_model_info", "The model version of an alias, always 1", labels=["alias", "model"]
        )
        for alias, ref in aliases.items():
            versions.add_metric([alias, ref], 1)
        yield versions
        indices = GaugeMetricFamily(
            "lookbook_drift_index",
            f"Population stability index of the last {DRIFT_DAYS} days of the production model against its validation",
            labels=["of"],
        )
        for of, index in drifted.items():
            indices.add_metric([of], index)
        yield indices
        yield GaugeMetricFamily("lookbook_items_per_second", "Items classified per second", rate)
        chunks = GaugeMetricFamily("lookbook_chunks", "Unfinished chunks, by state", labels=["state"])
        chunks.add_metric(["queued"], now.chunks_queued)
        chunks.add_metric(["in_hand"], now.chunks_leased)
        yield chunks
        yield GaugeMetricFamily(
            "lookbook_chunk_overdue_seconds",
            "Seconds by which the most overdue chunk has waited for the sweeper",
            now.overdue_seconds,
        )

    def _broker_metrics(self) -> Iterator[Metric]:
        lengths = self._services.broker.queue_lengths()
        alive = self._services.broker.list_live_workers()
        queues = GaugeMetricFamily("lookbook_queue_messages", "Messages waiting for a worker", labels=["queue"])
        workers = GaugeMetricFamily("lookbook_workers", "Workers that serve a queue", labels=["queue"])
        for queue, length in lengths.items():
            queues.add_metric([queue.value], length)
            workers.add_metric([queue.value], sum(queue.value in worker.queues for worker in alive))
        yield queues
        yield workers
        yield GaugeMetricFamily(
            "lookbook_device_workers",
            "Workers that have a model on a device",
            sum(bool(worker.models) for worker in alive),
        )
        yield GaugeMetricFamily(
            "lookbook_model_load_failures",
            "Workers that could not load a model version",
            sum(bool(worker.not_loaded) for worker in alive),
        )
        yield GaugeMetricFamily(
            "lookbook_beats", "Hosts on which beat runs", len(self._services.broker.list_live_beats())
        )
        yield from read_sums(self._services.broker)
        yield CounterMetricFamily(
            "lookbook_dead_letters",
            "Malformed messages that workers have set aside",
            self._services.broker.count_dead_letters(),
        )


def _drift(session: Session) -> dict[str, float]:
    """Return the indices that are known, by what they compare."""
    row = drift.of_last_days(session, model_versions.resolve(session, model_versions.PRODUCTION), DRIFT_DAYS, utc_now())
    found = {"labels": row.label_index, "confidences": row.confidence_index}
    return {of: index for of, index in found.items() if index is not None}


def _info(name: str, text: str, **labels: str) -> Metric:
    family = GaugeMetricFamily(name, f"{text}, always 1", labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family
