"""The products of the pictures that a crawl meets."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.extraction import Extraction, FoundPicture, PageKind, Rule
from crawler.extraction.found import Product
from crawler.findings import Findings
from crawler.meetings import Meetings
from crawler.patterns import Patterns
from db.crawls.met_urls import EarlierVisit, QueuedUrl
from db.crawls.requests import CrawlLimits, CrawlRequest
from db.tables import CrawlPriority, UrlKind

LIMITS = {"pages": 9, "pictures": 9, "bytes": 9, "depth": 3, "minutes": 9}


def product_met(start_urls: tuple[str, ...], page_url: str, product: Product, *hosts: str) -> dict[str, Any]:
    """Return the product of the item that a picture on a page becomes."""
    findings = Findings()
    crawl = CrawlRequest(start_urls, CrawlLimits(**LIMITS, hosts=hosts))
    meetings = Meetings(crawl, findings, Patterns(), start_urls, [])
    picture = FoundPicture("https://cdn.example/1.jpg", page_url, Rule.JSON_LD, 1, product)
    page = QueuedUrl("d", page_url, UrlKind.PAGE, CrawlPriority.START, 0, {}, EarlierVisit())
    meetings.follow(page, Extraction(page_url, PageKind.PRODUCT, pictures=(picture,)), None, fruitful=True)
    (met,) = findings.take().met
    known: dict[str, Any] = (met.known or {})["product"]
    return known


@pytest.mark.parametrize(
    ("start_urls", "page_url", "hosts", "product_id"),
    [
        (("https://a.example/",), "https://www.a.example/p", (), "17"),
        # The shop has moved to another host.
        (("https://a.example/",), "https://b.example/p", (), "17"),
        (("https://a.example/",), "https://b.example/p", ("b.example",), "b.example/17"),
        (("https://a.example/", "https://b.example/"), "https://b.example/p", (), "b.example/17"),
        (("https://a.example/", "https://b.example/"), "https://a.example/p", (), "17"),
    ],
)
def test_the_same_id_in_two_shops_names_two_products(
    start_urls: tuple[str, ...], page_url: str, hosts: tuple[str, ...], product_id: str
) -> None:
    product = Product(product_id="17", sku="s" * 300, title="a\0b", sources={"sku": Rule.JSON_LD})
    known = product_met(start_urls, page_url, product, *hosts)
    assert (known["product_id"], len(known["sku"]), known["title"]) == (product_id, 200, "ab")
    assert known["sources"] == {"sku": "json_ld"}


def test_a_url_names_a_product_in_every_shop() -> None:
    url = "https://b.example/p"
    known = product_met(("https://a.example/", "https://b.example/"), url, Product(url=url))
    assert known == {"url": url, "product_id": url}
