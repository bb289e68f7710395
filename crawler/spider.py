"""Scrapy's side of a crawl: a spider whose requests the frontier gives out, and a download handler that hands them to
the guarded fetcher. docs/adr/0022-crawling.md says what of Scrapy is used, and what is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scrapy import Request, Spider
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.http import Response

from crawler import robots
from crawler.frontier import AT_ONCE, TRIES, Wanted
from crawler.process import CrawlRun
from crawler.web import Answer

_ROBOTS_PAUSE = 2.0
"""Seconds before a robots.txt that could not be had is asked for again."""


class ShopSpider(Spider):
    """Visits one shop."""

    name = "shop"

    def __init__(self, crawling: CrawlRun) -> None:
        super().__init__()
        self.frontier = crawling.frontier
        self.visits = crawling.visits
        self.web = crawling.web
        self._run = crawling.run

    async def start(self) -> AsyncIterator[Any]:
        """Requests, each when its turn has come: waiting for the next one is waiting for the frontier."""
        running = asyncio.create_task(self._run())
        while (wanted := await self.frontier.next()) is not None:
            if isinstance(wanted, str):
                yield self._request(f"{wanted}/robots.txt", self.read_robots, origin=wanted, tries=1)
            elif self.visits.admit(wanted):
                yield self._request(wanted.waiting.url, self.read, wanted=wanted)
            else:
                self.frontier.done(wanted, None, ok=True)
        await running

    def read(self, response: Response) -> None:
        """What came of a URL."""
        wanted: Wanted = response.meta["wanted"]
        answer: Answer = response.meta["answer"]
        try:
            fetched = answer.fetched
            ok = fetched is not None and (fetched.ok or fetched.status == 304)
            self.frontier.done(wanted, None if fetched is None else answer.seconds, ok=ok)
            self.visits.answered(wanted, answer)
        except Exception as error:  # noqa: BLE001 (one URL, not the crawl)
            if answer.error is not None:
                self.frontier.fail(error)
            else:
                self.visits.broke(wanted, error)
        finally:
            if answer.writer is not None:
                answer.writer.abort()

    async def read_robots(self, response: Response) -> None:
        """What an origin's robots.txt says; one that cannot be had forbids everything, after a few tries."""
        origin: str = response.meta["origin"]
        answer: Answer = response.meta["answer"]
        for _ in range(TRIES - 1):
            if not _unavailable(answer):
                break
            await asyncio.sleep(_ROBOTS_PAUSE)
            answer = await asyncio.get_running_loop().run_in_executor(None, self.web.robots, origin)
        self.frontier.robots_done(origin, answer.seconds, ok=answer.fetched is not None)
        self.visits.learn_robots(origin, answer)

    def _request(self, url: str, callback: Any, **meta: Any) -> Request:
        return Request(url, callback=callback, dont_filter=True, meta=meta)


def _unavailable(answer: Answer) -> bool:
    return answer.error is not None or (answer.fetched is not None and robots.worth_another_try(answer.fetched))


class GuardedHandler(BaseDownloadHandler):
    """The only way out: every request goes through the guarded fetcher, in a thread."""

    lazy = False

    def __init__(self, crawler: Any) -> None:
        super().__init__(crawler)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch")

    async def download_request(self, request: Request) -> Response:
        spider = self.crawler.spider
        assert isinstance(spider, ShopSpider)
        web = spider.web
        loop = asyncio.get_running_loop()
        if "origin" in request.meta:
            answer = await loop.run_in_executor(self._threads, web.robots, request.meta["origin"])
        else:
            answer = await loop.run_in_executor(self._threads, web.ask, request.meta["wanted"].waiting)
        request.meta["answer"] = answer
        return Response(request.url, status=answer.fetched.status if answer.fetched else 599, request=request)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


SETTINGS: dict[str, Any] = {
    "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "DOWNLOAD_HANDLERS_BASE": {"http": GuardedHandler, "https": GuardedHandler},
    # What these would do (robots, retries, redirects, cookies, pauses, depth) is done by the frontier, which outlives
    # this process, or by the fetcher, which checks every address.
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "SPIDER_MIDDLEWARES_BASE": {},
    "EXTENSIONS_BASE": {},
    "TELNETCONSOLE_ENABLED": False,
    "CONCURRENT_REQUESTS": AT_ONCE * 2,
    "CONCURRENT_REQUESTS_PER_DOMAIN": AT_ONCE * 2,
    "DOWNLOAD_DELAY": 0,
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "LOG_ENABLED": False,
}
"""Scrapy's, all of them."""
