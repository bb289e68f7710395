"""The counters and histograms of all processes, in one place. docs/operations.md describes them.

Each process counts in its own memory. `broker.metrics` sends what was added to Redis every few seconds, and
`GET /metrics` shows the sums. Names, labels and units follow Prometheus' conventions. No label has values that clients
choose, because every new value costs memory forever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
_definitions: list[str] = []

_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


def _counter(name: str, text: str, *labels: str) -> Counter:
    _definitions.append(f"{name} {labels}")
    return Counter(f"lookbook_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, *labels: str, buckets: tuple[float, ...] = _SHORT) -> Histogram:
    _definitions.append(f"{name} {labels} {buckets}")
    return Histogram(f"lookbook_{name}", text, labels, buckets=buckets, registry=REGISTRY)


# Every process.
PROCESS_STARTS = _counter("process_starts_total", "Starts of processes, by kind", "process")
PROCESS_CPU = _counter("process_cpu_seconds_total", "Processor time of processes, by kind", "process")

# The API.
REQUESTS = _counter("http_requests_total", "Answered requests", "method", "route", "code")
REQUEST_SECONDS = _histogram(
    "http_request_seconds",
    "Time from a request's head to the end of its answer, with the waiting that Prefer asks for",
    "method",
    "route",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

# Items.
ITEMS = _counter("items_total", "Items that were classified or failed", "outcome")
ITEMS_REUSED = _counter("items_reused_total", "Succeeded items whose prediction existed before")
ITEM_ERRORS = _counter("item_errors_total", "Failed items, by error code", "code")
PREDICTION_LATENCY = _histogram(
    "prediction_latency_seconds",
    "Time from the submission of an item, or from its retry, to its recorded prediction",
    "priority",
    buckets=_LONG,
)

# The stages of a chunk.
CHUNK_SECONDS = _histogram("chunk_seconds", "Time for which a worker worked on a chunk", "stage", buckets=_LONG)
RECORD_SECONDS = _histogram("record_seconds", "Time of the transaction that records outcomes", "stage")
DECODE_SECONDS = _histogram("decode_seconds", "Time of a decoder for up to 8 pictures that it decodes in one call")
DECODED_PICTURES = _counter("decoded_pictures_total", "Pictures that decoders answered, also if they cannot be decoded")
DECODER_DEATHS = _counter("decoder_deaths_total", "Decoder processes that died or were killed during a call")
BATCH_WAIT_SECONDS = _histogram("batch_wait_seconds", "Time for which the oldest picture of a batch waited for it")
BATCH_PICTURES = _histogram(
    "batch_pictures", "Pictures in a batch", buckets=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
)
INFERENCE_SECONDS = _histogram("inference_seconds", "Time of the device for a batch")
DEVICE_BUSY = _counter("device_busy_seconds_total", "Time during which a device predicted at least one batch")
ATTEMPTS_ENDED = _counter("attempts_ended_total", "Attempts that ended before their chunk was recorded")

# Other servers.
FETCHES = _counter("fetches_total", "Requests for pictures by URL: ok, or an error code", "outcome")
FETCH_SECONDS = _histogram("fetch_seconds", "Time of a request for a picture by URL")
WEBHOOK_ATTEMPTS = _counter("webhook_attempts_total", "Attempts to deliver a webhook, by what becomes of it", "outcome")
CRAWL_URLS = _counter("crawl_urls_total", "URLs that crawls have settled", "kind", "state")

# Tasks.
TASKS = _counter("tasks_total", "Celery tasks that ended", "task", "outcome")
TASK_SECONDS = _histogram("task_seconds", "Time of Celery tasks", "task", buckets=_LONG)
TASKS_QUEUED = _counter("tasks_queued_total", "Tasks that beat has queued", "task")

LAYOUT = hashlib.sha256("\n".join(_definitions).encode()).hexdigest()[:12]
"""Names the metrics of this version. Sums of buckets with other limits cannot be continued."""

PRIORITIES = ("interactive", "normal", "low")

# `rate` needs the zero before the first event, so the usual label values exist from the start.
for _priority in PRIORITIES:
    PREDICTION_LATENCY.labels(_priority)
for _outcome in ("succeeded", "failed"):
    ITEMS.labels(_outcome)
for _stage in ("fetch", "classify"):
    CHUNK_SECONDS.labels(_stage)
    RECORD_SECONDS.labels(_stage)
FETCHES.labels("ok")
for _kind in ("page", "picture"):
    for _state in ("done", "failed"):
        CRAWL_URLS.labels(_kind, _state)
for _outcome in ("delivered", "pending", "failed", "disabled"):
    WEBHOOK_ATTEMPTS.labels(_outcome)


def count_request(method: str | None, route: str | None, status: int, seconds: float) -> None:
    """Count an answered request. `route` is the template of its path. None: no route matches the path."""
    known_method, known_route = method if method in _METHODS else "other", route or "other"
    REQUESTS.labels(known_method, known_route, str(status)).inc()
    REQUEST_SECONDS.labels(known_method, known_route).observe(seconds)


def observe_items(priority: str, seconds: float, count: int) -> None:
    """Observe the latency of `count` items that were submitted together."""
    observed = PREDICTION_LATENCY.labels(priority)
    for _ in range(count):
        observed.observe(seconds)


@contextmanager
def timed(histogram: Histogram) -> Iterator[None]:
    """Observe for how many seconds the block runs, unless it raises."""
    began = perf_counter()
    yield
    histogram.observe(perf_counter() - began)
