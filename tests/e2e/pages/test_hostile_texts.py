"""Foreign texts on all pages: file names, labels, products, URLs, errors and names of keys are shown as text."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

import httpx
import pytest
from playwright.sync_api import Page, expect

from core.types import ModelRef
from tests.conftest import SAMPLES, RunningService
from tests.e2e.conftest import make_key
from tests.e2e.pages.hostile import PAYLOAD, URL_PAYLOAD, HostileService
from tests.e2e.pages.objects import JobPage
from tests.jobs import run_job

OpenPage = Callable[..., Page]
PICTURE = SAMPLES / "dress-green.jpg"


@pytest.fixture
def hostile(service: RunningService, console_errors: list[str]) -> HostileService:
    return HostileService(service, console_errors)


def test_no_text_of_the_api_becomes_markup_on_any_page(
    open_page: OpenPage, hostile: HostileService, crawled: str, finished_job: str, other_version: str
) -> None:
    first, second = crawled.rpartition("/")[2], finished_job.rpartition("/")[2]
    ref = ModelRef.parse(other_version)
    pages = [
        "/jobs",
        "/new",
        "/models",
        f"/models/{ref.name}/{ref.version}",
        "/models/garments/4",
        f"/compare?jobs={first},{second}",
        "/account",
        f"{finished_job}/deliveries",
        f"{crawled}#urls",
        f"{crawled}?view=products",
        finished_job,
        crawled,
    ]
    page = open_page("/healthz")
    hostile.attack(page)
    for path in pages:
        page.goto(path)
        hostile.check(page)
    job = JobPage(page)
    job.expect_length(26)
    page.locator(".about summary").first.click()
    job.open_menu("more")
    job.cells.first.dblclick()
    expect(job.viewer).to_be_visible()
    hostile.check(page)
    assert hostile.texts > 500


def test_no_text_of_a_prediction_becomes_markup_on_the_front_page(open_page: OpenPage, hostile: HostileService) -> None:
    page = open_page("/", locale="ko-KR")
    hostile.attack(page)
    page.goto("/")
    page.set_input_files("#files", {"name": f"{PAYLOAD}.jpg", "mimeType": "image/jpeg", "buffer": PICTURE.read_bytes()})
    expect(page.locator("#ranks li").first).to_be_visible()
    hostile.check(page)


def test_no_stored_text_becomes_markup(open_page: OpenPage, hostile: HostileService, http: httpx.Client) -> None:
    product = dict.fromkeys(("product_id", "sku", "gtin", "brand", "title", "price", "color", "category"), PAYLOAD[:90])
    items = [
        {
            "url": f"https://shop.invalid/{quote(PAYLOAD)}",
            "custom_id": PAYLOAD,
            "alt": PAYLOAD,
            "page_url": URL_PAYLOAD,
            "product": product | {"url": URL_PAYLOAD, "breadcrumb": [PAYLOAD[:90]]},
            "metadata": {PAYLOAD: PAYLOAD},
        }
    ]
    webhook = {"url": f"https://shop.invalid/{quote(PAYLOAD)}?{PAYLOAD[:20]}"}
    body = {"name": PAYLOAD[:200], "items": items, "metadata": {PAYLOAD: PAYLOAD}, "webhook": webhook}
    from_urls = run_job(http, json=body)
    files = [("images", (f"{PAYLOAD}.jpg", PICTURE.read_bytes())), ("images", (PAYLOAD, b"no picture"))]
    uploaded = run_job(http, files=files, data={"name": PAYLOAD[:200]})
    page_of_uploads = uploaded["links"]["page"]
    page = open_page("/healthz")
    hostile.watch(page)
    for job in (from_urls, uploaded):
        page.goto(job["links"]["page"])
        expect(page.locator("#name")).to_have_text(PAYLOAD[:200])
        JobPage(page).cells.first.dblclick()
        hostile.check(page)
    page.goto(f"{from_urls['links']['page']}?view=products")
    expect(page.locator("#products")).to_contain_text(PAYLOAD[:90])
    hostile.check(page)
    hostile.attack(page)
    page.goto(f"{from_urls['links']['page']}/deliveries")
    expect(page.locator("main")).to_contain_text("alert(7)")
    hostile.check(page)
    parameters = urlencode(dict.fromkeys(("label", "q", "error", "product_id", "sku", "view", "item", "min"), PAYLOAD))
    written = quote(PAYLOAD)
    for path in (
        f"/{written}",
        f"/shared/{written}",
        f"/jobs?q={written}",
        f"{page_of_uploads}?{parameters}#{written}",
    ):
        page.goto(path)
        hostile.check(page)


def test_no_name_of_a_key_becomes_markup(
    locked: RunningService, open_locked: OpenPage, console_errors: list[str]
) -> None:
    hostile = HostileService(locked, console_errors)
    name = PAYLOAD[:200]
    page = open_locked(f"/login?next=/account{quote(URL_PAYLOAD)}")
    hostile.check(page)
    page.goto("/login?next=/account")
    page.get_by_label("Key").fill(make_key(locked.home, name, "--scope", "admin"))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/account")
    expect(page.locator("main")).to_contain_text(name)
    hostile.check(page)
    hostile.attack(page)
    page.reload()
    hostile.check(page)
