"""Sums the metrics of all processes in Redis: each process adds what it has counted, and the API reads the sums.

The sums therefore outlive the processes, and no label names a process that may be gone. If Redis loses its data, they
begin again at zero, which Prometheus takes for a restart of the counters.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.samples import Sample

from broker.client import Broker
from core import metrics
from core.errors import BrokerUnavailable

log = structlog.get_logger(__name__)

SEND_SECONDS = 3.0
"""Seconds between two sends. A process that is killed loses what it has counted since the last one."""


class MetricsSender:
    """Adds what this process counts to the sums in Redis, from a thread."""

    def __init__(
        self,
        broker: Broker,
        process: str,
        registry: CollectorRegistry = metrics.REGISTRY,
        layout: str = metrics.LAYOUT,
    ) -> None:
        """`process`: the kind of this process, as in its log. Processes of one `layout` have the same metrics."""
        self._broker = broker
        self._registry = registry
        self._layout = layout
        self._process_cpu = metrics.PROCESS_CPU.labels(process)
        self._cpu_seconds = 0.0
        self._sent: dict[str, float] = {}
        self._sending = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        metrics.PROCESS_STARTS.labels(process).inc()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Send for the last time."""
        if not self._stopped.is_set():
            self._stopped.set()
            self.send()

    def send(self) -> None:
        """Send what was counted since the last time. Without Redis it is kept for the next time."""
        with self._sending:
            cpu_seconds = time.process_time()
            self._process_cpu.inc(cpu_seconds - self._cpu_seconds)
            self._cpu_seconds = cpu_seconds
            values = {_field(sample): sample.value for sample in _samples(self._registry)}
            added = {field: value - self._sent.get(field, 0.0) for field, value in values.items()}
            try:
                self._broker.add_to_metrics(self._layout, {field: add for field, add in added.items() if add})
            except BrokerUnavailable as error:
                log.info("metrics_not_sent", reason=str(error))
                return
            self._sent = values

    def _run(self) -> None:
        while not self._stopped.wait(SEND_SECONDS):
            self.send()


def read_sums(
    broker: Broker, registry: CollectorRegistry = metrics.REGISTRY, layout: str = metrics.LAYOUT
) -> Iterator[Metric]:
    """Yield the metrics of `registry` with the sums of all processes of a `layout`.

    Raises:
        BrokerUnavailable: Redis does not answer.
    """
    sums = broker.read_metrics(layout)
    known = {family.name: family for family in registry.collect()}
    by_family: dict[str, dict[str, float]] = {name: {} for name in known}
    for name, family in known.items():
        by_family[name] = {_field(sample): 0.0 for sample in family.samples}
    for field, value in sums.items():
        family_name = _family_name(_decoded(field)[0], by_family)
        if family_name is not None:
            by_family[family_name][field] = value
    for name, family in known.items():
        shown = Metric(family.name, family.documentation, family.type)
        shown.samples = sorted((_sample(field, value) for field, value in by_family[name].items()), key=_order)
        yield shown


def _samples(registry: CollectorRegistry) -> Iterable[Sample]:
    return (sample for family in registry.collect() for sample in family.samples)


def _field(sample: Sample) -> str:
    return _encoded(sample.name, tuple(sample.labels.items()))


@cache
def _encoded(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    return json.dumps([name, dict(labels)], sort_keys=True, separators=(",", ":"))


@cache
def _decoded(field: str) -> tuple[str, dict[str, str]]:
    name, labels = json.loads(field)
    return name, labels


def _sample(field: str, value: float) -> Sample:
    name, labels = _decoded(field)
    return Sample(name, labels, value)


def _family_name(sample_name: str, known: Mapping[str, Any]) -> str | None:
    for suffix in ("_total", "_bucket", "_sum", "_count"):
        if sample_name.removesuffix(suffix) in known:
            return sample_name.removesuffix(suffix)
    return None


def _order(sample: Sample) -> tuple[Any, ...]:
    """Keep the samples of one set of labels together, and the buckets of a histogram in ascending order."""
    others = sorted((name, value) for name, value in sample.labels.items() if name != "le")
    return others, sample.name, float(sample.labels.get("le", 0.0))
