"""Crawls whose process or worker is killed: the next one continues exactly where they stopped."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import psutil
import pytest
from sqlalchemy import update

from core.clock import utc_now
from core.settings import PROJECT
from db.access import keys
from db.steps import crawling, expanding, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import MAX_ATTEMPTS
from db.steps.leasing import SOURCE_LEASES
from db.steps.submitting import NewItem
from db.tables import Crawl, Discovery, JobStatus, Scope, UrlKind, UrlState
from tests.conftest import until
from tests.integration.builders import cancel_job, locked_job
from tests.integration.crawl_runs import LIMITS, CrawlRun, resume, run
from tests.shop import Shop, running_shop
from worker.sources.crawls import child_environment

__all__ = ["run"]

PRODUCTS = 30


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(products=PRODUCTS, latency=0.03) as running:
        yield running


def count_settled(run: CrawlRun, job_id: str) -> int:
    """Return how many URLs of a crawl have their final state."""
    return sum(row.settled_at is not None for row in run.urls(job_id))


def assert_nothing_lost_and_nothing_twice(run: CrawlRun, job_id: str, shop: Shop, site: str) -> None:
    urls = run.picture_urls(job_id)
    truth = shop.truth(site, shop.address_url(site))
    assert len(urls) == len(set(urls)) == run.job(job_id).total
    assert {picture.url for product in truth.products() for picture in product.pictures} <= set(urls)
    assert run.states(job_id, UrlKind.PICTURE)[UrlState.DONE] == len(urls)
    assert not run.job(job_id).discovering


def kill_when_it_has_begun(run: CrawlRun, job_id: str, shop: Shop) -> None:
    """Let a crawl settle some URLs, and kill its process."""
    shop.gate.answers = 12
    worker = threading.Thread(target=run.crawls.run_pending)
    worker.start()
    until(lambda: shop.gate.waiting > 0 and count_settled(run, job_id) > 0)
    os.kill(run.crawls.children[job_id], signal.SIGKILL)
    open_gate(shop)
    worker.join()
    assert run.job(job_id).discovering


def start_python(script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, start_new_session=True)


def lease_end(run: CrawlRun, job_id: str) -> datetime:
    with run.database.reading() as session:
        return session.get_one(Discovery, job_id).due_at


def open_gate(shop: Shop) -> None:
    """Let out all answers, also those to clients that are gone."""
    shop.gate.answers = math.inf
    until(lambda: shop.gate.waiting == 0)


def test_a_crawl_continues_after_its_process_was_killed(run: CrawlRun, shop: Shop) -> None:
    moments = random.Random(17)
    job_id = run.submit(shop.address_url("state", "/sitemap.xml"))
    for number in range(3):
        worker = threading.Thread(target=run.crawls.run_pending if number == 0 else lambda: resume(run, job_id))
        shop.gate.answers, before = moments.randrange(8, 25), count_settled(run, job_id)
        worker.start()
        until(lambda: shop.gate.waiting > 0 and count_settled(run, job_id) > before)  # noqa: B023
        os.kill(run.crawls.children[job_id], signal.SIGKILL)
        open_gate(shop)
        worker.join()
        assert run.job(job_id).discovering
    resume(run, job_id)
    assert_nothing_lost_and_nothing_twice(run, job_id, shop, "state")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_only_the_time_in_which_a_process_crawls_counts_against_the_limit(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("state", "/sitemap.xml"))
    kill_when_it_has_begun(run, job_id, shop)
    crawled = run.progress(job_id)["seconds"]
    with run.database.writing() as session:
        # As after an outage of five hours, or when the clock is set ahead.
        session.execute(update(Crawl).values(begun_at=utc_now() - timedelta(hours=5)))
    resume(run, job_id)
    assert_nothing_lost_and_nothing_twice(run, job_id, shop, "state")
    assert 0 < crawled < run.progress(job_id)["seconds"] < 60 * LIMITS.minutes


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_crawl_that_was_submitted_while_a_clock_was_ahead_begins_at_once(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("state", "/sitemap.xml"))
    with run.database.writing() as session:
        session.execute(update(Discovery).values(due_at=utc_now() + timedelta(hours=4)))
    assert run.crawls.run_pending() == 1
    assert_nothing_lost_and_nothing_twice(run, job_id, shop, "state")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_crawl_ends_when_its_processes_together_have_used_its_time(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("state", "/sitemap.xml"))
    kill_when_it_has_begun(run, job_id, shop)
    with locked_job(run.database, job_id) as (_, job):
        assert job.crawl is not None
        job.crawl.progress = {**job.crawl.progress, "seconds": 60.0 * LIMITS.minutes}
    resume(run, job_id)
    assert run.progress(job_id)["left_out"]["limit_minutes"] > 0
    assert not run.job(job_id).discovering


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_crawl_keeps_its_lease_while_its_process_starts(
    run: CrawlRun, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = run.submit(shop.address_url("state", "/sitemap.xml"))
    # A process that never gets further than its start.
    script = "import time; time.sleep(600)"
    monkeypatch.setattr(run.crawls, "_start", lambda lease: start_python(script))
    worker = threading.Thread(target=run.crawls.run_pending)
    worker.start()
    until(lambda: job_id in run.crawls.children)
    due_at = lease_end(run, job_id)
    until(lambda: lease_end(run, job_id) > due_at, 30)
    cancel_job(run.database, job_id, utc_now())
    worker.join()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_worker_that_takes_a_crawl_again_ends_its_first_process(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("state", "/sitemap.xml"))
    shop.gate.answers = 12
    worker = threading.Thread(target=run.crawls.run_pending)
    worker.start()
    until(lambda: shop.gate.waiting > 0 and count_settled(run, job_id) > 0)
    first = run.crawls.children[job_id]
    again = threading.Thread(target=resume, args=(run, job_id))
    again.start()
    until(lambda: run.crawls.children[job_id] != first)
    open_gate(shop)
    for thread in (worker, again):
        thread.join()
    assert run.crawls.children == {}
    assert_nothing_lost_and_nothing_twice(run, job_id, shop, "state")


WORKER_SCRIPT = """
import sys
from broker.client import Broker
from core.settings import Settings
from db.steps.chunks import ChunkPolicy
from db.database import Database
from worker.sources.crawls import CrawlRunner

settings = Settings.read()
database = Database(settings.resolved_database_url)
CrawlRunner(database, Broker.connect(settings), settings, sys.argv[1], ChunkPolicy.of(settings)).run_pending()
"""


def test_a_crawl_ends_with_its_worker_and_another_worker_continues_it(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("microdata", "/sitemap.xml"))
    environment = {**os.environ, **child_environment(run.settings)}
    shop.gate.answers = 20
    worker = subprocess.Popen([sys.executable, "-c", WORKER_SCRIPT, "wrk_other@here-2"], cwd=PROJECT, env=environment)
    until(lambda: shop.gate.waiting > 0 and count_settled(run, job_id) > 0)
    (child,) = psutil.Process(worker.pid).children()
    worker.kill()
    worker.wait()
    open_gate(shop)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)
    resume(run, job_id)
    assert_nothing_lost_and_nothing_twice(run, job_id, shop, "microdata")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_process_that_lost_its_crawl_ends_and_changes_nothing(run: CrawlRun, shop: Shop) -> None:
    job_id = run.submit(shop.address_url("slow", "/sitemap.xml"))
    worker = threading.Thread(target=run.crawls.run_pending)
    worker.start()
    until(lambda: count_settled(run, job_id) > 0)
    with run.database.writing() as session:
        session.execute(update(Discovery).values(taken_by="wrk_other@here-2"))
    worker.join(10)
    assert not worker.is_alive()
    assert run.job(job_id).discovering


@pytest.mark.parametrize("found", [0, 1])
def test_a_crawl_without_progress_ends_after_its_last_attempt(run: CrawlRun, found: int) -> None:
    job_id, policy = run.submit("https://shop.example/"), ChunkPolicy.of(run.settings)
    if found:
        with locked_job(run.database, job_id) as (session, job):
            submitting.append_items(
                session, job, [NewItem("a.jpg", None, source_url="https://shop.example/a.jpg")], utc_now()
            )
    for _ in range(MAX_ATTEMPTS):
        assert run.job(job_id).discovering
        with run.database.writing() as session:
            source = crawling.take(session, "wrk_1@here-1", policy, utc_now())
            assert source is not None
            SOURCE_LEASES.fail_attempt(
                session, source.job_id, source.worker, utc_now(), "its process was killed (signal 11)"
            )
            expanding.end_attempt(session, job_id, policy, utc_now())
    job = run.job(job_id)
    assert (job.status, job.discovering) == (JobStatus.RUNNING if found else JobStatus.FAILED, False)
    assert (job.error or {})["code"] == run.verdict(job_id) == "broken_off"
    assert "signal 11" in (job.error or {})["detail"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_crawl_ends_at_the_quota_of_its_key(run: CrawlRun, shop: Shop) -> None:
    with run.database.writing() as session:
        key, _ = keys.create(session, "small", [Scope.SUBMIT], utc_now(), quota=3)
    job_id = run.submit(shop.address_url("img", "/sitemap.xml"), key_id=key.id)
    run.crawls.run_pending()
    job = run.job(job_id)
    assert (job.discovering, run.verdict(job_id)) == (False, "quota_exceeded")
    assert job.total <= 3
    assert UrlState.QUEUED not in {row.state for row in run.urls(job_id)}
