"""The times after which another process takes work over. `LOOKBOOK_LEASE_SECONDS` determines all of them.

renewal_interval < lease < device_timeout < max_hold < visibility_timeout; tests/unit/test_deadlines.py checks this.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from core.settings import Settings

MAX_RENEWAL_INTERVAL = timedelta(seconds=2)
"""Longest time between two renewals of a lease, and about the time between two heartbeats."""

MIN_SILENCE = timedelta(seconds=5)
"""Two heartbeats or two renewals may be late before a worker counts as dead."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """All deadlines that follow from the length of a lease."""

    lease: timedelta
    """How long a worker holds a chunk after it took the chunk up or last renewed the lease."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(timedelta(seconds=settings.lease_seconds))

    @property
    def renewal_interval(self) -> timedelta:
        """Return the time between two renewals of a lease. Two renewals may fail before the lease ends.

        It is short, because a worker that misses several renewals may be dead (see `silence`).
        """
        return min(self.lease / 3, MAX_RENEWAL_INTERVAL)

    @property
    def silence(self) -> timedelta:
        """Return after how long without renewal and without heartbeat a worker counts as dead."""
        return max(self.lease / 6, MIN_SILENCE)

    @property
    def lost_message_after(self) -> timedelta:
        """Return how long a message may stay in an otherwise empty queue before it counts as lost."""
        return self.lease / 6

    @property
    def device_timeout(self) -> timedelta:
        """Return how long a device may take to answer. After that, the worker process ends."""
        return self.lease * 2

    @property
    def max_hold(self) -> timedelta:
        """Return the longest time for which a worker renews one chunk, so that a thread that hangs does not keep it."""
        return self.lease * 10

    @property
    def visibility_timeout(self) -> timedelta:
        """Return the time after which Redis delivers an unacknowledged message again.

        It is the longest deadline, because the sweeper counts attempts and Redis does not.
        """
        return self.lease * 20
