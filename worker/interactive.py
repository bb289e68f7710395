"""A second Celery consumer in the same process, with its own threads, for the interactive queues.

All threads of the main consumer may be busy with bulk chunks, and a client that waits for one picture would then wait
for a bulk chunk to end. Both consumers share the decoders, models, batchers and the fetcher, and in each of these
interactive pictures go first.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.worker import state

from core.messages import Queue

THREADS = 8
"""Threads of this consumer, and therefore interactive pictures that one worker handles at the same time."""

_PREFETCH = 4
"""Messages that are prefetched per thread. A message is acknowledged only when this consumer next hears from Redis, so
without spare room finished messages would keep new ones out."""


class InteractiveConsumer:
    """Consumes the interactive queues until the main consumer of the process is told to stop."""

    def __init__(self, app: Celery, name: str, queues: Sequence[Queue]) -> None:
        # A Celery app holds one set of queues, and a process can run only one event loop. This consumer therefore gets
        # its own app and runs without an event loop.
        app.conf.worker_prefetch_multiplier = _PREFETCH
        self._controller: Any = app.WorkController(
            hostname=name,
            pool="threads",
            concurrency=THREADS,
            queues=[queue.value for queue in queues],
            use_eventloop=False,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            loglevel="WARNING",
        )
        self._thread = threading.Thread(target=self._controller.start, name="interactive-consumer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Stop the consumer, and return when its running tasks are done."""
        if state.should_stop is None:
            # A signal sets this for both consumers. If the process stops without a signal, it must be set here.
            state.should_stop = 0  # type: ignore[assignment]
        self._thread.join()
