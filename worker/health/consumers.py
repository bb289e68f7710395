"""Find a Celery consumer that has stalled: it no longer receives messages although some wait for it.

A consumer can stop receiving without an error, for example if Redis is killed at the moment of an acknowledgement: the
acknowledgement fails, and the consumer does not notice. The process then runs on and sends heartbeats while its queues
fill. A worker is therefore healthy only as long as its queues move.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from celery import signals

from broker.client import Broker
from core.errors import BrokerUnavailable
from core.messages import Queue

log = structlog.get_logger(__name__)

EXIT_CONSUMER_STALLED = 71
"""Exit code of a worker process with a stalled consumer (EX_OSERR of sysexits.h)."""

STALLED_CHECKS = 4
"""Checks in a row that must find messages waiting for an idle consumer before the consumer counts as stalled."""


@dataclass(slots=True)
class _Consumer:
    queues: frozenset[Queue]
    received: int = 0
    """Messages received since the process started."""
    running: int = 0
    """Tasks that run now."""
    received_at_last_check: int = 0
    stalled_checks: int = 0
    """Checks in a row that found this consumer idle while messages waited."""


class ConsumerWatch:
    """Counts what each consumer of this process receives and runs. No queue belongs to two consumers."""

    def __init__(self, broker: Broker, consumers: Sequence[Collection[Queue]]) -> None:
        self._broker = broker
        self._consumers = [_Consumer(frozenset(queues)) for queues in consumers]
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Count from now on: connect to Celery's signals for received, started and finished tasks."""

        @signals.task_received.connect(weak=False)
        def received(request: Any, **_: Any) -> None:
            self.received(Queue(request.delivery_info["routing_key"]))

        @signals.task_prerun.connect(weak=False)
        def started(task: Any, **_: Any) -> None:
            self.started(Queue(task.request.delivery_info["routing_key"]))

        @signals.task_postrun.connect(weak=False)
        def finished(task: Any, **_: Any) -> None:
            self.finished(Queue(task.request.delivery_info["routing_key"]))

    def received(self, queue: Queue) -> None:
        with self._lock:
            for consumer in self._consumers_of(queue):
                consumer.received += 1

    def started(self, queue: Queue) -> None:
        with self._lock:
            for consumer in self._consumers_of(queue):
                consumer.running += 1

    def finished(self, queue: Queue) -> None:
        with self._lock:
            for consumer in self._consumers_of(queue):
                consumer.running -= 1

    def _consumers_of(self, queue: Queue) -> list[_Consumer]:
        return [consumer for consumer in self._consumers if queue in consumer.queues]

    def check_stalled(self) -> bool:
        """Check every consumer once, and return whether one has stalled. Call this every few seconds."""
        try:
            empty = self._broker.empty_queues()
        except BrokerUnavailable:
            return False
        with self._lock:
            for consumer in self._consumers:
                waiting = consumer.queues - empty
                idle = not consumer.running and consumer.received == consumer.received_at_last_check
                consumer.received_at_last_check = consumer.received
                consumer.stalled_checks = consumer.stalled_checks + 1 if waiting and idle else 0
                if consumer.stalled_checks >= STALLED_CHECKS:
                    log.critical("consumer_stalled", waiting=sorted(queue.value for queue in waiting))
                    return True
        return False
