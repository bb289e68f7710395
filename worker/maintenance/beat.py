"""Beat: asks for maintenance at regular times.

Celery's own beat plans by the wall clock: once that is set back by an hour, nothing is asked for within the next hour.
And a message that expires by the wall clock is never taken where the clocks of two machines differ. Here intervals are
measured by a clock that does not jump, and a task is not asked for while an earlier one still waits.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from broker.client import Broker
from core.errors import BrokerUnavailable
from core.logs import configure_logging
from core.messages import DELIVER_WEBHOOKS, FIND_DUPLICATES, PURGE, SWEEP
from core.settings import Settings

log = structlog.get_logger(__name__)

PURGE_SECONDS = 60.0
"""How often jobs past retention are looked for."""

WEBHOOK_SECONDS = 5.0
"""How often webhooks to be tried again are looked for; new ones are asked for when their job ends."""

DUPLICATES_SECONDS = 15.0
"""How often jobs that are over are looked at for duplicates; those of many pictures are when they end."""

_LONGEST_PAUSE = 1.0


@dataclass(slots=True)
class Beat:
    """Any number may run at once: what is asked for twice does no harm."""

    broker: Broker
    intervals: Mapping[str, float]
    """Seconds from one time to the next, by task."""
    clock: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)

    def tick(self) -> None:
        """Ask for what is due. While Redis is away, or earlier tasks wait for a worker, it stays due."""
        now = self.clock()
        due = [task for task in self.intervals if self._due.get(task, now) <= now]
        try:
            # All in one go, so that none of them keeps the others out.
            if due and self.broker.queue_tasks(*due):
                for task in due:
                    self._due[task] = now + self.intervals[task]
        except BrokerUnavailable as error:
            log.warning("not_asked", tasks=due, reason=str(error))

    def run(self, stopped: threading.Event) -> None:
        """Tick until told to stop."""
        pause = min(_LONGEST_PAUSE, *(seconds / 2 for seconds in self.intervals.values()))
        while not stopped.wait(pause):
            self.tick()


def run_beat(settings: Settings) -> None:
    """Ask for sweeping every `sweep_seconds`, and for the other maintenance, until told to stop."""
    configure_logging(settings.log_level)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    broker = Broker.connect(settings)
    intervals = {
        SWEEP: settings.sweep_seconds,
        PURGE: PURGE_SECONDS,
        DELIVER_WEBHOOKS: WEBHOOK_SECONDS,
        FIND_DUPLICATES: DUPLICATES_SECONDS,
    }
    Beat(broker, intervals).run(stopped)
    broker.close()
