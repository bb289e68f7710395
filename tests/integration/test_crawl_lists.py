"""Crawls of shops whose lists are hard to read: filters without end, lists that grow by script, languages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from db.tables import UrlKind, UrlState
from tests.integration.crawl_runs import LIMITS, CrawlRun, run
from tests.shop import Shop, running_shop

__all__ = ["run"]

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(products=60) as running:
        yield running


def products_of(shop: Shop, site: str) -> set[str]:
    """Return the paths of the pages of all products."""
    origin = shop.address_url(site)
    return {product.url.removeprefix(origin) for product in shop.truth(site, origin).products()}


def pages_read(shop: Shop, site: str) -> list[str]:
    """Return the paths of the pages that were requested, in their order."""
    paths = shop.log.paths(shop.address(site))
    return [path for path in paths if not path.startswith(("/photos", "/assets", "/robots"))]


def test_filters_come_after_all_products_and_then_end(run: CrawlRun, shop: Shop) -> None:
    job_id = run.crawl(shop.address_url("facets", "/"), limits=replace(LIMITS, pages=1_000, pictures=10))
    pages, products = pages_read(shop, "facets"), products_of(shop, "facets")
    assert products <= set(pages)
    last_product = max(pages.index(path) for path in products)
    assert last_product < len(products) + 60
    reasons = run.progress(job_id)["left_out"]
    assert reasons["endless_pattern"] > 100
    assert "limit_pages" not in reasons
    assert len(pages) < 700


def test_a_list_without_links_is_read_to_its_end(run: CrawlRun, shop: Shop) -> None:
    run.crawl(shop.address_url("growing", "/"), limits=replace(LIMITS, pictures=10))
    pages = pages_read(shop, "growing")
    assert products_of(shop, "growing") <= set(pages)
    # Each list ends after the first part that shows nothing new.
    assert len(pages) < len(products_of(shop, "growing")) + 60


def test_a_page_in_several_languages_is_read_in_one(run: CrawlRun, shop: Shop) -> None:
    products = products_of(shop, "languages")
    for start in ("/", "/sitemap.xml"):
        before = len(pages_read(shop, "languages"))
        job_id = run.crawl(shop.address_url("languages", start), limits=replace(LIMITS, pictures=10))
        pages = pages_read(shop, "languages")[before:]
        assert {f"/ko{path}" for path in products} <= set(pages)
        assert not [path for path in pages if path.startswith(("/en", "/de"))]
        assert run.progress(job_id)["left_out"]["translation"] >= 2 * len(products)
        assert run.states(job_id, UrlKind.PAGE)[UrlState.QUEUED] == 0
