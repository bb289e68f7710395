"""The frontier: which URL is asked for next, and what has happened since the last commit.

The database is the truth. In memory are a window of what waits, what is under way, and what is to be committed next:
all three bounded, whatever the size of the shop. Used from the event loop alone; only commits run in a thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import structlog

from core.fetching.politeness import HostSchedule
from crawler.robots import Rules
from db.blobs.spool import BlobWriter
from db.crawls.met_urls import Met, Waiting
from db.crawls.requests import CrawlLimits
from db.steps.crawling import CrawlBatch, Settled
from db.steps.submitting import NewItem
from db.tables import UrlKind, UrlReason

log = structlog.get_logger(__name__)

WINDOW = 300
"""URLs of each lane (pictures, everything else) that are held in memory."""
AT_ONCE = 16
"""Requests of a crawl that are under way at once, to all hosts together."""
BATCH_SECONDS = 0.5
BATCH_RESULTS = 200
"""A batch is committed when it is that old, or that large, or nothing else is left to do."""
TRIES = 3
"""How often one URL is asked for before it counts as failed, if it is worth it."""
_RETRY_SECONDS = (1.0, 4.0)


@dataclass(slots=True, eq=False)
class Wanted:
    """A URL on its way."""

    waiting: Waiting
    host: str
    origin: str
    tries: int = 0
    not_before: float = -math.inf


@dataclass(slots=True)
class Results:
    """What is to be committed next."""

    met: list[Met] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    items: list[NewItem] = field(default_factory=list)
    reused: set[str] = field(default_factory=set)
    counted: dict[tuple[str, str], int] = field(default_factory=dict)
    writers: list[BlobWriter] = field(default_factory=list)
    pages: dict[str, set[str]] = field(default_factory=dict)
    """URL of a page -> digests of the products and pictures that were met on it."""
    bytes: int = 0

    def count(self, group: str, name: str, many: int = 1) -> None:
        self.counted[group, name] = self.counted.get((group, name), 0) + many

    def batch(self, waiting_on: Sequence[dict[str, str]]) -> CrawlBatch:
        return CrawlBatch(
            self.met,
            self.settled,
            self.unchanged,
            self.items,
            self.reused,
            self.counted,
            self.bytes,
            waiting_on,
        )


@dataclass(slots=True)
class _Lane:
    """What waits of one kind, by host."""

    hosts: OrderedDict[str, deque[Wanted]] = field(default_factory=OrderedDict)
    size: int = 0

    def add(self, wanted: Wanted, *, first: bool = False) -> None:
        queue = self.hosts.setdefault(wanted.host, deque())
        if first:
            queue.appendleft(wanted)
        else:
            queue.append(wanted)
        self.size += 1

    def take(self, host: str) -> Wanted:
        queue = self.hosts[host]
        self.size -= 1
        wanted = queue.popleft()
        if queue:
            self.hosts.move_to_end(host)
        else:
            del self.hosts[host]
        return wanted


class Frontier:
    """What is to be asked for, of one crawl."""

    refuse: Callable[[Wanted, Rules], None]
    """Called with what robots.txt does not allow: set by whoever settles it (`Visits`)."""

    def __init__(
        self, limits: CrawlLimits, hosts: HostSchedule, seconds_left: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.results = Results()
        self.hosts = hosts
        self.rules: dict[str, Rules] = {}
        """By origin."""
        self.left_out: dict[str, str] = {}
        """`pages`, `pictures` -> the limit that ended them."""
        self.asked = {"pages": 0, "pictures": 0}
        self.bytes = 0
        self._limits = limits
        self._clock = clock
        self._ends = clock() + seconds_left
        self._lanes = {"pictures": _Lane(), "pages": _Lane()}
        self._under_way: dict[str, Wanted] = {}
        self._held: set[str] = set()
        """Digests of everything in memory, what is settled and not yet committed included."""
        self._robots_under_way: set[str] = set()
        self.failure: Exception | None = None
        """Why the crawl cannot go on: the store is away or full, or a fault of ours."""
        self._stopping = False
        self._changed = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Nothing is under way, and nothing in memory waits."""
        return not (self._under_way or self._robots_under_way or any(lane.size for lane in self._lanes.values()))

    @property
    def stopped(self) -> bool:
        return self._stopping

    def stop(self) -> None:
        """Give out nothing more."""
        self._stopping = True
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Give out nothing more: the crawl cannot go on."""
        self.failure = self.failure or error
        self.stop()

    def room(self, group: str) -> int:
        """How many more URLs of a lane are wanted in memory; 0 once its limit is reached."""
        lane = self._lanes[group]
        return 0 if group in self.left_out or lane.size > WINDOW // 2 else WINDOW - lane.size

    def add(self, rows: Sequence[Waiting]) -> int:
        """Take in what waits in the database; how many were not here already."""
        added = 0
        for row in rows:
            if row.digest in self._held:
                continue
            parts = urlsplit(row.url)
            self._held.add(row.digest)
            self._lane(row.kind).add(Wanted(row, parts.netloc, f"{parts.scheme}://{parts.netloc}"))
            added += 1
        self._changed.set()
        return added

    def held(self) -> int:
        return len(self._held)

    def committed(self, settled: Sequence[Settled]) -> None:
        """The database knows now what became of these."""
        self._held.difference_update(one.digest for one in settled)

    async def next(self) -> Wanted | str | None:
        """What is to be asked for now, waiting for its turn: a URL, or an origin's robots.txt; None: no more."""
        while not self._stopping:
            self._changed.clear()
            self._apply_limits()
            found, pause = self._pick()
            if found is not None:
                return found
            try:
                async with asyncio.timeout(None if math.isinf(pause) else max(pause, 0.001)):
                    await self._changed.wait()
            except TimeoutError:
                continue
        return None

    def learn(self, origin: str, rules: Rules) -> None:
        """What an origin's robots.txt says."""
        self.rules[origin] = rules
        self._robots_under_way.discard(origin)
        host = urlsplit(origin).netloc
        self.hosts.slow_down(host, rules.delay)
        self._changed.set()

    def done(self, wanted: Wanted, seconds: float | None, *, ok: bool) -> None:
        """A request has ended. What becomes of its URL is said by `settle` or `again`."""
        del self._under_way[wanted.waiting.digest]
        self.hosts.end(wanted.host, seconds, ok=ok)
        self._changed.set()

    def robots_done(self, origin: str, seconds: float, *, ok: bool) -> None:
        self.hosts.end(urlsplit(origin).netloc, seconds, ok=ok)

    def again(self, wanted: Wanted, pause: float | None = None) -> None:
        """Ask for it once more, after `pause` seconds, or after a while that grows with every try."""
        seconds = _RETRY_SECONDS[min(wanted.tries, len(_RETRY_SECONDS)) - 1] if pause is None else pause
        wanted.not_before = self._clock() + seconds
        self._lane(wanted.waiting.kind).add(wanted, first=True)
        self._changed.set()

    def settle(self, settled: Settled) -> None:
        """This is what became of a URL; it is stored by the next commit."""
        self.results.settled.append(settled)
        self._changed.set()

    def take_results(self) -> Results:
        taken, self.results = self.results, Results()
        return taken

    def notice(self) -> None:
        """Something may have changed for whoever waits in `next`."""
        self._changed.set()

    def _lane(self, kind: UrlKind) -> _Lane:
        return self._lanes["pictures" if kind is UrlKind.PICTURE else "pages"]

    def _apply_limits(self) -> None:
        for group, most, reason in (
            ("pages", self._limits.pages, UrlReason.LIMIT_PAGES),
            ("pictures", self._limits.pictures, UrlReason.LIMIT_PICTURES),
        ):
            if self.asked[group] >= most:
                self._end(group, reason)
        for reached, name in (
            (self.bytes >= self._limits.bytes, UrlReason.LIMIT_BYTES),
            (self._clock() >= self._ends, UrlReason.LIMIT_MINUTES),
        ):
            if reached:
                self._end("pages", name)
                self._end("pictures", name)

    def _end(self, group: str, reason: str) -> None:
        """No more of a lane is asked for; what of it is in the database is left out when the crawl ends."""
        if group in self.left_out:
            return
        self.left_out[group] = reason
        for queue in self._lanes[group].hosts.values():
            self._held.difference_update(wanted.waiting.digest for wanted in queue)
        self._lanes[group] = _Lane()

    def _pick(self) -> tuple[Wanted | str | None, float]:
        """What may be asked for now, or else how long that will take, in seconds."""
        soonest = math.inf if len(self.left_out) == len(self._lanes) else self._ends - self._clock()
        if len(self._under_way) + len(self._robots_under_way) >= AT_ONCE:
            return None, soonest
        for group, lane in self._lanes.items():
            for host in list(lane.hosts):
                self._drop_forbidden(lane, host)
                first = lane.hosts[host][0] if host in lane.hosts else None
                if first is None or first.origin in self._robots_under_way:
                    continue
                wait = max(self.hosts.wait(host), first.not_before - self._clock())
                if wait > 0:
                    soonest = min(soonest, wait)
                    continue
                self.hosts.begin(host)
                if first.origin not in self.rules:
                    self._robots_under_way.add(first.origin)
                    return first.origin, 0.0
                return self._begin(group, lane.take(host)), 0.0
        return None, soonest

    def _begin(self, group: str, wanted: Wanted) -> Wanted:
        wanted.tries += 1
        if wanted.tries == 1:
            self.asked[group] += 1
        self._under_way[wanted.waiting.digest] = wanted
        return wanted

    def _drop_forbidden(self, lane: _Lane, host: str) -> None:
        while host in lane.hosts:
            first = lane.hosts[host][0]
            rules = self.rules.get(first.origin)
            if rules is None or rules.allow(first.waiting.url):
                return
            self.refuse(lane.take(host), rules)
            self._changed.set()
