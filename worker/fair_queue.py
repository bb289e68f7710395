"""Whose turn it is: the one order in which pictures wait for decoders and for the device. No threads, no clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

AGEING_SECONDS = 2.0
"""Bulk work that has waited this long gets every second turn, however much interactive work there is."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    element: T
    since: float


class FairQueue(Generic[T]):
    """Interactive strictly first, earliest first; then bulk, the jobs in turn, each job's own earliest first."""

    def __init__(self, ageing_seconds: float = AGEING_SECONDS) -> None:
        self._ageing = ageing_seconds
        self._interactive: deque[_Entry[T]] = deque()
        self._bulk: OrderedDict[str, deque[_Entry[T]]] = OrderedDict()
        self._bulk_count = 0
        self._aged_was_last = False

    def __len__(self) -> int:
        return len(self._interactive) + self._bulk_count

    @property
    def interactive(self) -> int:
        """How many interactive ones wait."""
        return len(self._interactive)

    def push(self, element: T, job: str, now: float, *, interactive: bool) -> None:
        if interactive:
            self._interactive.append(_Entry(element, now))
        else:
            self._bulk.setdefault(job, deque()).append(_Entry(element, now))
            self._bulk_count += 1

    def pop(self, now: float) -> T | None:
        """The next in turn, None if nobody waits."""
        aged = self._aged_job(now)
        if self._interactive and (aged is None or self._aged_was_last):
            self._aged_was_last = False
            return self._interactive.popleft().element
        if not self._bulk:
            return None
        self._aged_was_last = aged is not None
        return self._pop_bulk(aged or next(iter(self._bulk)))

    def oldest(self) -> float | None:
        """Since when the one that waits longest has waited."""
        heads = [queue[0].since for queue in (self._interactive, *self._bulk.values()) if queue]
        return min(heads, default=None)

    def _aged_job(self, now: float) -> str | None:
        # Few jobs at a time have pictures in one worker: looking at each one's first costs nothing.
        oldest = min(self._bulk, key=lambda job: self._bulk[job][0].since, default=None)
        if oldest is None or now - self._bulk[oldest][0].since < self._ageing:
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
