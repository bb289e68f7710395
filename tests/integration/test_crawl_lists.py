"""Crawls of shops whose lists are hard to read: filters without end, lists that grow by script, languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.integration.crawl_runs import LIMITS, CrawlRun, run
from tests.shop import Shop, running_shop
from tests.shop.lists import LANGUAGES
from tests.shop.pictures import BEST, LARGEST

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
    job_id = run.crawl(shop.address_url("facets", "/"), limits=replace(LIMITS, pages=260, pictures=10))
    pages, products = pages_read(shop, "facets"), products_of(shop, "facets")
    assert products <= set(pages[: len(products) + 60])
    reasons = run.progress(job_id)["left_out"]
    assert reasons["endless_pattern"] > 100


def test_a_list_without_links_is_read_to_its_end(run: CrawlRun, shop: Shop) -> None:
    run.crawl(shop.address_url("growing", "/"), limits=replace(LIMITS, pictures=10))
    pages = pages_read(shop, "growing")
    assert products_of(shop, "growing") <= set(pages)
    # Each list ends after the first part that shows nothing new.
    assert len(pages) < len(products_of(shop, "growing")) + 60


def test_products_without_data_and_prices_are_found_in_their_large_photos(run: CrawlRun, shop: Shop) -> None:
    job_id = run.crawl(shop.address_url("bare", "/"))
    titles = {product.url: product.title for product in shop.truth("bare", shop.address_url("bare")).products()}
    items = {str(item.source_url): item.provenance or {} for item in run.items(job_id)}
    assert {known["product"]["url"]: known["product"]["title"] for known in items.values()} == titles
    assert {url.rpartition("-")[2] for url in items} == {f"{LARGEST}q{BEST}.jpg"}
    assert {known["product"]["sources"]["title"] for known in items.values()} == {"text"}


def test_a_page_in_several_languages_is_read_in_one(run: CrawlRun, shop: Shop) -> None:
    products = products_of(shop, "languages")
    limits = replace(LIMITS, depth=1, pictures=10)
    run.crawl(shop.address_url("languages", "/"), limits=limits)
    before = pages_read(shop, "languages")
    assert {path[:3] for path in before if "/p/" in path} == {"/ko"}
    job_id = run.crawl(shop.address_url("languages", "/sitemap.xml"), limits=limits)
    pages = [path for path in pages_read(shop, "languages")[len(before) :] if path[1:3] in LANGUAGES]
    assert Counter(path[3:] for path in pages) == Counter(products)
    assert run.progress(job_id)["left_out"]["translation"] == 2 * len(products)


@pytest.mark.parametrize("site", ["shopify", "woocommerce"])
def test_the_products_of_a_shop_engine_are_read_from_its_json(run: CrawlRun, shop: Shop, site: str) -> None:
    job_id = run.crawl(shop.address_url(site, "/"), limits=replace(LIMITS, depth=1))
    origin = shop.address_url(site)
    pictures = {picture.url: product for product in shop.truth(site, origin).products() for picture in product.pictures}
    items = {item.source_url: item for item in run.items(job_id)}
    assert set(items) >= set(pictures)
    by_recipe = [url for url in pictures if (items[url].provenance or {})["rule"] == "recipe"]
    for url in by_recipe:
        found, product = (items[url].provenance or {})["product"], pictures[url]
        assert (found["title"], Decimal(found["price"])) == (product.title, product.price)
        assert found["sku"]
    # The list has all data of the products, so hardly any of their pages is read: at most those that the start page
    # links, because the crawler requests the first of them together with the list.
    assert len(by_recipe) > len(pictures) * 0.8
    assert len(products_of(shop, site) & set(pages_read(shop, site))) <= 8
