"""The order in which pictures get decoders and the device. It has no threads and no clock of its own.

The decoders and the batcher both use it, so a picture has the same priority everywhere.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

AGEING_SECONDS = 2.0
"""Seconds after which every second element comes from the waiting bulk work, even while interactive work arrives."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    element: T
    since: float


class FairQueue(Generic[T]):
    """A queue that returns interactive elements first, oldest first, and then bulk elements.

    Bulk elements alternate between the jobs. Within a job the oldest element comes first.
    """

    def __init__(self, ageing_seconds: float = AGEING_SECONDS) -> None:
        self._ageing_seconds = ageing_seconds
        self._interactive: deque[_Entry[T]] = deque()
        self._bulk: OrderedDict[str, deque[_Entry[T]]] = OrderedDict()
        self._bulk_count = 0
        self._last_was_aged = False

    def __len__(self) -> int:
        return len(self._interactive) + self._bulk_count

    @property
    def interactive(self) -> int:
        """The number of interactive elements that wait."""
        return len(self._interactive)

    def push(self, element: T, job: str, now: float, *, interactive: bool) -> None:
        """Append an element. `job` is used only for bulk elements, to alternate between jobs."""
        if interactive:
            self._interactive.append(_Entry(element, now))
        else:
            self._bulk.setdefault(job, deque()).append(_Entry(element, now))
            self._bulk_count += 1

    def pop(self, now: float) -> T | None:
        """Remove and return the next element, or return None if the queue is empty."""
        aged_job = self._aged_job(now)
        if self._interactive and (aged_job is None or self._last_was_aged):
            self._last_was_aged = False
            return self._interactive.popleft().element
        if not self._bulk:
            return None
        self._last_was_aged = aged_job is not None
        return self._pop_bulk(aged_job or next(iter(self._bulk)))

    def oldest(self) -> float | None:
        """Return the time at which the oldest element was pushed, or None if the queue is empty."""
        heads = [queue[0].since for queue in (self._interactive, *self._bulk.values()) if queue]
        return min(heads, default=None)

    def _aged_job(self, now: float) -> str | None:
        """Return the job with the oldest bulk element if that element has waited too long, else None."""
        # Few jobs have pictures in one worker at a time, so looking at the first element of each is cheap.
        oldest = min(self._bulk, key=lambda job: self._bulk[job][0].since, default=None)
        if oldest is None or now - self._bulk[oldest][0].since < self._ageing_seconds:
            return None
        return oldest

    def _pop_bulk(self, job: str) -> T:
        queue = self._bulk[job]
        element = queue.popleft().element
        self._bulk_count -= 1
        if queue:
            self._bulk.move_to_end(job)
        else:
            del self._bulk[job]
        return element
