"""Crawling the fixture shop against plain Scrapy with its ImagesPipeline; kill -9; memory over many pages."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from rich.progress import Progress
from sqlalchemy import func, select

from benchmarks.pipeline import backend
from benchmarks.plain_scrapy import AT_ONCE
from benchmarks.run import spread
from broker.client import Broker
from core.clock import utc_now
from core.settings import PROJECT, Settings
from db import model_versions
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.database import Database
from db.steps import expanding, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import SOURCES
from db.steps.submitting import NewJob
from db.tables import CrawlUrl, Item, Job, JobSource, UrlState
from tests.shop import Shop, shop_process
from worker.sources.crawls import Crawls

PRODUCTS = 600
ROUNDS = 3
KILLS = 10
MANY_PAGES = 50_000
SITE = "json-ld"
LIMITS = CrawlLimits(pages=1_000_000, pictures=1_000_000, bytes=2**40, depth=1, minutes=600)


class Installation:
    """What crawls: a database, a store, and a worker, none of which classifies."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.resolved_database_url)
        self.broker = Broker.connect(settings)
        self.policy = ChunkPolicy.of(settings)
        self.crawls = Crawls(self.database, self.broker, settings, "wrk_crawl@here-1", self.policy)

    def submit(self, start: str, limits: CrawlLimits = LIMITS) -> str:
        with self.database.writing() as session:
            version = model_versions.resolve(session, "production")
            new = NewJob("crawl", JobSource.CRAWL, version)
            return submitting.create_discovering(session, new, CrawlRequest((start,), limits), utc_now()).id

    def resume(self, job_id: str) -> None:
        with self.database.writing() as session:
            SOURCES.end_leases(session, utc_now())
            expanding.end_attempt(session, job_id, self.policy, utc_now())
        self.crawls.run_pending()

    def count(self, *where: Any) -> int:
        with self.database.reading() as session:
            return session.scalar(select(func.count()).where(*where)) or 0

    def settled(self, job_id: str) -> int:
        return self.count(CrawlUrl.job_id == job_id, CrawlUrl.state != UrlState.QUEUED)

    def over(self, job_id: str) -> bool:
        with self.database.reading() as session:
            return not session.get_one(Job, job_id, populate_existing=True).discovering

    def close(self) -> None:
        self.crawls.close()
        self.broker.close()
        self.database.close()


def run(progress: Progress) -> dict[str, Any]:
    """Pages and pictures per second of both, in turn; both as fast as they can, on as many connections."""
    task = progress.add_task("crawling", total=2 * ROUNDS + 2)
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with ExitStack() as stack:
        settings = stack.enter_context(backend("sqlite"))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawling-")))
        shop = stack.enter_context(shop_process(products=PRODUCTS, log=folder / "log.jsonl", prepare=True))
        settings = settings.with_changes(
            crawl_delay=0,
            crawl_connections=AT_ONCE,
            fetch_allow=",".join(str(network) for network in shop.allow),
        )
        here = Installation(settings)
        stack.callback(here.close)
        start = shop.address_url(SITE, "/sitemap.xml")
        for number in range(ROUNDS):
            theirs.append(_measured(shop, lambda n=number: _scrapy(start, folder / f"images-{n}")))  # type: ignore[misc]
            progress.advance(task)
            ours.append(_measured(shop, lambda: _ours(here, start)))
            progress.advance(task)
        kills = _killed(here, start, shop)
        progress.advance(task)
    memory = _memory(MANY_PAGES)
    progress.advance(task)
    figures = {
        name: {
            "pages": spread([one["pages"] for one in rounds]),
            "pictures": spread([one["pictures"] for one in rounds]),
        }
        for name, rounds in (("crawl", ours), ("scrapy", theirs))
    }
    pairs = list(zip(ours, theirs, strict=True))
    # Ours finds more pictures on the same pages: what was answered in all is the stricter measure.
    ratio = {
        "pictures": spread([mine["pictures"] / plain["pictures"] for mine, plain in pairs]),
        "all": spread([sum(mine.values()) / sum(plain.values()) for mine, plain in pairs]),
    }
    return {"products": PRODUCTS, "connections": AT_ONCE, "rates": figures, "ratio": ratio} | kills | memory


def _measured(shop: Shop, crawl: Callable[[], None]) -> dict[str, float]:
    """Per second, from the first request to the last that the shop saw: the start of a process does not count."""
    before = len(shop.log.visits())
    crawl()
    visits = shop.log.visits()[before:]
    seconds = max(one.finished for one in visits) - min(one.started for one in visits)
    paths = [one.path for one in visits if one.status == 200]
    pictures = sum(path.startswith("/photos/") for path in paths)
    pages = sum(path.startswith(("/p/", "/c/")) for path in paths)
    return {"pages": pages / seconds, "pictures": pictures / seconds}


def _scrapy(start: str, folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.plain_scrapy", start, str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True)
    shutil.rmtree(folder)


def _ours(here: Installation, start: str) -> None:
    here.submit(start)
    here.crawls.run_pending()


def _killed(here: Installation, start: str, shop: Shop) -> dict[str, Any]:
    """The crawl's process is killed at random moments, and gone on with each time: what is lost or there twice."""
    moments, killed = random.Random(7), 0
    job_id = here.submit(start)
    while not here.over(job_id):
        worker = threading.Thread(target=here.resume, args=[job_id])
        before = here.settled(job_id)
        worker.start()
        wanted = before + moments.randrange(1, PRODUCTS // KILLS)
        while killed < KILLS and worker.is_alive() and here.settled(job_id) < wanted:
            time.sleep(0.01)
        child = here.crawls.children.get(job_id)
        if killed < KILLS and child is not None:
            os.kill(child, signal.SIGKILL)
            killed += 1
        worker.join()
    with here.database.reading() as session:
        urls = list(session.scalars(select(Item.source_url).where(Item.job_id == job_id)))
    truth = shop.truth(SITE, shop.address_url(SITE))
    wanted_urls = {picture.url for product in truth.products() for picture in product.pictures}
    return {"killed": killed, "lost": len(wanted_urls - set(urls)), "twice": len(urls) - len(set(urls))}


def _memory(products: int) -> dict[str, Any]:
    """Resident MiB of the crawl's process when a fifth of its pages were read, and at the end."""
    samples: list[tuple[int, float]] = []
    with ExitStack() as stack:
        settings = stack.enter_context(backend("sqlite"))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawling-")))
        shop = stack.enter_context(shop_process(products=products, log=folder / "log.jsonl"))
        allow = ",".join(str(network) for network in shop.allow)
        settings = settings.with_changes(crawl_delay=0, crawl_connections=AT_ONCE, fetch_allow=allow)
        here = Installation(settings)
        stack.callback(here.close)
        # Pages only: the photos of so many products would all have to be drawn.
        limits = CrawlLimits(pages=1_000_000, pictures=1, bytes=2**40, depth=1, minutes=600)
        job_id = here.submit(shop.address_url(SITE, "/sitemap.xml"), limits)
        worker = threading.Thread(target=here.crawls.run_pending)
        began = time.monotonic()
        worker.start()
        while worker.is_alive():
            worker.join(1.0)
            child = here.crawls.children.get(job_id)
            if child is not None and psutil.pid_exists(child):
                resident = psutil.Process(child).memory_info().rss / 2**20
                samples.append((here.settled(job_id), resident))
        seconds = time.monotonic() - began
    most = max(done for done, _ in samples)
    early = next(resident for done, resident in samples if done >= most / 5)
    return {"many_pages": products, "pages_per_second": products / seconds, "memory": [early, samples[-1][1]]}
