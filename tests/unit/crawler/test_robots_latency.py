"""The latency of a robots.txt counts for the delay of its host, like the latency of any other answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from scrapy import Request
from scrapy.http import Response

from core.clock import utc_now
from core.fetching import Fetched, Fetcher
from core.fetching.politeness import HostSchedule
from crawler.findings import Findings
from crawler.frontier import Frontier, RobotsRequest
from crawler.process import CrawlRun
from crawler.spider import ShopSpider
from crawler.visits import Visits
from crawler.web import CrawlFetcher
from db.blobs.store import BlobStore
from db.crawls.met_urls import EarlierVisit, QueuedUrl
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.tables import CrawlPriority, Lane, UrlKind
from tests.clocks import ManualClock
from tests.conftest import run_coroutine

START = "http://shop.example/"


class SlowFetcher:
    """Replaces the network: it answers every URL with an empty page after `seconds` of the test's clock."""

    def __init__(self, clock: ManualClock[float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def get(self, url: str, **_options: object) -> Fetched:
        self._clock.now += self._seconds
        return Fetched(url, 200, {}, b"", 0, 0, ())


async def request_robots(spider: ShopSpider) -> None:
    step = await spider.frontier.next()
    assert isinstance(step, RobotsRequest)
    answer = spider.web.ask_robots(step.origin)
    request = Request(f"{step.origin}/robots.txt", meta={"step": step, "answer": answer})
    spider.read_robots(Response(request.url, request=request))


def test_a_slow_robots_txt_makes_the_delay_of_its_host_longer() -> None:
    clock = ManualClock(100.0)
    limits = CrawlLimits(pages=10, pictures=10, bytes=2**20, depth=1, minutes=1)
    hosts = HostSchedule(0.1, 2, clock)
    frontier = Frontier(limits, hosts, 60.0, requested=dict.fromkeys(Lane, 0), received_bytes=0, clock=clock)
    visits = Visits(CrawlRequest((START,), limits), frontier, Findings(), [START], [], utc_now)
    web = CrawlFetcher(cast(Fetcher, SlowFetcher(clock, 4.0)), cast(BlobStore, None), 2**20, clock)
    run = SimpleNamespace(frontier=frontier, visits=visits, web=web, run=None)
    frontier.add([QueuedUrl("d1", START, UrlKind.PAGE, CrawlPriority.START, 0, {}, EarlierVisit())])
    run_coroutine(request_robots(ShopSpider(cast(CrawlRun, run))))
    assert hosts.host("shop.example").delay == 2.0
