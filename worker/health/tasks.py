"""Counts the Celery tasks of this process for the metrics."""

from __future__ import annotations

import time
from typing import Any

from celery import signals

from core import metrics
from core.messages import short_name

_BEGAN = "lookbook_began"


def count_tasks() -> None:
    """Count every task that ends from now on, and observe how long it ran."""

    # weak=False: Celery keeps weak references by default, and would lose these functions when this one returns.
    @signals.task_prerun.connect(weak=False)
    def started(task: Any, **_: Any) -> None:
        setattr(task.request, _BEGAN, time.monotonic())

    @signals.task_postrun.connect(weak=False)
    def finished(task: Any, state: str | None = None, **_: Any) -> None:
        name = short_name(task.name)
        metrics.TASKS.labels(name, "success" if state == "SUCCESS" else "failure").inc()
        metrics.TASK_SECONDS.labels(name).observe(time.monotonic() - getattr(task.request, _BEGAN))
