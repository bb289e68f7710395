"""Shared by the tests of crawls: crawls of the fixture shop, run by a worker's `CrawlRunner`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from broker.client import Broker
from core.clock import utc_now
from core.settings import Settings
from db.crawls import requests
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.database import Database
from db.steps import expanding, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.leasing import SOURCE_LEASES
from db.steps.submitting import NewJob
from db.tables import CrawlUrl, Item, Job, JobSource, UrlKind, UrlState
from tests.integration.builders import a_model
from tests.shop import Shop
from worker.sources.crawls import CrawlRunner

WORKER = "wrk_crawl@here-1"
LIMITS = CrawlLimits(pages=1_000, pictures=5_000, bytes=2**30, depth=5, minutes=10)


@dataclass(slots=True)
class CrawlRun:
    """An installation that crawls: a database, a blob store, and a worker."""

    settings: Settings
    database: Database
    crawls: CrawlRunner

    def submit(self, *start_urls: str, limits: CrawlLimits = LIMITS, key_id: str | None = None, **request: Any) -> str:
        """Submit a crawl job and return its id."""
        with self.database.writing() as session:
            new = NewJob("crawl", JobSource.CRAWL, a_model(session), key_id=key_id)
            return submitting.create_discovering(
                session, new, CrawlRequest(start_urls, limits, **request), utc_now()
            ).id

    def crawl(self, *start_urls: str, limits: CrawlLimits = LIMITS, **request: Any) -> str:
        """Submit a crawl job, run its crawl to the end, and return the job's id."""
        job_id = self.submit(*start_urls, limits=limits, **request)
        assert self.crawls.run_pending() == 1
        return job_id

    def job(self, job_id: str) -> Job:
        with self.database.reading() as session:
            job = session.get_one(Job, job_id)
            assert job.crawl is not None
            return job

    def progress(self, job_id: str) -> Mapping[str, Any]:
        crawl = self.job(job_id).crawl
        assert crawl is not None
        return crawl.progress

    def verdict(self, job_id: str) -> str | None:
        crawl = self.job(job_id).crawl
        assert crawl is not None
        return crawl.verdict

    def urls(self, job_id: str) -> list[CrawlUrl]:
        with self.database.reading() as session:
            return list(requests.list_urls(session, job_id, requests.UrlFilter(), 0, 1_000_000))

    def states(self, job_id: str, kind: UrlKind) -> Counter[UrlState]:
        return Counter(row.state for row in self.urls(job_id) if row.kind is kind)

    def items(self, job_id: str) -> list[Item]:
        with self.database.reading() as session:
            return list(session.scalars(select(Item).where(Item.job_id == job_id).order_by(Item.position)))

    def picture_urls(self, job_id: str) -> list[str]:
        return [item.source_url or "" for item in self.items(job_id)]


@contextmanager
def crawl_run(settings: Settings, database: Database, shop: Shop, **changed: object) -> Iterator[CrawlRun]:
    """Open a worker that may visit the shop without delays. `changed` holds further settings."""
    fast: dict[str, object] = {"crawl_delay": 0, "crawl_connections": 8, "fetch_allow": shop.allow}
    url = database.url.render_as_string(hide_password=False)
    settings = settings.with_changes(**fast | {"database_url": url} | changed)
    broker = Broker.connect(settings)
    crawls_ = CrawlRunner(database, broker, settings, WORKER, ChunkPolicy.of(settings))
    try:
        yield CrawlRun(settings, database, crawls_)
    finally:
        crawls_.close()
        broker.close()


def resume(run: CrawlRun, job_id: str) -> None:
    """End the crawl's lease as the sweeper does, and let a worker continue the crawl."""
    with run.database.writing() as session:
        SOURCE_LEASES.end_leases(session, utc_now())
        expanding.end_attempt(session, job_id, ChunkPolicy.of(run.settings), utc_now())
    assert run.crawls.run_pending() == 1


@pytest.fixture
def run(settings: Settings, database: Database, shop: Shop) -> Iterator[CrawlRun]:
    """A worker that crawls the module's shop."""
    with crawl_run(settings, database, shop) as running:
        yield running
