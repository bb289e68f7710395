"""When a host may be asked: how many requests at once, how long between two, and when it wants to be left alone.

Scrapy's own slots are not used for that. With no delay they do not hold the number of requests at once (2.19, asyncio),
and they know nothing of Retry-After.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LONGEST_DELAY = 60.0
"""Seconds that a slow host makes a crawl wait between two requests, at most. It may ask for more in its robots.txt."""


@dataclass(slots=True)
class Host:
    """What is known of one host. All times are seconds by the clock of `Hosts`."""

    least_delay: float
    delay: float
    busy: int = 0
    last_began: float = -math.inf
    not_before: float = -math.inf
    """It has asked to be left alone until then."""


class Hosts:
    """All hosts of a crawl."""

    def __init__(self, delay: float, connections: int, clock: Callable[[], float]) -> None:
        """`delay`: seconds between the beginnings of two requests to a host, at least; `connections`: at once."""
        self._delay = delay
        self._connections = connections
        self._clock = clock
        self._hosts: dict[str, Host] = {}

    def __len__(self) -> int:
        return len(self._hosts)

    def host(self, name: str) -> Host:
        if name not in self._hosts:
            self._hosts[name] = Host(self._delay, self._delay)
        return self._hosts[name]

    def wait(self, name: str) -> float:
        """Seconds until the host may be asked; 0: now; infinite: when a request to it has ended."""
        host = self.host(name)
        if host.busy >= self._connections:
            return math.inf
        return max(0.0, host.last_began + host.delay - self._clock(), host.not_before - self._clock())

    def begin(self, name: str) -> None:
        host = self.host(name)
        host.busy += 1
        host.last_began = self._clock()

    def end(self, name: str, latency: float | None, *, ok: bool) -> None:
        """A request has ended, answered after so many seconds (None: not at all).

        The delay follows the latency, so that a host is asked as often as it answers with so many requests at once;
        what is no success never makes it shorter. As Scrapy's AutoThrottle does.
        """
        host = self.host(name)
        host.busy -= 1
        if latency is None:
            return
        target = latency / self._connections
        delay = min(LONGEST_DELAY, max(host.least_delay, target, (host.delay + target) / 2))
        if ok or delay > host.delay:
            host.delay = max(delay, host.least_delay)

    def slow_down(self, name: str, delay: float) -> None:
        """The host, or a recipe, wants at least so many seconds between two requests."""
        host = self.host(name)
        host.least_delay = max(host.least_delay, delay)
        host.delay = max(host.delay, host.least_delay)

    def pause(self, name: str, seconds: float) -> None:
        """Leave a host alone for so long."""
        host = self.host(name)
        host.not_before = max(host.not_before, self._clock() + seconds)

    def paused(self) -> dict[str, float]:
        """Hosts that are left alone, with the seconds that this will last."""
        now = self._clock()
        return {name: host.not_before - now for name, host in self._hosts.items() if host.not_before > now}
