"""Beat: queues the maintenance tasks at regular intervals.

Celery's own beat plans by the wall clock: if that clock is set back by an hour, it queues nothing for an hour. And if
the clocks of two machines differ, a worker never runs a message that expires by the wall clock. This beat measures
intervals with a monotonic clock. Its messages do not expire; instead, it queues no task while an earlier one waits.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from broker.client import Broker
from broker.metrics import MetricsSender
from core import metrics
from core.errors import BrokerUnavailable
from core.logs import configure_logging
from core.messages import (
    DELIVER_WEBHOOKS,
    FIND_DUPLICATES,
    GIVE_LESSONS,
    MAKE_HINTS,
    MAKE_MAPS,
    PURGE,
    RUN_SHADOWS,
    SWEEP,
    short_name,
)
from core.settings import Settings

log = structlog.get_logger(__name__)

PURGE_SECONDS = 60.0
"""Seconds between two searches for jobs past retention."""

WEBHOOK_SECONDS = 5.0
"""Seconds between two searches for webhooks to try again. New ones are sent as soon as their job ends."""

DUPLICATES_SECONDS = 15.0
"""Seconds between two searches for finished jobs to find duplicates in. Most are found earlier: when they end."""

SHADOW_SECONDS = 10.0
"""Seconds between two samples of a shadow run."""

MAP_SECONDS = 15.0
"""Seconds between two searches for outdated and lost maps. A map that a client requests is begun at once."""

LESSON_SECONDS = 15.0
"""Seconds between two searches for lessons whose worker has ended. New ones begin at once."""

HINTS_SECONDS = 15.0
"""Seconds between two searches for jobs whose hints are due. Most are found earlier: when they end."""

_MAX_PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class Beat:
    """Queues each task at its interval. Several beats may run at once, because a task that runs twice does no harm."""

    broker: Broker
    intervals: Mapping[str, float]
    """Seconds between two runs of a task, by task."""
    clock: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)

    def queue_due_tasks(self) -> None:
        """Tell Redis that this beat is alive, and queue the due tasks.

        They stay due while Redis is unavailable or an earlier task waits for a worker.
        """
        now = self.clock()
        due = [task for task in self.intervals if self._due.get(task, now) <= now]
        try:
            self.broker.send_beat()
            # All due tasks are queued together. Queued one by one, the first would keep the others out of the queue.
            if due and self.broker.queue_tasks(*due):
                for task in due:
                    metrics.TASKS_QUEUED.labels(short_name(task)).inc()
                    self._due[task] = now + self.intervals[task]
        except BrokerUnavailable as error:
            log.warning("tasks_not_queued", tasks=due, reason=str(error))

    def run(self, stopped: threading.Event) -> None:
        """Queue due tasks until `stopped` is set."""
        pause = min(_MAX_PAUSE_SECONDS, *(seconds / 2 for seconds in self.intervals.values()))
        while not stopped.wait(pause):
            self.queue_due_tasks()


def run_beat(settings: Settings) -> None:
    """Queue the sweeper every `sweep_seconds`, and the other maintenance tasks, until a signal stops the process."""
    configure_logging(settings.log_level, "beat")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    broker = Broker.connect(settings)
    intervals = {
        SWEEP: settings.sweep_seconds,
        PURGE: PURGE_SECONDS,
        DELIVER_WEBHOOKS: WEBHOOK_SECONDS,
        FIND_DUPLICATES: DUPLICATES_SECONDS,
        RUN_SHADOWS: SHADOW_SECONDS,
        MAKE_MAPS: MAP_SECONDS,
        GIVE_LESSONS: LESSON_SECONDS,
        MAKE_HINTS: HINTS_SECONDS,
    }
    sender = MetricsSender(broker, "beat")
    sender.start()
    Beat(broker, intervals).run(stopped)
    sender.stop()
    broker.close()
