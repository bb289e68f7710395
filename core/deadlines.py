"""The times after which somebody else takes over, all derived from `LOOKBOOK_LEASE_SECONDS`.

renew < lease < device < hold < visibility; tests/unit/test_deadlines.py holds them to that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Deadlines:
    """What follows from the length of a lease."""

    lease: timedelta
    """A chunk belongs this long to the worker that took it up, unless the worker renews it."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(timedelta(seconds=settings.lease_seconds))

    @property
    def renew(self) -> timedelta:
        """How often a worker renews what it has in hand: two renewals may fail before the lease ends."""
        return self.lease / 3

    @property
    def patience(self) -> timedelta:
        """How long a message may lie in an otherwise empty queue before it counts as lost."""
        return self.lease / 6

    @property
    def device(self) -> timedelta:
        """A device that has not answered for this long ends its worker process."""
        return self.lease * 2

    @property
    def hold(self) -> timedelta:
        """Longest time that a worker renews one chunk: a thread that hangs must not keep it for ever."""
        return self.lease * 10

    @property
    def visibility(self) -> timedelta:
        """When Redis hands on an unacknowledged message: after everything else, for only the sweeper knows attempts."""
        return self.lease * 20
