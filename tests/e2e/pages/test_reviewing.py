"""Reviewing on the page of a job: by keyboard, several at once, with a better crop, and back again."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import until
from tests.e2e.pages.objects import JobPage

OpenPage = Callable[..., Page]


@pytest.fixture
def items(http: httpx.Client, finished_job: str) -> Callable[[], list[dict[str, Any]]]:
    """A function that returns the items of the finished job as the server has them now."""

    def read() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = http.get(f"/v1{finished_job}/items").json()["data"]
        return found

    return read


def reviews_of(items: list[dict[str, Any]]) -> dict[str, str | None]:
    """The reviewed label of each reviewed item, by file name. None: no label fits."""
    reviewed = [item for item in items if item["review"]]
    return {item["source"]["name"]: (item["review"]["label"] or {}).get("id") for item in reviewed}


def test_a_review_made_elsewhere_appears_on_the_page_and_in_its_bars(
    open_page: OpenPage, http: httpx.Client, finished_job: str, items: Callable[[], list[dict[str, Any]]]
) -> None:
    dress = next(item for item in items() if item["source"]["name"] == "dress-green.jpg")
    http.put(f"/v1/items/{dress['id']}/review", json={"label": "hat"}).raise_for_status()
    page = open_page(finished_job)
    job = JobPage(page)
    expect(job.cell("dress-green.jpg").locator(".label")).to_have_text("Hat")
    expect(job.cell("dress-green.jpg")).to_have_class(re.compile("reviewed"))
    summary = http.get(f"/v1{finished_job}/summary").json()
    assert job.count_of("Hat") == next(row["count"] for row in summary["labels"] if row["id"] == "hat")
    expect(page.locator("#agreement")).to_have_text("1 reviewed, 0% as predicted")
    job.bar("Hat").click()
    job.loaded()
    job.cell("dress-green.jpg").click()
    expect(page.locator("#viewer-verdict")).to_have_text("Reviewed: Hat")


def test_numbers_and_letters_review_one_picture_after_the_other(
    open_page: OpenPage, finished_job: str, items: Callable[[], list[dict[str, Any]]]
) -> None:
    before = items()
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    page.get_by_role("button", name="Review", exact=True).click()
    names = [item["source"]["name"] for item in before[:4]]
    for name, key in zip(names, ("1", "2", "x", "1"), strict=True):
        expect(page.locator("#viewer-name")).to_have_text(name)
        page.keyboard.press(key)
    page.keyboard.press("u")
    expect(page.locator("#viewer-name")).to_have_text(names[3])
    expect(page.locator("#viewer-verdict")).to_have_text("Not reviewed")
    expected = {
        names[0]: before[0]["prediction"]["labels"][0]["id"],
        names[1]: before[1]["prediction"]["labels"][1]["id"],
        names[2]: None,
    }
    until(lambda: reviews_of(items()) == expected)
    expect(page.locator("#viewer-agreement")).to_contain_text("3 reviewed, 33.3% as predicted")


def test_several_pictures_get_a_label_at_once_and_lose_it_again(
    open_page: OpenPage, finished_job: str, items: Callable[[], list[dict[str, Any]]]
) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    job.sheet.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#bulk-count")).to_have_text("4 selected")
    expect(page.locator('.cell[aria-selected="true"]')).to_have_count(4)
    page.select_option("#bulk-label", "shoes")
    names = [item["source"]["name"] for item in items()[1:5]]
    until(lambda: reviews_of(items()) == dict.fromkeys(names, "shoes"))
    expect(job.cells.locator(".label", has_text="Shoes")).to_have_count(6)
    page.get_by_role("button", name="Undo").click()
    until(lambda: reviews_of(items()) == {})
    expect(job.cells.locator(".label", has_text="Shoes")).to_have_count(2)


def test_a_lasso_selects_and_the_selection_is_exported(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    first, second = job.cells.nth(0).bounding_box(), job.cells.nth(1).bounding_box()
    assert first is not None
    assert second is not None
    page.mouse.move(first["x"] + 20, first["y"] + 20)
    page.mouse.down()
    page.mouse.move(second["x"] + 40, second["y"] + 60, steps=4)
    page.mouse.up()
    expect(job.viewer).to_be_hidden()
    expect(page.locator("#bulk-count")).to_have_text("2 selected")
    with page.expect_download() as started:
        page.locator("#bulk").get_by_role("button", name="Export").click()
    rows = list(csv.DictReader(Path(started.value.path()).read_text("utf-8-sig").splitlines()))
    assert [row["source_name"] for row in rows] == job.texts("name")[:2]


def test_a_better_crop_is_saved_with_the_review(
    open_page: OpenPage, finished_job: str, items: Callable[[], list[dict[str, Any]]]
) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.cell("coat-camel.jpg").click()
    expect(page.locator("#viewer-photo")).to_be_visible()
    page.keyboard.press("c")
    expect(page.locator("cropper-selection")).to_be_focused()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-facts")).to_contain_text("Better crop")
    coat = 1

    def crop() -> dict[str, int] | None:
        review = items()[coat]["review"]
        found: dict[str, int] | None = review and review["crop"]
        return found

    until(lambda: crop() is not None)
    assert items()[coat]["review"]["label"]["id"] == items()[coat]["prediction"]["label"]["id"]
    # 0.7 of 1,000 × 1,400 pixels in the middle, moved down by 3 times 2 % of the longer side.
    stored = crop()
    assert stored is not None
    assert abs(stored["x"] - 150) <= 2
    assert abs(stored["y"] - (210 + 3 * 28)) <= 4
    assert (abs(stored["width"] - 700) <= 2, abs(stored["height"] - 980) <= 2) == (True, True)


def test_rejected_pictures_leave_the_bars_and_can_be_listed(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    before = job.count_of("Dress")
    job.cell("dress-green.jpg").click()
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    expect(job.cell("dress-green.jpg").locator(".label")).to_have_text("No label fits")
    expect(job.bar("Dress").locator("span").last).to_have_text(str(before - 1))
    job.filter("rejected").click()
    expect(job.cells).to_have_count(1)
