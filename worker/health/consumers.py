"""A watch over the consumers: one that has gone deaf ends the process.

A consumer can stop receiving without an error: after a Redis that was killed in the wrong moment, for example, when an
acknowledgement notices it rather than the consumer. Then the process lives, its heart beats, and its queues fill. Being
alive means that the queues move.
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
"""Exit code of a worker one of whose consumers does not receive what waits for it (EX_OSERR of sysexits.h)."""

STALLED_CHECKS = 4
"""So many times in a row there was something to receive and nothing to do, and nothing was received."""


@dataclass(slots=True)
class _Consumer:
    queues: frozenset[Queue]
    received: int = 0
    running: int = 0
    received_before: int = 0
    stalled_checks: int = 0


class ConsumerWatch:
    """Counts what the consumers of this process receive and have in hand. Each has queues of its own."""

    def __init__(self, broker: Broker, consumers: Sequence[Collection[Queue]]) -> None:
        self._broker = broker
        self._consumers = [_Consumer(frozenset(queues)) for queues in consumers]
        self._lock = threading.Lock()

    def connect(self) -> None:
        """Be told by Celery from now on."""

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
            for consumer in self._of(queue):
                consumer.received += 1

    def started(self, queue: Queue) -> None:
        with self._lock:
            for consumer in self._of(queue):
                consumer.running += 1

    def finished(self, queue: Queue) -> None:
        with self._lock:
            for consumer in self._of(queue):
                consumer.running -= 1

    def _of(self, queue: Queue) -> list[_Consumer]:
        return [consumer for consumer in self._consumers if queue in consumer.queues]

    def check_stalled(self) -> bool:
        """Whether a consumer has gone deaf. To be called every few seconds."""
        try:
            empty = self._broker.empty_queues()
        except BrokerUnavailable:
            return False
        with self._lock:
            for consumer in self._consumers:
                waiting = consumer.queues - empty
                received_something = consumer.received != consumer.received_before
                consumer.received_before = consumer.received
                consumer.stalled_checks = (
                    consumer.stalled_checks + 1 if waiting and not consumer.running and not received_something else 0
                )
                if consumer.stalled_checks >= STALLED_CHECKS:
                    log.critical("consumer_stalled", waiting=sorted(queue.value for queue in waiting))
                    return True
        return False
