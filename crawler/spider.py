"""The part of a crawl that Scrapy runs: a spider that sends the frontier's requests, and a download handler that gives
them to the guarded fetcher. docs/adr/0022-crawling.md says which parts of Scrapy are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from scrapy import Request, Spider
from scrapy.core.downloader.handlers.base import BaseDownloadHandler
from scrapy.http import Response

from crawler.frontier import MAX_REQUESTS, ForbiddenUrl, RobotsRequest, UrlRequest
from crawler.process import CrawlRun
from crawler.web import Answer


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
        """Yield each request as soon as it may begin, until the crawl ends."""
        running = asyncio.create_task(self._run())
        while (step := await self.frontier.next()) is not None:
            if isinstance(step, RobotsRequest):
                yield self._request(f"{step.origin}/robots.txt", self.read_robots, step)
            elif isinstance(step, ForbiddenUrl):
                self.visits.blocked_by_robots(step.request, step.rules)
            elif step.tries > 1 or self.visits.admit(step.url):
                yield self._request(step.url.url, self.read, step)
            else:
                self.frontier.uncount(step)
                self.frontier.end_request(step, None, ok=True)
        await running

    def read(self, response: Response) -> None:
        """Read the answer to the request for a URL."""
        request: UrlRequest = response.meta["step"]
        answer: Answer = response.meta["answer"]
        try:
            fetched = answer.fetched
            ok = fetched is not None and (fetched.ok or fetched.status == 304)
            self.frontier.end_request(request, None if fetched is None else answer.seconds, ok=ok)
            self.visits.read_answer(request, answer)
        except Exception as error:  # noqa: BLE001 (a bug in reading costs one URL, not the crawl)
            if answer.error is not None:
                self.frontier.fail(error)
            else:
                self.visits.reading_failed(request, error)
        finally:
            if answer.writer is not None:
                answer.writer.abort()

    def read_robots(self, response: Response) -> None:
        """Read the robots.txt of an origin."""
        request: RobotsRequest = response.meta["step"]
        answer: Answer = response.meta["answer"]
        self.frontier.end_robots_request(request.origin, answer.seconds, ok=answer.fetched is not None)
        self.visits.read_robots(request, answer)

    def _request(self, url: str, callback: Any, step: UrlRequest | RobotsRequest) -> Request:
        return Request(url, callback=callback, dont_filter=True, meta={"step": step})


class GuardedHandler(BaseDownloadHandler):
    """Gives every request to the guarded fetcher, in a thread. Scrapy itself opens no connections."""

    lazy = False

    def __init__(self, crawler: Any) -> None:
        super().__init__(crawler)
        self._threads = ThreadPoolExecutor(MAX_REQUESTS, thread_name_prefix="fetch")

    async def download_request(self, request: Request) -> Response:
        spider = self.crawler.spider
        assert isinstance(spider, ShopSpider)
        web, step = spider.web, request.meta["step"]
        loop = asyncio.get_running_loop()
        if isinstance(step, RobotsRequest):
            answer = await loop.run_in_executor(self._threads, web.ask_robots, step.origin)
        else:
            answer = await loop.run_in_executor(self._threads, web.ask, step.url)
        request.meta["answer"] = answer
        return Response(request.url, status=answer.fetched.status if answer.fetched else 599, request=request)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


SETTINGS: dict[str, Any] = {
    "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "DOWNLOAD_HANDLERS_BASE": {"http": GuardedHandler, "https": GuardedHandler},
    # Scrapy's middlewares are off: robots.txt, retries, redirects, cookies, delays, depth. The frontier does this work,
    # because the database outlives the process, or the fetcher does it, because it checks every IP address.
    "DOWNLOADER_MIDDLEWARES_BASE": {},
    "SPIDER_MIDDLEWARES_BASE": {},
    "EXTENSIONS_BASE": {},
    "TELNETCONSOLE_ENABLED": False,
    "CONCURRENT_REQUESTS": MAX_REQUESTS * 2,
    "CONCURRENT_REQUESTS_PER_DOMAIN": MAX_REQUESTS * 2,
    "DOWNLOAD_DELAY": 0,
    "DUPEFILTER_CLASS": "scrapy.dupefilters.BaseDupeFilter",
    "LOG_ENABLED": False,
}
"""All settings that Scrapy gets."""
