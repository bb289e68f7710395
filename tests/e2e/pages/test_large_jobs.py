"""The page of a job with thousands of pictures, and a morning of catalog work by keyboard alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import RunningService, until
from tests.e2e.pages.conftest import ALL
from tests.e2e.pages.objects import JobPage

OpenPage = Callable[..., Page]
PICTURES = 5000
REVIEWED = 100


@pytest.fixture(scope="module")
def large_job(service: RunningService) -> str:
    """The path of the page of a finished job of 5,000 pictures: small copies of the samples, again and again."""
    small = []
    for path in ALL:
        buffer = io.BytesIO()
        with Image.open(path) as picture:
            picture.convert("RGBA").convert("RGB").resize((64, 64)).save(buffer, "JPEG")
        small.append(buffer.getvalue())
    files = [("images", (f"sku-{number:05}.jpg", small[number % len(small)])) for number in range(PICTURES)]
    with httpx.Client(base_url=service.url, timeout=120, trust_env=False) as http:
        job = http.post("/v1/jobs", files=files, data={"name": "Spring catalog"}).json()
        until(lambda: http.get(job["links"]["self"]).json()["status"] == "completed", 120)
    return str(job["links"]["page"])


def test_a_long_sheet_has_few_nodes_and_jumps_to_any_picture(open_page: OpenPage, large_job: str) -> None:
    page = open_page(large_job)
    job = JobPage(page)
    expect(job.cells.first).to_be_visible()
    page.locator("#jump-to").fill("4000")
    page.locator("#jump-to").press("Enter")
    expect(page.locator('.cell[aria-current="true"]')).to_have_attribute("aria-posinset", "4000")
    expect(page.locator('.cell[aria-current="true"] .name')).to_have_text("sku-03999.jpg")
    assert page.evaluate("document.querySelectorAll('*').length") <= 2000
    # The place survives a reload and Back.
    page.wait_for_url("**at=*")
    page.reload()
    expect(job.cell("sku-03999.jpg")).to_be_in_viewport()
    page.goto("/docs")
    page.go_back()
    expect(job.cell("sku-03999.jpg")).to_be_in_viewport()


def test_the_100_most_doubtful_of_5000_pictures_are_reviewed_and_exported_by_keyboard_alone(
    open_page: OpenPage, large_job: str, http: httpx.Client
) -> None:
    page = open_page(large_job)
    job = JobPage(page)
    expect(job.cells.first).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(job.sheet).to_be_focused()  # The skip link leads to the pictures.
    press_tab_until_focused(page, "#sort", back=True)
    page.keyboard.press("End")
    page.wait_for_url("**sort=confidence**")
    job.loaded()
    press_tab_until_focused(page, "#sheet")
    page.keyboard.press("Enter")
    for number in range(REVIEWED):
        expect(page.locator("#viewer-place")).to_have_text(f"{number + 1} of 5,000")
        page.keyboard.press("1" if number % 2 else "2")
    page.keyboard.press("Escape")
    until(lambda: http.get(f"/v1{large_job}/summary").json()["reviewed"] == REVIEWED)
    expect(page.locator("#agreement")).to_have_text("100 reviewed, 50% as predicted")
    press_tab_until_focused(page, "#export > summary", back=True)
    page.keyboard.press("Enter")
    press_tab_until_focused(page, '#export a[data-format="csv"]')
    with page.expect_download() as started:
        page.keyboard.press("Enter")
    rows = list(csv.DictReader(Path(started.value.path()).read_text("utf-8-sig").splitlines()))
    assert len(rows) == PICTURES
    assert sum(row["review_label"] != "" for row in rows) == REVIEWED


def press_tab_until_focused(page: Page, selector: str, *, back: bool = False) -> None:
    """Press Tab (or Shift and Tab) until an element has the focus, at most 40 times."""
    reached = []
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.locator(selector).evaluate("element => element === document.activeElement"):
            return
        reached.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
    raise AssertionError(f"40 presses of Tab do not reach {selector}, but {reached}")
