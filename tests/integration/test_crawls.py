"""Crawls of the fixture shop, by a worker that starts its child processes, into both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.settings import Settings
from db.engine import Database
from tests.integration.crawl_runs import CrawlRun, crawl_run
from tests.shop import Shop, running_shop


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(products=40) as running:
        yield running


@pytest.fixture
def run(settings: Settings, database: Database, shop: Shop) -> Iterator[CrawlRun]:
    with crawl_run(settings, database, shop) as made:
        yield made


def test_a_shop_is_found_whole_by_its_sitemap(run: CrawlRun, shop: Shop) -> None:
    base = shop.address_url("json-ld")
    job_id = run.crawl(f"{base}/sitemap.xml")
    shots = {picture.url for product in shop.truth("json-ld", base).products() for picture in product.pictures}
    found = run.picture_urls(job_id)
    assert len(found) == len(set(found))
    assert set(found) >= shots
    # What is beyond that are second views, which the page shows and its JSON-LD does not name.
    assert all("/photos/" in url for url in found)
