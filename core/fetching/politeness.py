"""When requests to each host may begin: how many at once, the delay between two, and the pauses that it demands.

Crawls and downloads share these rules. Scrapy's own slots are not used, because without a delay they do not limit
the number of requests at once (2.19, asyncio), and they do not know Retry-After.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from core.fetching.fetcher import Fetched

MAX_DELAY = 60.0
"""Seconds. A slow host never makes the delay longer than that, but its robots.txt or a recipe may."""
_PAUSE_STATUSES = (429, 503)

Clock = Callable[[], float]


@dataclass(slots=True)
class HostState:
    """State of one host. All times are seconds by the clock of `HostSchedule`."""

    min_delay: float
    delay: float
    running: int = 0
    """Requests that have begun and not ended."""
    last_began: float = -math.inf
    paused_until: float = -math.inf


class HostSchedule:
    """Decides for each host when its next request may begin. Not thread-safe."""

    def __init__(self, delay: float, connections: int, clock: Clock) -> None:
        """Begin with the same limits for every host.

        Args:
            delay: minimum seconds between the beginnings of two requests to a host.
            connections: maximum number of requests to a host at once.
            clock: returns the time in seconds.
        """
        self._delay = delay
        self._connections = connections
        self._clock = clock
        self._hosts: dict[str, HostState] = {}

    def host(self, name: str) -> HostState:
        """Return the state of a host."""
        if name not in self._hosts:
            self._hosts[name] = HostState(self._delay, self._delay)
        return self._hosts[name]

    def wait(self, name: str) -> float:
        """Return the seconds until a request to the host may begin.

        0 means now. Infinity means that a running request has to end first.
        """
        host = self.host(name)
        if host.running >= self._connections:
            return math.inf
        return max(0.0, host.last_began + host.delay - self._clock(), host.paused_until - self._clock())

    def begin(self, name: str) -> None:
        """Note that a request to the host begins."""
        host = self.host(name)
        host.running += 1
        host.last_began = self._clock()

    def end(self, name: str, latency: float | None = None, *, ok: bool = True) -> None:
        """Note that a request to the host has ended, and adapt the delay to the seconds that the answer took.

        The delay approaches latency / connections, so that a host gets requests as fast as it answers them when all its
        connections are in use. A failure never makes the delay shorter. Scrapy's AutoThrottle does the same. Without a
        latency the delay stays as it is.
        """
        host = self.host(name)
        host.running -= 1
        if latency is None:
            return
        target = latency / self._connections
        delay = min(MAX_DELAY, max(host.min_delay, target, (host.delay + target) / 2))
        if ok or delay > host.delay:
            host.delay = max(delay, host.min_delay)

    def slow_down(self, name: str, min_delay: float) -> None:
        """Let at least `min_delay` seconds pass between two requests, as the host's robots.txt or a recipe demands."""
        host = self.host(name)
        host.min_delay = max(host.min_delay, min_delay)
        host.delay = max(host.delay, host.min_delay)

    def pause(self, name: str, seconds: float) -> None:
        """Begin no request to the host for this number of seconds.

        The server asks for the pause, not one URL. Therefore it holds for all URLs of the host.
        """
        host = self.host(name)
        host.paused_until = max(host.paused_until, self._clock() + seconds)

    def paused(self) -> dict[str, float]:
        """Return the hosts that are paused, with the seconds that are left."""
        now = self._clock()
        return {name: host.paused_until - now for name, host in self._hosts.items() if host.paused_until > now}

    def forget_if_idle(self, name: str) -> bool:
        """Forget a host, its delay included, if it has no running request and no pause. Return whether that is so."""
        host = self.host(name)
        if host.running or host.paused_until > self._clock():
            return False
        del self._hosts[name]
        return True


def requested_pause(answer: Fetched, now: datetime) -> float | None:
    """Return the seconds for which the server wants no requests (429 or 503 with Retry-After), None if it does not."""
    if answer.status not in _PAUSE_STATUSES:
        return None
    pause = answer.retry_after(now)
    return None if pause is None else max(0.0, pause.total_seconds())
