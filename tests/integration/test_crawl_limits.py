"""The limits of crawls, their politeness, and how they are canceled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from core.clock import utc_now
from core.settings import Settings
from db.crawls.requests import CrawlLimits
from db.database import Database
from db.tables import JobStatus, UrlKind, UrlState
from tests.conftest import until
from tests.integration.builders import cancel_job
from tests.integration.crawl_runs import LIMITS, CrawlRun, crawl_run, run
from tests.shop import Shop, running_shop

__all__ = ["run"]

FEWER_PICTURES = replace(LIMITS, pictures=1_000)

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(products=12, latency=0.05) as running:
        yield running


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(FEWER_PICTURES, pages=3), "limit_pages"),
        (replace(FEWER_PICTURES, pictures=2), "limit_pictures"),
        (replace(FEWER_PICTURES, depth=0), "limit_depth"),
    ],
)
def test_urls_beyond_a_limit_are_left_out_and_counted(
    run: CrawlRun, shop: Shop, limits: CrawlLimits, reason: str
) -> None:
    job_id = run.crawl(shop.address_url("img", "/"), limits=limits)
    left = [row for row in run.urls(job_id) if row.reason_code == reason]
    assert run.progress(job_id)["left_out"][reason] == len(left) > 0
    assert {row.state for row in left} == {UrlState.LEFT_OUT}
    done = run.states(job_id, UrlKind.PICTURE)[UrlState.DONE]
    read = run.states(job_id, UrlKind.PAGE)[UrlState.DONE]
    assert read <= limits.pages
    assert 0 < done <= limits.pictures


def test_a_crawl_stops_at_its_limit_of_bytes(run: CrawlRun, shop: Shop) -> None:
    job_id = run.crawl(shop.address_url("img", "/sitemap.xml"), limits=replace(LIMITS, bytes=50_000))
    assert run.progress(job_id)["left_out"]["limit_bytes"] > 10
    # Downloads that were running when the limit was reached still finished.
    assert 50_000 <= run.progress(job_id)["bytes"] < 1_500_000


def test_the_delay_of_robots_txt_is_kept(run: CrawlRun, shop: Shop) -> None:
    run.crawl(shop.address_url("polite", "/"), limits=replace(LIMITS, pages=3, pictures=2))
    started = [visit.started for visit in shop.log.visits(shop.address("polite"))]
    assert len(started) >= 4
    # The shop sees a request a little after the crawler begins it. A late first one shortens the whole by less than one
    # delay. tests/unit/crawler/test_politeness.py tests the single delays with a clock of its own.
    assert max(started) - min(started) >= 0.5 * (len(started) - 2)


def test_the_limit_of_concurrent_requests_to_a_host_is_kept(settings: Settings, database: Database, shop: Shop) -> None:
    with crawl_run(settings, database, shop, crawl_connections=2) as run:
        run.crawl(shop.address_url("microdata", "/sitemap.xml"))
    assert shop.log.max_in_progress(shop.address("microdata")) == 2


def test_a_pause_that_a_host_demands_is_kept(settings: Settings, database: Database, shop: Shop) -> None:
    with crawl_run(settings, database, shop, crawl_connections=1) as run:
        job_id = run.submit(shop.address_url("busy", "/sitemap.xml"), limits=replace(LIMITS, pages=8, pictures=4))
        worker = threading.Thread(target=run.crawls.run_pending)
        worker.start()
        until(lambda: bool(run.progress(job_id).get("waiting_on")))
        (waiting,) = run.progress(job_id)["waiting_on"]
        assert waiting["host"].startswith(shop.address("busy"))
        worker.join()
    visits = shop.log.visits(shop.address("busy"))
    for number, visit in enumerate(visits):
        if visit.status == 429:
            later = [after.started for after in visits[number + 1 :] if after.started > visit.finished]
            assert not later or later[0] - visit.finished >= 0.99
    assert {429, 503} <= {visit.status for visit in visits}
    assert run.states(job_id, UrlKind.PICTURE)[UrlState.DONE] == 4


def test_a_canceled_crawl_ends_within_seconds(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("slow", "/sitemap.xml"))
    worker = threading.Thread(target=run.crawls.run_pending)
    worker.start()
    until(lambda: run.states(job_id, UrlKind.PAGE)[UrlState.DONE] > 0)
    cancel_job(run.database, job_id, utc_now())
    worker.join(10)
    assert not worker.is_alive()
    job = run.job(job_id)
    assert (job.status, job.discovering, run.crawls.children) == (JobStatus.CANCELED, False, {})
    assert UrlState.QUEUED not in {row.state for row in run.urls(job_id)}
    assert run.progress(job_id)["left_out"]["canceled"] > 0
