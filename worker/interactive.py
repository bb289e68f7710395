"""The interactive lane: a second Celery consumer in the same process, with threads of its own.

All threads of the first may be in the middle of bulk chunks: whoever waits for one picture would wait for one of them.
Decoders, models and batchers are shared, and there interactive pictures go first; so is the fetcher.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.worker import state

from core.messages import Queue

THREADS = 8
"""Interactive pictures in hand at once."""

_PREFETCH = 4
"""Messages per thread: it acknowledges when it next hears from Redis, so a few must fit beside those in hand."""


class InteractiveConsumer:
    """Consumes interactive queues until the process's main consumer is told to stop."""

    def __init__(self, app: Celery, name: str, queues: Sequence[Queue]) -> None:
        # Celery keeps the queues to consume with the application, and one event loop for the process: hence an
        # application of its own, and none.
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
        self._thread = threading.Thread(target=self._controller.start, name="interactive-lane", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        """Stop it and wait until it has finished what it has in hand."""
        if state.should_stop is None:
            # A signal has set it for both consumers; without one, ours must be told.
            state.should_stop = 0  # type: ignore[assignment]
        self._thread.join()
