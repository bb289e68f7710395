"""Crawls of the fixture shop: what they find, their politeness, and traps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from db.tables import JobStatus, UrlKind, UrlState
from tests.integration.crawl_runs import LIMITS, CrawlRun, run
from tests.shop import Shop, running_shop
from tests.shop.shelf import kind_of

__all__ = ["run"]

PRODUCTS = 30
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(products=PRODUCTS, latency=0.02, pause=0.2) as running:
        yield running


def assert_found_whole(run: CrawlRun, job_id: str, shop: Shop, site: str) -> None:
    """Check that every picture of a product is an item once, with the product's data, and that nothing else is."""
    product_of = {
        picture.url: product
        for product in shop.truth(site, shop.address_url(site)).products()
        for picture in product.pictures
    }
    items = run.items(job_id)
    by_url = {item.source_url: item for item in items}
    assert len(by_url) == len(items)
    assert set(by_url) >= set(product_of)
    assert all(kind_of(str(url)) != "furniture" for url in by_url)
    for url, product in product_of.items():
        known = (by_url[url].provenance or {})["product"]
        found = known["title"], Decimal(known["price"]), known["currency"]
        assert found == (product.title, product.price, product.currency)
        assert by_url[url].blob_sha256 is not None


@pytest.mark.parametrize(("site", "path"), [("json-ld", "/sitemap.xml"), ("lazy", "/")])
def test_every_product_of_a_shop_becomes_items(run: CrawlRun, shop: Shop, site: str, path: str) -> None:
    job_id = run.crawl(shop.address_url(site, path))
    assert_found_whole(run, job_id, shop, site)
    job = run.job(job_id)
    assert (job.status, job.discovering, job.total) == (JobStatus.RUNNING, False, len(run.items(job_id)))
    counted = {name: Counter(run.progress(job_id)[name]) for name in ("pages", "pictures", "robots")}
    listed: dict[str, Counter[str]] = {name: Counter() for name in counted}
    for row in run.urls(job_id):
        group = {UrlKind.PICTURE: "pictures", UrlKind.ROBOTS: "robots"}.get(row.kind, "pages")
        listed[group][row.state.value] += 1
        assert (row.state is UrlState.QUEUED, row.settled_at is None) == (False, False)
    assert listed == counted
    pages = {row.url: row for row in run.urls(job_id) if row.kind is not UrlKind.PICTURE}
    assert pages[shop.address_url(site, "/cart")].state is UrlState.BLOCKED_BY_ROBOTS
    visited = [visit.path for visit in shop.log.visits(shop.address(site))]
    assert not [path for path in visited if path.startswith("/cart") or "sort=" in path]
    assert visited[0] == "/robots.txt"


@on_sqlite
def test_pictures_on_another_host_are_fetched_but_not_its_pages(run: CrawlRun, shop: Shop) -> None:
    job_id = run.crawl(shop.address_url("open-graph", "/feed.rss"))
    assert_found_whole(run, job_id, shop, "open-graph")
    assert run.states(job_id, UrlKind.FEED) == {UrlState.DONE: 1}


@on_sqlite
def test_a_search_is_read_by_its_recipe_with_the_query_as_label(run: CrawlRun, shop: Shop) -> None:
    start = shop.address_url("next", "/search/all?pagingSize=2")
    job_id = run.crawl(start, recipe="shopping-search", query="셔츠")
    (listing,) = {search.query: search for search in shop.truth("next").searches() if search.query == "셔츠"}.values()
    items = run.items(job_id)
    assert len(items) == len(listing.products)
    assert {(item.provenance or {})["label"] for item in items} == {"셔츠"}
    assert {(item.provenance or {})["rule"] for item in items} == {"recipe"}


@on_sqlite
@pytest.mark.parametrize(
    ("site", "verdict"),
    [("wall", "cookie_wall"), ("empty", "empty"), ("closed", "blocked_by_robots"), ("ill", "blocked_by_robots")],
)
def test_the_verdict_says_why_a_shop_gave_nothing(run: CrawlRun, shop: Shop, site: str, verdict: str) -> None:
    job_id = run.crawl(shop.address_url(site, "/"))
    job = run.job(job_id)
    assert (job.status, (job.error or {})["code"], run.verdict(job_id)) == (JobStatus.FAILED, verdict, verdict)
    host = shop.address(site)
    if verdict == "blocked_by_robots":
        assert set(shop.log.paths(host)) == {"/robots.txt"}


@on_sqlite
@pytest.mark.parametrize("site", ["calendar", "sessions", "tracked"])
def test_a_crawl_of_an_endless_shop_ends_and_finds_every_product(run: CrawlRun, shop: Shop, site: str) -> None:
    job_id = run.crawl(shop.address_url(site, "/"), limits=replace(LIMITS, depth=100))
    assert_found_whole(run, job_id, shop, site)
    assert len(run.items(job_id)) == len(set(run.picture_urls(job_id)))


@on_sqlite
def test_hostile_urls_get_a_final_state_and_never_lead_into_the_private_network(run: CrawlRun, shop: Shop) -> None:
    quick_outcomes = {"blocked_address", "fetch_forbidden", "too_large", "harmless", "text"}
    traps = {trap.url.rpartition("/t/")[2] for trap in shop.traps() if trap.must in quick_outcomes} | {"status-404"}
    starts = [shop.address_url("traps", f"/t/{name}") for name in sorted(traps - {"endless-chunks"})]
    job_id = run.crawl(*starts)
    states = {row.url.rpartition("/t/")[2]: (row.state, row.reason_code) for row in run.urls(job_id)}
    assert UrlState.QUEUED not in {state for state, _ in states.values()}
    assert states["redirect-to-file"] == (UrlState.NOT_ALLOWED, "fetch_forbidden")
    assert states["status-404"] == (UrlState.GONE, "fetch_failed")
    assert states["page-bomb"] == (UrlState.FAILED, "too_large")
    blocked = [row for row in run.urls(job_id) if row.state is UrlState.BLOCKED_ADDRESS]
    assert len(blocked) > 5
    assert shop.log.connected("127.0.0.2") == []


@on_sqlite
def test_a_missing_host_is_reported_as_unreachable(run: CrawlRun) -> None:
    job_id = run.crawl("http://127.1.0.250/")
    assert run.verdict(job_id) == "unreachable"
    (page,) = [row for row in run.urls(job_id) if row.kind is UrlKind.PAGE]
    assert (page.state, page.reason_code) == (UrlState.FAILED, "fetch_failed")
