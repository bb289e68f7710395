"""One crawl: commits what its requests bring, batch by batch, until it ends. crawler/run.py starts it."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from tenacity import Retrying

from broker.client import Broker
from broker.dispatch import announce_end, dispatch, run_task_soon
from core.clock import rfc3339, utc_now
from core.errors import ItemError, LeaseLost, OverQuota, QuotaExceeded
from core.fetching import Fetcher
from core.fetching.politeness import HostSchedule
from core.messages import PURGE
from core.settings import Settings
from crawler import recipes
from crawler.exits import CrawlExit, end_process
from crawler.frontier import BATCH_RESULTS, BATCH_SECONDS, Frontier, Results
from crawler.visits import Visits, reason_of
from crawler.web import CrawlFetcher
from db.blobs.leftovers import discard_uncommitted
from db.blobs.opening import open_blob_store
from db.crawls import met_urls
from db.crawls.met_urls import Waiting
from db.crawls.progress import Progress
from db.crawls.requests import CrawlRequest
from db.database import Database
from db.outages import OUTAGE_ERRORS, retry_outages
from db.steps import crawling
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import LeasedSource
from db.steps.leasing import SOURCE_LEASES
from db.tables import Crawl, UrlKind, UrlReason

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LOOK_SECONDS = 0.05

MET_AT_ONCE = 5_000
"""Most URLs that one transaction adds to a crawl."""


class CrawlRun:
    """The crawl of one job."""

    def __init__(self, settings: Settings, database: Database, taken: LeasedSource) -> None:
        self._database = database
        self._broker = Broker.connect(settings)
        self._policy = ChunkPolicy.of(settings)
        self._blobs = open_blob_store(settings)
        self._taken = taken
        with self._database.reading() as session:
            crawl = session.get_one(Crawl, taken.job_id)
            started = crawling.start_hosts(session, taken.job_id)
        self._crawl = crawl
        self._request = CrawlRequest.of(crawl)
        self._progress = Progress(crawl.progress)
        limits = self._request.limits
        begun = crawl.begun_at or utc_now()
        left = begun + timedelta(minutes=limits.minutes) - utc_now()
        hosts = HostSchedule(settings.crawl_delay, settings.crawl_connections, time.monotonic)
        self.frontier = Frontier(limits, hosts, left.total_seconds())
        self.frontier.bytes = self._progress.bytes
        for group in self.frontier.asked:
            self.frontier.asked[group] = self._progress.asked(group)
        start_urls = [*self._request.start_urls, *started]
        self.visits = Visits(self._request, self.frontier, start_urls, recipes.load_recipes(), utc_now)
        self.web = CrawlFetcher(Fetcher(allow=settings.fetch_allow), self._blobs, settings.max_picture_bytes)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._told: set[str] = set()
        """Hosts that the job says it is waiting on."""
        self._repeated = (0, 0)
        """How far the crawl that is repeated has been looked through for what was not met: pages, pictures."""

    async def run(self) -> None:
        """Commit what happens until the crawl is over, and end the process: requests that are still under way may take
        half a minute more, and nobody waits for what they bring."""
        for chatty in ("scrapy", "twisted"):
            # Scrapy sets them anew when it starts, to two lines a URL.
            logging.getLogger(chatty).setLevel(logging.WARNING)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.frontier.stop)
        code = CrawlExit.ENDED
        try:
            await self._run()
        except LeaseLost:
            code = CrawlExit.LEASE_LOST
        except OUTAGE_ERRORS as error:
            log.warning("crawl_interrupted", job=self._taken.job_id, reason=reason_of(error))
            code = CrawlExit.OUTAGE
        except Exception as error:
            log.error("crawl_failed", job=self._taken.job_id, error=repr(error), exc_info=error)
            self._note(error)
            code = CrawlExit.FAILED
        end_process(code)

    async def _run(self) -> None:
        frontier = self.frontier
        if self._progress.met == 0:
            frontier.results.met += self.visits.meetings.seeds()
        renewed = 0.0
        while True:
            results = frontier.take_results()
            new = await self._in_thread(self._commit, results, self._waiting_on())
            quota = new if isinstance(new, ItemError) else None
            if not isinstance(new, ItemError):
                self.visits.new(results.pages, new)
            renewed = time.monotonic()
            frontier.committed(results.settled)
            if frontier.failure is not None:
                raise frontier.failure
            if frontier.stopped:
                return
            await self._refill()
            if quota is not None or (frontier.idle and not frontier.results.settled):
                if quota is None and await self._in_thread(self._find_more):
                    continue
                await self._in_thread(self._finish, quota)
                return
            await self._gather(renewed)

    async def _gather(self, renewed: float) -> None:
        """Until there is a batch, or nothing else is left to do, or the lease is to be renewed."""
        began = time.monotonic()
        renew = self._policy.deadlines.renewal_interval.total_seconds()
        while not self.frontier.stopped:
            now, settled = time.monotonic(), len(self.frontier.results.settled)
            full = settled >= BATCH_RESULTS or (settled and now - began >= BATCH_SECONDS)
            if (
                self.frontier.hosts.paused().keys() != self._told
                or full
                or self.frontier.idle
                or now - renewed >= renew
            ):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _refill(self) -> None:
        for group in ("pictures", "pages"):
            room = self.frontier.room(group)
            if room:
                # What is held in memory comes first again: it is not settled yet.
                limit = room + self.frontier.held()
                rows = await self._in_thread(self._read_waiting, limit, group == "pictures")
                self.frontier.add(rows)

    def _read_waiting(self, limit: int, pictures: bool) -> list[Waiting]:
        with self._database.reading() as session:
            return crawling.waiting(session, self._taken.job_id, limit, pictures=pictures)

    def _commit(self, results: Results, waiting_on: list[dict[str, str]]) -> set[str] | ItemError:
        """Store a batch: which URLs were new, or else why nothing more may be added."""
        new: set[str] = set()
        try:
            while len(results.met) > MET_AT_ONCE:
                # Of a large sitemap: others want to write, too.
                part, results.met = results.met[:MET_AT_ONCE], results.met[MET_AT_ONCE:]
                new |= self._store(Results(met=part), waiting_on)
            return new | self._store(results, waiting_on)
        except QuotaExceeded as error:
            return OverQuota(error.detail)
        finally:
            for writer in results.writers:
                writer.abort()

    def _store(self, results: Results, waiting_on: list[dict[str, str]]) -> set[str]:
        batch = results.batch(waiting_on)
        try:
            for attempt in self._while_away():
                with attempt:
                    self._blobs.commit(results.writers)
            for attempt in self._while_away():
                with attempt, self._database.writing() as session:
                    committed = crawling.commit(session, self._taken, batch, self._policy, utc_now())
        except BaseException:
            discard_uncommitted(self._database, self._blobs, results.writers)
            raise
        for attempt in self._while_away():
            with attempt:
                self._blobs.ensure(results.writers)
        self._taken = committed.taken
        dispatch(self._database, self._broker, committed.chunks)
        return committed.new

    def _find_more(self) -> bool:
        """Nothing waits any more: whether something does after all."""
        with self._database.writing() as session:
            decided = crawling.fall_back(session, self._taken, utc_now())
        return decided > 0 or self._look_back()

    def _look_back(self) -> bool:
        """Ask for what the crawl that is repeated has read, and this one has not met; whether there is any."""
        if self._request.since is None:
            return False
        pages, pictures = self._repeated
        with self._database.reading() as session:
            while True:
                met, further = met_urls.unreached(session, self._crawl, pages)
                if further == pages:
                    break
                pages = further
                if met:
                    self.frontier.results.met += met
                    break
            gone = 0
            while not met:
                some, further = met_urls.vanished(session, self._crawl, pictures)
                if further == pictures:
                    break
                gone, pictures = gone + some, further
        self._repeated = (pages, pictures)
        if gone:
            self.frontier.results.count("changes", "gone", gone)
        return bool(met or gone)

    def _finish(self, error: ItemError | None) -> None:
        limits = self.frontier.left_out
        rest = {kind: limits.get("pages", UrlReason.CANCELED) for kind in UrlKind}
        rest[UrlKind.PICTURE] = limits.get("pictures", UrlReason.CANCELED)
        if error is not None:
            rest = dict.fromkeys(UrlKind, error.code)
        for attempt in self._while_away():
            with attempt, self._database.writing() as session:
                finished = crawling.finish(session, self._taken, rest, error, utc_now())
        log.info("crawled", job=self._taken.job_id)
        if finished.job_terminal:
            announce_end(self._broker, self._taken.job_id, webhook=finished.webhook)
        run_task_soon(self._broker, PURGE)

    def _waiting_on(self) -> list[dict[str, str]]:
        now = utc_now()
        paused = self.frontier.hosts.paused()
        self._told = set(paused)
        return [{"host": host, "until": rfc3339(_later(now, seconds))} for host, seconds in sorted(paused.items())[:20]]

    def _note(self, error: Exception) -> None:
        with self._database.writing() as session:
            SOURCE_LEASES.fail_attempt(session, self._taken.job_id, self._taken.worker, utc_now(), reason_of(error))

    def _while_away(self) -> Retrying:
        # Longer, and the lease is another's.
        return retry_outages(self._policy.deadlines.lease / 2)

    async def _in_thread(self, call: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)


def _later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=min(seconds, 10**8))
