"""One crawl: commits what its requests find out, batch by batch, until it ends. crawler/run.py starts it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from broker.client import Broker
from broker.dispatch import announce_end, dispatch, run_task_soon
from broker.metrics import MetricsSender
from core.clock import rfc3339, utc_now
from core.errors import LeaseLost, QuotaExceeded
from core.fetching import Fetcher
from core.fetching.politeness import HostSchedule
from core.item_errors import ItemError, OverQuota
from core.messages import PURGE
from core.settings import Settings
from crawler import recipes
from crawler.exits import CrawlExit, end_process
from crawler.findings import Findings, UncommittedBatch
from crawler.frontier import Frontier
from crawler.rendering import Renderer
from crawler.visits import Visits, reason_of
from crawler.web import CrawlFetcher
from db.blobs.leftovers import discard_uncommitted
from db.blobs.opening import open_blob_store
from db.crawls import met_urls
from db.crawls.met_urls import MetUrl, QueuedUrl
from db.crawls.progress import Progress
from db.crawls.requests import CrawlRequest
from db.database import Database
from db.outages import OUTAGE_ERRORS, retry_outages
from db.steps import crawling
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import LeasedSource
from db.steps.leasing import SOURCE_LEASES
from db.tables import Crawl, Lane, UrlKind, UrlReason

log = structlog.get_logger(__name__)

T = TypeVar("T")

BATCH_SECONDS = 0.5
BATCH_URLS = 200
"""Age in seconds, and number of settled URLs, at which a crawl batch is committed. It is also committed when no other
work is left."""
MAX_MET_PER_COMMIT = 5_000
"""Maximum number of URLs that one transaction adds. A large sitemap takes several, so that others write in between."""
MAX_HOSTS_SHOWN = 20
"""Maximum number of paused hosts that a job shows."""
_MAX_PAUSE_SHOWN = 10**8
"""Seconds. The end of a longer pause is shown as if the pause was that long."""
_POLL_SECONDS = 0.05
"""Seconds between two checks for a reason to commit."""


class CrawlRun:
    """The crawl of one job, in a process that has its lease."""

    def __init__(self, settings: Settings, database: Database, lease: LeasedSource) -> None:
        self._database = database
        self._broker = Broker.connect(settings)
        self._metrics = MetricsSender(self._broker, "crawl")
        self._policy = ChunkPolicy.of(settings)
        self._blobs = open_blob_store(settings)
        self._lease = lease
        with self._database.reading() as session:
            crawl = session.get_one(Crawl, lease.job_id)
            start_urls = crawling.list_start_urls(session, lease.job_id)
        self._crawl = crawl
        self._request = CrawlRequest.of(crawl)
        progress = Progress(crawl.progress)
        self._is_new = progress.met == 0
        limits = self._request.limits
        self.findings = Findings()
        self.frontier = Frontier(
            limits,
            HostSchedule(settings.crawl_delay, settings.crawl_connections, time.monotonic),
            60 * limits.minutes - progress.seconds,
            requested={lane: progress.requested(lane) for lane in Lane},
            received_bytes=progress.bytes,
        )
        start_urls = [*self._request.start_urls, *start_urls]
        fetcher = Fetcher(allow=settings.fetch_allow)
        renderer = Renderer(settings, fetcher, self.frontier.allows) if settings.render != "off" else None
        known_recipes = recipes.load_recipes()
        self.visits = Visits(
            self._request, self.frontier, self.findings, start_urls, known_recipes, utc_now, renderer=renderer
        )
        self.web = CrawlFetcher(fetcher, self._blobs, settings.max_picture_bytes, renderer=renderer)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._timed_until = time.monotonic()
        """Until when the time of this process was counted against the limit, in seconds of time.monotonic()."""
        self._paused_hosts_shown: set[str] = set()
        """The hosts that are paused according to the last commit."""
        self._pages_looked_through = self._pictures_looked_through = 0
        """How far the crawl that this one repeats was searched for URLs that this one has not met."""

    async def run(self) -> None:
        """Crawl until the crawl ends, then end the process.

        The process ends at once, because requests in progress may take half a minute, and their answers have no use.
        """
        for noisy in ("scrapy", "twisted"):
            # Scrapy sets the levels when it starts, and would then log two lines for each URL.
            logging.getLogger(noisy).setLevel(logging.WARNING)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.frontier.stop)
        self._metrics.start()
        code = CrawlExit.ENDED
        try:
            await self._run()
        except LeaseLost:
            code = CrawlExit.LEASE_LOST
        except OUTAGE_ERRORS as error:
            log.warning("crawl_interrupted", job=self._lease.job_id, reason=reason_of(error))
            code = CrawlExit.OUTAGE
        except Exception as error:
            log.error("crawl_failed", job=self._lease.job_id, error=repr(error), exc_info=error)
            self._record_failure(error)
            code = CrawlExit.FAILED
        self._metrics.stop()
        end_process(code)

    async def _run(self) -> None:
        frontier, findings = self.frontier, self.findings
        if self._is_new:
            findings.add_met(*self.visits.meetings.seeds())
        while True:
            batch = findings.take()
            quota = await self._in_thread(self._commit, batch, self._show_paused_hosts())
            renewed = time.monotonic()
            frontier.forget_committed(batch.decided)
            if frontier.failure is not None:
                raise frontier.failure
            if frontier.stopped:
                return
            await self._refill()
            if quota is not None or (frontier.idle and not findings.decided_count):
                if quota is None and await self._in_thread(self._find_more):
                    continue
                await self._in_thread(self._finish, quota)
                return
            await self._gather(renewed)

    async def _gather(self, renewed: float) -> None:
        """Wait until there is a reason to commit.

        Reasons are a full or an old batch, an idle frontier, a changed list of paused hosts, and a lease that has to be
        renewed.
        """
        began = time.monotonic()
        renewal_interval = self._policy.deadlines.renewal_interval.total_seconds()
        while not self.frontier.stopped:
            now, settled = time.monotonic(), self.findings.decided_count
            if (
                settled >= BATCH_URLS
                or (settled and now - began >= BATCH_SECONDS)
                or self.frontier.idle
                or self.frontier.paused_hosts().keys() != self._paused_hosts_shown
                or now - renewed >= renewal_interval
            ):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _refill(self) -> None:
        for lane in Lane:
            room = self.frontier.room(lane)
            if room:
                # URLs in memory are still queued in the database, therefore they come again.
                limit = room + self.frontier.in_memory_count
                self.frontier.add(await self._in_thread(self._read_queued, lane, limit), self.visits.admit)

    def _read_queued(self, lane: Lane, limit: int) -> list[QueuedUrl]:
        with self._database.reading() as session:
            return crawling.list_queued(session, self._lease.job_id, lane, limit)

    def _commit(self, batch: UncommittedBatch, waiting_on: list[dict[str, str]]) -> ItemError | None:
        """Store a batch. Return an error if the quota is used up."""
        try:
            while len(batch.met) > MAX_MET_PER_COMMIT:
                part, batch.met = batch.met[:MAX_MET_PER_COMMIT], batch.met[MAX_MET_PER_COMMIT:]
                self._store(UncommittedBatch(met=part), waiting_on)
            self._store(batch, waiting_on)
            return None
        except QuotaExceeded as error:
            return OverQuota(error.detail)
        finally:
            for writer in batch.writers:
                writer.abort()

    def _store(self, batch: UncommittedBatch, waiting_on: list[dict[str, str]]) -> None:
        """Store a batch: first the bytes, then the rows."""
        now = time.monotonic()
        crawl_batch = batch.as_crawl_batch(now - self._timed_until, waiting_on)
        self._timed_until = now
        # A longer outage ends the attempt, because another worker may have the lease by then.
        max_outage = self._policy.deadlines.lease / 2
        try:
            for attempt in retry_outages(max_outage):
                with attempt:
                    self._blobs.commit(batch.writers)
            for attempt in retry_outages(max_outage):
                with attempt, self._database.writing() as session:
                    committed = crawling.commit(session, self._lease, crawl_batch, self._policy, utc_now())
        except BaseException:
            discard_uncommitted(self._database, self._blobs, batch.writers)
            raise
        for attempt in retry_outages(max_outage):
            with attempt:
                self._blobs.ensure(batch.writers)
        self._lease = committed.lease
        dispatch(self._database, self._broker, committed.chunks)

    def _find_more(self) -> bool:
        """Look for further URLs when none is queued any more. Return whether there are any."""
        with self._database.writing() as session:
            decided = crawling.decide_fallbacks(session, self._lease, utc_now())
        return decided > 0 or self._search_repeated_crawl()

    def _search_repeated_crawl(self) -> bool:
        """Search the crawl that this one repeats for URLs that this one has not met.

        Pages are requested. Pictures count as gone, because no page shows them any more. Return whether any was found.
        """
        if self._request.since is None:
            return False
        with self._database.reading() as session:
            pages = self._find_unreached_pages(session)
            gone = 0 if pages else self._count_vanished_pictures(session)
        self.findings.add_met(*pages)
        if gone:
            self.findings.count_change("gone", gone)
        return bool(pages or gone)

    def _find_unreached_pages(self, session: Session) -> list[MetUrl]:
        """Return some pages that the repeated crawl read and this one has not met; none at the end."""
        while True:
            before = self._pages_looked_through
            pages, self._pages_looked_through = met_urls.list_unreached_pages(session, self._crawl, before)
            if pages or self._pages_looked_through == before:
                return pages

    def _count_vanished_pictures(self, session: Session) -> int:
        """Return how many pictures of the repeated crawl no page shows any more."""
        gone = 0
        while True:
            before = self._pictures_looked_through
            number, self._pictures_looked_through = met_urls.count_vanished_pictures(session, self._crawl, before)
            gone += number
            if self._pictures_looked_through == before:
                return gone

    def _finish(self, error: ItemError | None) -> None:
        """End the crawl. URLs that are still queued are left out because of the error, or the limit of their lane."""
        left_out: dict[UrlKind, str] = {
            kind: error.code if error is not None else self.frontier.limit_reached(Lane.of(kind)) or UrlReason.CANCELED
            for kind in UrlKind
        }
        for attempt in retry_outages(self._policy.deadlines.lease / 2):
            with attempt, self._database.writing() as session:
                finished = crawling.finish(session, self._lease, left_out, error, utc_now())
        log.info("crawled", job=self._lease.job_id)
        if finished.job_finished:
            announce_end(self._broker, self._lease.job_id, webhook=finished.webhook)
        run_task_soon(self._broker, PURGE)

    def _show_paused_hosts(self) -> list[dict[str, str]]:
        """Return the paused hosts as the job shows them, each with the time at which its pause ends."""
        now, paused = utc_now(), self.frontier.paused_hosts()
        self._paused_hosts_shown = set(paused)
        return [
            {"host": host, "until": rfc3339(now + timedelta(seconds=min(seconds, _MAX_PAUSE_SHOWN)))}
            for host, seconds in sorted(paused.items())[:MAX_HOSTS_SHOWN]
        ]

    def _record_failure(self, error: Exception) -> None:
        """Count a failed attempt of the job, and keep the reason."""
        with self._database.writing() as session:
            SOURCE_LEASES.fail_attempt(session, self._lease.job_id, self._lease.worker, utc_now(), reason_of(error))

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        """Call a function that waits for the database or the store, without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)
