"""Clocks whose time only the test changes."""

from __future__ import annotations

from typing import Generic, TypeVar

TimeT = TypeVar("TimeT")


class ManualClock(Generic[TimeT]):
    """Returns `now`, which the test sets, in seconds or as a date."""

    def __init__(self, now: TimeT) -> None:
        self.now = now

    def __call__(self) -> TimeT:
        return self.now
