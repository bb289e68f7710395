"""Compare a crawl of the fixture shop with plain Scrapy and its ImagesPipeline.

Also kill the crawl's process again and again and count lost pictures, and measure its memory over many pages.
"""

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
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from rich.progress import Progress
from sqlalchemy import func, select

from benchmarks.pipeline import empty_installation
from benchmarks.plain_scrapy import CONNECTIONS
from benchmarks.run import spread
from broker.client import Broker
from core.clock import utc_now
from core.settings import PROJECT, Settings
from db import model_versions
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.database import Database
from db.steps import expanding, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import SOURCE_LEASES
from db.steps.submitting import NewJob
from db.tables import CrawlUrl, Item, Job, JobSource, UrlState
from tests.shop import Shop, shop_process
from worker.sources.crawls import CrawlRunner

PRODUCTS = 600
ROUNDS = 3
KILLS = 10
MANY_PAGES = 50_000
SITE = "json-ld"
LIMITS = CrawlLimits(pages=1_000_000, pictures=1_000_000, bytes=2**40, depth=1, minutes=600)


class Installation:
    """A database, a blob store and a worker that crawls. Nothing here classifies pictures."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings.resolved_database_url)
        self.broker = Broker.connect(settings)
        self.policy = ChunkPolicy.of(settings)
        self.crawls = CrawlRunner(self.database, self.broker, settings, "wrk_crawl@here-1", self.policy)

    def submit(self, start: str, limits: CrawlLimits = LIMITS) -> str:
        with self.database.writing() as session:
            version = model_versions.resolve(session, "production")
            new = NewJob("crawl", JobSource.CRAWL, version)
            return submitting.create_discovering(session, new, CrawlRequest((start,), limits), utc_now()).id

    def resume(self, job_id: str) -> None:
        with self.database.writing() as session:
            SOURCE_LEASES.end_leases(session, utc_now())
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
    """Return pages and pictures per second of a crawl and of Scrapy.

    The two take turns. Both run without pauses and with the same number of connections.
    """
    task = progress.add_task("crawling", total=2 * ROUNDS + 2)
    crawl_rounds: list[dict[str, float]] = []
    scrapy_rounds: list[dict[str, float]] = []
    with ExitStack() as stack:
        settings = stack.enter_context(empty_installation("sqlite"))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawling-")))
        shop = stack.enter_context(shop_process(products=PRODUCTS, log=folder / "log.jsonl", prepare=True))
        settings = settings.with_changes(
            crawl_delay=0,
            crawl_connections=CONNECTIONS,
            fetch_allow=",".join(str(network) for network in shop.allow),
        )
        installation = Installation(settings)
        stack.callback(installation.close)
        start = shop.address_url(SITE, "/sitemap.xml")
        for number in range(ROUNDS):
            run_scrapy = partial(_scrapy, start, folder / f"images-{number}")
            scrapy_rounds.append(_measured(shop, run_scrapy))
            progress.advance(task)
            crawl_rounds.append(_measured(shop, partial(_crawl, installation, start)))
            progress.advance(task)
        kills = _killed(installation, start, shop)
        progress.advance(task)
    memory = _memory(MANY_PAGES)
    progress.advance(task)
    figures = {
        name: {
            "pages": spread([rates["pages"] for rates in rounds]),
            "pictures": spread([rates["pictures"] for rates in rounds]),
        }
        for name, rounds in (("crawl", crawl_rounds), ("scrapy", scrapy_rounds))
    }
    pairs = list(zip(crawl_rounds, scrapy_rounds, strict=True))
    # The crawl finds more pictures on the same pages. Pages and pictures together are therefore the stricter measure.
    ratio = {
        "pictures": spread([crawl["pictures"] / scrapy["pictures"] for crawl, scrapy in pairs]),
        "all": spread([sum(crawl.values()) / sum(scrapy.values()) for crawl, scrapy in pairs]),
    }
    return {"products": PRODUCTS, "connections": CONNECTIONS, "rates": figures, "ratio": ratio} | kills | memory


def _measured(shop: Shop, crawl: Callable[[], None]) -> dict[str, float]:
    """Return pages and pictures per second, between the first and the last request in the shop's log.

    The time that a process needs to start therefore does not count.
    """
    before = len(shop.log.visits())
    crawl()
    visits = shop.log.visits()[before:]
    seconds = max(visit.finished for visit in visits) - min(visit.started for visit in visits)
    paths = [visit.path for visit in visits if visit.status == 200]
    pictures = sum(path.startswith("/photos/") for path in paths)
    pages = sum(path.startswith(("/p/", "/c/")) for path in paths)
    return {"pages": pages / seconds, "pictures": pictures / seconds}


def _scrapy(start: str, folder: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.plain_scrapy", start, str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True)
    shutil.rmtree(folder)


def _crawl(installation: Installation, start: str) -> None:
    installation.submit(start)
    installation.crawls.run_pending()


def _killed(installation: Installation, start: str, shop: Shop) -> dict[str, Any]:
    """Kill the crawl's process at random moments, resume the crawl each time, and count lost and doubled pictures."""
    random_steps, killed = random.Random(7), 0
    job_id = installation.submit(start)
    while not installation.over(job_id):
        worker = threading.Thread(target=installation.resume, args=[job_id])
        before = installation.settled(job_id)
        worker.start()
        kill_at = before + random_steps.randrange(1, PRODUCTS // KILLS)
        while killed < KILLS and worker.is_alive() and installation.settled(job_id) < kill_at:
            time.sleep(0.01)
        child = installation.crawls.children.get(job_id)
        if killed < KILLS and child is not None:
            os.kill(child, signal.SIGKILL)
            killed += 1
        worker.join()
    with installation.database.reading() as session:
        urls = list(session.scalars(select(Item.source_url).where(Item.job_id == job_id)))
    truth = shop.truth(SITE, shop.address_url(SITE))
    expected = {picture.url for product in truth.products() for picture in product.pictures}
    return {"killed": killed, "lost": len(expected - set(urls)), "twice": len(urls) - len(set(urls))}


def _memory(products: int) -> dict[str, Any]:
    """Return the resident memory of the crawl's process in MiB, after a fifth of its pages and at the end."""
    samples: list[tuple[int, float]] = []
    with ExitStack() as stack:
        settings = stack.enter_context(empty_installation("sqlite"))
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="crawling-")))
        shop = stack.enter_context(shop_process(products=products, log=folder / "log.jsonl"))
        allow = ",".join(str(network) for network in shop.allow)
        settings = settings.with_changes(crawl_delay=0, crawl_connections=CONNECTIONS, fetch_allow=allow)
        installation = Installation(settings)
        stack.callback(installation.close)
        # The shop draws each photo when it is first asked for. 50,000 products have too many, so only pages are read.
        limits = CrawlLimits(pages=1_000_000, pictures=1, bytes=2**40, depth=1, minutes=600)
        job_id = installation.submit(shop.address_url(SITE, "/sitemap.xml"), limits)
        worker = threading.Thread(target=installation.crawls.run_pending)
        started = time.monotonic()
        worker.start()
        while worker.is_alive():
            worker.join(1.0)
            child = installation.crawls.children.get(job_id)
            if child is not None and psutil.pid_exists(child):
                resident = psutil.Process(child).memory_info().rss / 2**20
                samples.append((installation.settled(job_id), resident))
        seconds = time.monotonic() - started
    settled_at_end = max(settled for settled, _ in samples)
    early = next(resident for settled, resident in samples if settled >= settled_at_end / 5)
    return {"many_pages": products, "pages_per_second": products / seconds, "memory": [early, samples[-1][1]]}
