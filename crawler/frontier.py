"""The frontier: decides which URL of a crawl is requested next.

The database has all queued URLs. The frontier holds a part of them in memory, and the requests in progress. Both are
bounded, whatever the size of the shop. It is used by the event loop alone.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from core.fetching.politeness import Clock, HostSchedule
from crawler.robots import Rules
from db.crawls.met_urls import QueuedUrl
from db.crawls.requests import CrawlLimits
from db.tables import CrawlPriority, Lane, UrlReason

LANE_SIZE = 300
"""Maximum number of URLs of a lane in memory."""
_MAX_POSTPONABLE = 32
"""Maximum number of a host's URLs in memory that are no product pages. The products that these lead to go before the
rest."""
MAX_REQUESTS = 16
"""Maximum number of a crawl's requests in progress, to all hosts together."""
MAX_TRIES = 3
"""Maximum number of requests for a URL. An error that another try cannot fix makes the URL fail at once."""
_RETRY_SECONDS = (1.0, 4.0)
"""Pauses before the second and the third try."""


@dataclass(slots=True, eq=False)
class UrlRequest:
    """A request for a URL of the crawl, waiting or in progress."""

    url: QueuedUrl
    host: str
    origin: str
    tries: int = 0
    not_before: float = -math.inf
    """When the next try may begin, by the clock of the frontier."""

    @property
    def is_postponable(self) -> bool:
        return self.url.priority > CrawlPriority.PRODUCT


@dataclass(frozen=True, slots=True)
class RobotsRequest:
    """A request for the robots.txt of an origin."""

    origin: str
    tries: int = 1


@dataclass(frozen=True, slots=True)
class ForbiddenUrl:
    """A URL that is not requested, because the robots.txt of its origin forbids it or cannot be read."""

    request: UrlRequest
    rules: Rules


Step = UrlRequest | RobotsRequest | ForbiddenUrl


@dataclass(slots=True)
class _HostQueues:
    """The waiting requests of one lane, by host. The host that was served last is at the end."""

    by_host: OrderedDict[str, deque[UrlRequest]] = field(default_factory=OrderedDict)
    size: int = 0
    postponable: Counter[str] = field(default_factory=Counter)
    """The number of requests that are neither for products nor for pictures nor for start URLs, by host."""

    def add(self, request: UrlRequest, *, first: bool = False) -> None:
        """Add a request behind those of its priority, or before all others."""
        queue = self.by_host.setdefault(request.host, deque())
        place = len(queue)
        while place and queue[place - 1].url.priority > request.url.priority:
            place -= 1
        queue.insert(0 if first else place, request)
        self.size += 1
        self.postponable[request.host] += request.is_postponable

    def take(self, host: str, *, served: bool = True) -> UrlRequest:
        """Remove the first request to a host, and return it. `served`: the other hosts now come first."""
        queue = self.by_host[host]
        self.size -= 1
        request = queue.popleft()
        self.postponable[host] -= request.is_postponable
        if not queue:
            del self.by_host[host]
        elif served:
            self.by_host.move_to_end(host)
        return request


class Frontier:
    """The waiting requests of one crawl, its requests in progress, and its limits."""

    def __init__(
        self,
        limits: CrawlLimits,
        hosts: HostSchedule,
        seconds_left: float,
        *,
        requested: Mapping[Lane, int],
        received_bytes: int,
        clock: Clock = time.monotonic,
    ) -> None:
        """`requested`, `received_bytes`: the parts of the limits that earlier processes of the same crawl have used."""
        self.failure: Exception | None = None
        """Why the crawl cannot go on: an outage, or a bug."""
        self._limits = limits
        self._hosts = hosts
        self._clock = clock
        self._ends = clock() + seconds_left
        self._requested = dict(requested)
        self._received_bytes = received_bytes
        self._limits_reached: dict[Lane, UrlReason] = {}
        self._rules: dict[str, Rules] = {}
        """Rules of robots.txt by origin."""
        # Pictures come first.
        self._queues = {Lane.PICTURES: _HostQueues(), Lane.PAGES: _HostQueues()}
        self._in_progress: dict[str, UrlRequest] = {}
        """By digest."""
        self._robots_in_progress: set[str] = set()
        """Origins."""
        self._robots_tries: Counter[str] = Counter()
        """Requests for the robots.txt of each origin so far."""
        self._in_memory: set[str] = set()
        """Digests of all URLs in memory, including those that are settled but not committed."""
        self._stopping = False
        self._changed = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Whether no request is in progress or waits in memory."""
        waiting = any(queues.size for queues in self._queues.values())
        return not (self._in_progress or self._robots_in_progress or waiting)

    @property
    def stopped(self) -> bool:
        return self._stopping

    @property
    def in_memory_count(self) -> int:
        """The number of URLs in memory, including those that are settled but not committed."""
        return len(self._in_memory)

    def stop(self) -> None:
        """Begin no more requests."""
        self._stopping = True
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Begin no more requests, because the crawl cannot go on."""
        self.failure = self.failure or error
        self.stop()

    def room(self, lane: Lane) -> int:
        """Return how many more URLs a lane may hold: 0 if it is more than half full or its limit is reached."""
        size = self._queues[lane].size
        return 0 if lane in self._limits_reached or size > LANE_SIZE // 2 else LANE_SIZE - size

    def add(self, urls: Sequence[QueuedUrl], admit: Callable[[QueuedUrl], bool] = lambda url: True) -> None:
        """Add URLs that are queued in the database, the most urgent one first.

        Those already in memory are ignored, and those for which there is no room stay in the database. `admit` returns
        whether a URL is to be requested. If not, it has settled or postponed the URL.
        """
        for url in urls:
            if url.digest in self._in_memory:
                continue
            if not admit(url):
                self._in_memory.add(url.digest)
                continue
            parts = urlsplit(url.url)
            request = UrlRequest(url, parts.netloc, f"{parts.scheme}://{parts.netloc}")
            queues = self._queues[Lane.of(url.kind)]
            if request.is_postponable and queues.postponable[request.host] >= _MAX_POSTPONABLE:
                continue
            self._in_memory.add(url.digest)
            queues.add(request)
        self._changed.set()

    def forget_committed(self, digests: Collection[str]) -> None:
        """Forget URLs whose final state or later turn the database has now."""
        self._in_memory.difference_update(digests)

    async def next(self) -> Step | None:
        """Wait for the next step, and return it. Return None when the frontier was stopped."""
        while not self._stopping:
            self._changed.clear()
            self._apply_limits()
            step, pause = self._pick()
            if step is not None:
                return step
            try:
                async with asyncio.timeout(None if math.isinf(pause) else max(pause, 0.001)):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return None

    def learn_rules(self, origin: str, rules: Rules) -> None:
        """Apply the robots.txt of an origin to its URLs."""
        self._rules[origin] = rules
        self._robots_in_progress.discard(origin)
        self._hosts.slow_down(urlsplit(origin).netloc, rules.delay)
        self._changed.set()

    def allows(self, url: str) -> bool:
        """Return whether robots.txt allows a URL, as far as it was read. Any thread may call it."""
        parts = urlsplit(url)
        rules = self._rules.get(f"{parts.scheme}://{parts.netloc}")
        return rules is None or rules.allow(url)

    def end_request(self, request: UrlRequest, seconds: float | None, *, ok: bool) -> None:
        """Note that a request was answered after this number of seconds, or ended without an answer (None).

        Afterwards the caller settles the URL or calls `retry`.
        """
        del self._in_progress[request.url.digest]
        self._hosts.end(request.host, seconds, ok=ok)
        self._changed.set()

    def end_robots_request(self, origin: str, seconds: float, *, ok: bool) -> None:
        """Note that the request for a robots.txt has ended.

        Afterwards the caller calls `learn_rules` or `retry_robots`.
        """
        self._hosts.end(urlsplit(origin).netloc, seconds, ok=ok)

    def retry_robots(self, origin: str, pause: float) -> None:
        """Request nothing from the host for `pause` seconds, and then its robots.txt once more."""
        self._hosts.pause(urlsplit(origin).netloc, pause)
        self._robots_in_progress.discard(origin)
        self._changed.set()

    def retry(self, request: UrlRequest, pause: float | None = None) -> None:
        """Request a URL once more after `pause` seconds. Without a pause given, it grows with each try."""
        seconds = _RETRY_SECONDS[min(request.tries, len(_RETRY_SECONDS)) - 1] if pause is None else pause
        request.not_before = self._clock() + seconds
        self._queues[Lane.of(request.url.kind)].add(request, first=True)
        self._changed.set()

    def uncount(self, request: UrlRequest) -> None:
        """Count a request no longer against the limit of its lane, because it brought nothing that the limit is for."""
        self._requested[Lane.of(request.url.kind)] -= 1

    def count_received(self, size: int) -> None:
        """Count received bytes against the limit."""
        self._received_bytes += size

    def limit_reached(self, lane: Lane) -> UrlReason | None:
        """Return the limit that ended a lane, None if none did."""
        return self._limits_reached.get(lane)

    def pause_host(self, host: str, seconds: float) -> None:
        """Begin no request to a host for this number of seconds."""
        self._hosts.pause(host, seconds)

    def slow_down_host(self, host: str, min_delay: float) -> None:
        """Let at least `min_delay` seconds pass between two requests to a host."""
        self._hosts.slow_down(host, min_delay)

    def paused_hosts(self) -> dict[str, float]:
        """Return the hosts that are paused, with the seconds that are left."""
        return self._hosts.paused()

    def _apply_limits(self) -> None:
        if self._requested[Lane.PAGES] >= self._limits.pages:
            self._end_lane(Lane.PAGES, UrlReason.LIMIT_PAGES)
        if self._requested[Lane.PICTURES] >= self._limits.pictures:
            self._end_lane(Lane.PICTURES, UrlReason.LIMIT_PICTURES)
        for lane in Lane:
            if self._received_bytes >= self._limits.bytes:
                self._end_lane(lane, UrlReason.LIMIT_BYTES)
            if self._clock() >= self._ends:
                self._end_lane(lane, UrlReason.LIMIT_MINUTES)

    def _end_lane(self, lane: Lane, reason: UrlReason) -> None:
        """Begin no more requests of a lane. Its queued URLs in the database are left out when the crawl ends."""
        if lane in self._limits_reached:
            return
        self._limits_reached[lane] = reason
        for queue in self._queues[lane].by_host.values():
            self._in_memory.difference_update(request.url.digest for request in queue)
        self._queues[lane] = _HostQueues()

    def _pick(self) -> tuple[Step | None, float]:
        """Return the step that may begin now. If there is none, return None and the seconds until one may begin."""
        soonest = math.inf if len(self._limits_reached) == len(Lane) else self._ends - self._clock()
        if len(self._in_progress) + len(self._robots_in_progress) >= MAX_REQUESTS:
            return None, soonest
        for lane, queues in self._queues.items():
            for host, queue in queues.by_host.items():
                first = queue[0]
                rules = self._rules.get(first.origin)
                if rules is not None and not rules.allow(first.url.url):
                    return ForbiddenUrl(queues.take(host, served=False), rules), 0.0
                if first.origin in self._robots_in_progress:
                    continue
                wait = max(self._hosts.wait(host), first.not_before - self._clock())
                if wait > 0:
                    soonest = min(soonest, wait)
                    continue
                self._hosts.begin(host)
                if rules is None:
                    self._robots_in_progress.add(first.origin)
                    self._robots_tries[first.origin] += 1
                    return RobotsRequest(first.origin, self._robots_tries[first.origin]), 0.0
                return self._begin(lane, queues.take(host)), 0.0
        return None, soonest

    def _begin(self, lane: Lane, request: UrlRequest) -> UrlRequest:
        request.tries += 1
        if request.tries == 1:
            self._requested[lane] += 1
        self._in_progress[request.url.digest] = request
        return request
