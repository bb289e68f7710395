"""Pages that a script draws: a crawl reads them with a browser, and the browser reaches no private network."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Network

import pytest
import structlog

from core.fetching import Fetcher
from core.item_errors import PageNotDrawn
from core.settings import Settings
from crawler import rendering
from crawler.extraction import PageKind, extract
from crawler.rendering import Renderer
from db.database import Database
from tests.conftest import skip_without
from tests.integration.crawl_runs import LIMITS, crawl_run
from tests.shop import Shop, running_shop
from tests.shop.places import INSIDE

connected: list[str] = []
"""The IP addresses to which this process has opened connections since the last test cleared the list."""


def note_connection(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        connected.append(str(arguments[1][0]))


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(products=8) as running:
        yield running


@pytest.fixture(scope="module")
def drawing() -> dict[str, object]:
    """The settings that let a crawl draw pages on this machine."""
    names = (os.environ.get("LOOKBOOK_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, filter(None, names)) if found), None)
    if path is None:
        skip_without("Chromium")
    return {"render": "auto", "chromium": path, "chromium_sandbox": False}


@pytest.fixture
def renderer(settings: Settings, shop: Shop, drawing: dict[str, object]) -> Iterator[Renderer]:
    fetcher = Fetcher(allow=[IPv4Network(f"{shop.address('drawn')}/32")])
    made = Renderer(settings.with_changes(**drawing), fetcher, lambda url: True)
    yield made
    made.close()
    fetcher.close()


def test_scripts_of_a_page_reach_no_private_address(
    renderer: Renderer, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Fetcher(allow=shop.allow) as fetcher:
        attack = fetcher.get(shop.address_url("drawn", "/attack"))
        endless = fetcher.get(shop.address_url("drawn", "/endless"))
        home = fetcher.get(shop.address_url("drawn", "/"))
    sys.addaudithook(note_connection)
    connected.clear()
    with structlog.testing.capture_logs() as logs:
        assert b"Attack" in renderer.render(attack).body
    refused = [entry["reason"] for entry in logs if entry["event"] == "proxy_refused"]
    assert any("169.254.169.254" in reason for reason in refused)
    assert any(INSIDE in reason for reason in refused)
    assert len(refused) > 10
    # The redirect led inside, and the browser followed it as far as the proxy.
    assert "/to-the-inside" in shop.log.paths(shop.address("drawn"))
    assert shop.log.connected(INSIDE) == []
    assert set(connected) == {shop.address("drawn")}
    # A script without end costs its page, and the next page is drawn by a new browser.
    monkeypatch.setattr(rendering, "MAX_SECONDS", 2.0)
    with pytest.raises(PageNotDrawn, match="expected a page within 2 s"):
        renderer.render(endless)
    monkeypatch.undo()
    drawn = renderer.render(home)
    assert extract(home.body, home.url).kind is PageKind.EMPTY
    assert extract(drawn.body, home.url).kind is PageKind.LISTING


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_shop_that_a_script_draws_is_crawled_if_the_setting_allows_it(
    settings: Settings, database: Database, shop: Shop, drawing: dict[str, object]
) -> None:
    start = shop.address_url("drawn", "/")
    with crawl_run(settings, database, shop) as run:
        assert run.verdict(run.crawl(start)) == "empty"
    with crawl_run(settings, database, shop, **drawing) as run:
        job_id = run.crawl(start, limits=replace(LIMITS, pages=10))
    origin = shop.address_url("drawn")
    pictures = {picture.url for product in shop.truth("drawn", origin).products() for picture in product.pictures}
    assert set(run.picture_urls(job_id)) >= pictures
    product = next(iter(shop.truth("drawn", origin).products()))
    with Fetcher(allow=shop.allow) as fetcher:
        bare = fetcher.get(product.url)
    assert extract(bare.body, bare.url).kind is PageKind.PRODUCT
    with crawl_run(settings, database, shop, **drawing) as run:
        job_id = run.crawl(product.url, limits=replace(LIMITS, pages=1))
    assert {picture.url for picture in product.pictures} <= set(run.picture_urls(job_id))
    assert shop.log.connected(INSIDE) == []


def test_the_error_names_what_is_missing(settings: Settings, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with Fetcher(allow=shop.allow) as fetcher:
        home = fetcher.get(shop.address_url("drawn", "/"))
        renderer = Renderer(settings.with_changes(render="auto", chromium="/nowhere"), fetcher, lambda url: True)
        with pytest.raises(PageNotDrawn, match="LOOKBOOK_CHROMIUM is its path"):
            renderer.render(home)
        monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
        with pytest.raises(PageNotDrawn, match=r"pip install -r requirements/render\.txt"):
            renderer.render(home)
        renderer.close()
