"""Crawls that repeat another crawl: unchanged pictures cost no download, and changes are reported."""

from __future__ import annotations

from core.settings import Settings
from db.database import Database
from db.tables import UrlKind, UrlState
from tests.integration.crawl_runs import crawl_run
from tests.shop import running_shop

PRODUCTS = 40
SITE = "json-ld"
STATE_BY_FATE = {
    "gone": UrlState.GONE,
    "same": UrlState.NOT_MODIFIED,
    "photo": UrlState.NOT_MODIFIED,
    "new": UrlState.DONE,
    "price": UrlState.DONE,
    "both": UrlState.DONE,
}
"""The state that the second crawl gives the page of a product, by what happened to the product between the crawls."""


def test_a_repeated_crawl_downloads_only_changed_pictures(settings: Settings, database: Database) -> None:
    with running_shop(products=PRODUCTS) as shop:
        start = shop.address_url(SITE, "/sitemap.xml")
        port = shop.port
        with crawl_run(settings, database, shop) as run:
            first = run.crawl(start)
    with running_shop(products=PRODUCTS, visit=2, port=port) as shop, crawl_run(settings, database, shop) as run:
        fates = dict(shop.truth(SITE, shop.address_url(SITE)).fates())
        truth = {p.url: p for p in shop.truth(SITE, shop.address_url(SITE)).products()}
        before = {row.url: row.blob_sha256 for row in run.urls(first) if row.kind is UrlKind.PICTURE}
        second = run.crawl(start, since=first)
        visits = shop.log.visits(shop.address(SITE))
    rows = {row.url: row for row in run.urls(second)}
    for url, fate in fates.items():
        assert rows[url].state is STATE_BY_FATE[fate], (url, fate)
    items = {item.source_url: item for item in run.items(second)}
    shown = {picture.url for product in truth.values() for picture in product.pictures}
    assert shown <= set(items)
    unchanged = {url for url in shown if rows[url].state is UrlState.NOT_MODIFIED}
    assert {url for url in unchanged if items[url].blob_sha256 != before[url]} == set()
    changes = run.progress(second)["changes"]
    known = {row.url for row in run.urls(first) if row.state is UrlState.DONE and row.kind is UrlKind.PICTURE}
    assert changes["new"] == len(set(items) - known)
    assert changes["gone"] == len(known - set(items))
    assert changes["changed"] == sum(items[url].blob_sha256 != before[url] for url in known & set(items))
    assert changes["unchanged"] == len(known & set(items)) - changes["changed"]
    photos = [visit for visit in visits if visit.path.startswith("/photos/")]
    assert sum(visit.status == 200 for visit in photos) == changes["new"] + changes["changed"]
