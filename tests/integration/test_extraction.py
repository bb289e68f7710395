"""Extraction on the fixture shop: recall, precision, and hostile pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from core.fetching import Fetcher
from core.item_errors import ItemError
from crawler.extraction import Extraction, PageKind, extract
from crawler.feeds import is_feed, read_feed
from crawler.recipes import SITES, load_recipe
from crawler.urls import canonical_url
from tests.integration.shop_fetcher import fetcher
from tests.shop import KINDS, Shop, running_shop
from tests.shop.scoring import Score

__all__ = ["fetcher"]

PRODUCTS = 105
"""Enough products for several of every variant of every kind of page."""


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(seed=11, products=PRODUCTS) as running:
        yield running


def read(fetcher: Fetcher, url: str) -> Extraction:
    page = fetcher.get(url)
    return extract(page.body, page.url, page.headers, page.status)


@pytest.mark.parametrize("kind", KINDS)
def test_extraction_finds_pictures_titles_and_prices_of_product_pages(shop: Shop, fetcher: Fetcher, kind: str) -> None:
    score, rules, truth = Score(), [], shop.truth(kind)
    for product in truth.products():
        found = read(fetcher, product.url)
        score.count([product], found)
        rules.append(found.pictures[0].rule == product.rule and found.kind is PageKind.PRODUCT)
    assert score.recall >= 0.99
    assert score.precision >= 0.98
    assert min(score.title, score.price) >= 0.98
    assert all(rules)


@pytest.mark.parametrize("kind", KINDS)
def test_a_category_page_links_each_of_its_products_and_its_next_page(shop: Shop, fetcher: Fetcher, kind: str) -> None:
    products = {product.url: product for product in shop.truth(kind).products()}
    found = read(fetcher, shop.url(kind, "/c/coats"))
    of_category = [url for url, product in products.items() if product.category == "Coat"]
    assert found.kind is PageKind.LISTING
    assert {canonical_url(url) for url in found.links.products} == set(of_category)
    assert [(picture.product.title, picture.product.price) for picture in found.pictures] == [
        (products[picture.product_url or ""].title, products[picture.product_url or ""].price)
        for picture in found.pictures
    ]
    assert found.links.feeds == (shop.url(kind, "/feed.rss"),)
    assert found.links.canonical == shop.url(kind, "/c/coats")


def test_the_recipe_of_the_first_crawler_reads_all_pages_of_all_searches(shop: Shop, fetcher: Fetcher) -> None:
    recipe, score = load_recipe(SITES / "shopping-search.yaml"), Score()
    for listing in shop.truth("next").searches(size=10):
        page = fetcher.get(listing.url)
        found = extract(page.body, page.url, page.headers, recipe=recipe)
        score.count(list(listing.products), found)
        assert {(picture.label, picture.rule) for picture in found.pictures} == {(listing.query, "recipe")}
        assert [picture.product_url for picture in found.pictures] == [product.url for product in listing.products]
    assert (score.recall, score.precision, score.title, score.price) == (1, 1, 1, 1)


def test_a_search_without_a_recipe_is_read_from_its_embedded_state(shop: Shop, fetcher: Fetcher) -> None:
    score = Score()
    for listing in shop.truth("next").searches():
        score.count(list(listing.products), read(fetcher, listing.url))
    assert (score.recall, score.precision, score.title, score.price) == (1, 1, 1, 1)


def test_sitemaps_and_feeds_list_every_product(shop: Shop, fetcher: Fetcher) -> None:
    index = fetcher.get(shop.url("json-ld", "/sitemap.xml"))
    assert is_feed(index.body, index.headers["content-type"])
    sitemaps = read_feed(index.body, index.url).sitemaps
    entries = [entry for url in sitemaps for entry in read_feed(fetcher.get(url).body, url).entries]
    products = list(shop.truth("json-ld").products())
    assert [entry.url for entry in entries] == [product.url for product in products]
    for name in ("feed.rss", "feed.atom"):
        feed = fetcher.get(shop.url("json-ld", f"/{name}"))
        found = read_feed(feed.body, feed.url).entries
        expected = [(product.url, product.title) for product in islice(products, len(found))]
        assert [(entry.url, entry.title) for entry in found] == expected


@pytest.mark.parametrize(
    ("site", "path", "kind"),
    [
        ("wall", "/", PageKind.CONSENT),
        ("empty", "/", PageKind.EMPTY),
        ("empty", "/app", PageKind.EMPTY),
        ("json-ld", "/p/coats-99999", PageKind.ERROR),
        ("json-ld", "/", PageKind.LISTING),
    ],
)
def test_kinds_of_pages_are_distinguished(shop: Shop, fetcher: Fetcher, site: str, path: str, kind: PageKind) -> None:
    assert read(fetcher, shop.url(site, path)).kind is kind


def test_hostile_pages_and_sitemaps_are_read_without_harm(shop: Shop, fetcher: Fetcher) -> None:
    for trap in shop.traps():
        if trap.is_for not in {"page", "sitemap"}:
            continue
        try:
            page = fetcher.get(trap.url)
        except ItemError:
            continue
        extract(page.body, page.url, page.headers, page.status)
        feed = read_feed(page.body, page.url)
        assert all(entry.url.startswith(shop.url("traps")) for entry in feed.entries)
        assert set(feed.sitemaps) <= {page.url}


def test_a_recipe_can_be_tried_on_one_page(shop: Shop) -> None:
    runner = CliRunner(env={"LOOKBOOK_FETCH_ALLOW": ",".join(map(str, shop.allow)), "COLUMNS": "250"})
    listing = next(shop.truth("next", shop.address_url("next")).searches())
    command = ["recipes", "try", listing.url, "--recipe", "shopping-search"]
    shown = runner.invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert re.search(rf"image +{len(listing.products)} of {len(listing.products)} +http", shown.output)
    answer = json.loads(runner.invoke(app, [*command, "--json"]).output)
    assert answer["kind"] == "listing"
    assert [(picture["product"]["title"], picture["label"], picture["rule"]) for picture in answer["pictures"]] == [
        (product.title, listing.query, "recipe") for product in listing.products
    ]


def test_a_page_can_be_read_from_a_file_without_a_request(tmp_path: Path) -> None:
    page = tmp_path / "saved.html"
    page.write_text('<title>x</title><img src="/i/a.jpg"><h1>Coat \x1b[31m[red]</h1><b>39,000원</b>', "utf-8")
    shown = CliRunner(env={"COLUMNS": "250"}).invoke(
        app, ["recipes", "try", "https://shop.example/p/1", "--file", str(page)]
    )
    assert shown.exit_code == 0, shown.output
    assert "product, 1 pictures, recipe none" in shown.output
    assert "[red]" in shown.output
    assert "\x1b[31m" not in shown.output


def test_recipes_can_be_checked_and_listed() -> None:
    runner = CliRunner(env={"COLUMNS": "250"})
    assert "shopping-search.yaml: ok, next_data" in runner.invoke(app, ["recipes", "check"]).output
    assert "shopping-search" in runner.invoke(app, ["recipes", "list"]).output
    assert {"name", "fields"} <= json.loads(runner.invoke(app, ["recipes", "list", "--json"]).output)[0].keys()


def test_errors_of_all_recipe_files_are_reported(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(
            "match: {hosts: [shop.example]}\nlist: {source: css, path: li}\nfields: {}\n", "utf-8"
        )
    done = CliRunner().invoke(app, ["recipes", "check", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")])
    assert done.exit_code == 1
    assert str(done.exception).count("fields: expected image, got nothing") == 2
