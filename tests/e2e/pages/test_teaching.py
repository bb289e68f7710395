"""The page that teaches a model: the way to it, and the owner's own labels on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.objects import Head, JobPage, assert_accessible

OpenPage = Callable[..., Page]


@pytest.fixture(autouse=True)
def no_own_labels(http: httpx.Client) -> Iterator[None]:
    """Other tests share the service, and expect the labels of the model alone."""
    yield
    http.put("/v1/taxonomy", json={"labels": []}).raise_for_status()


def test_own_labels_are_added_on_the_page_and_offered_to_reviews(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    page = open_page(finished_job)
    JobPage(page).open_menu("more")
    page.get_by_role("link", name="Teach a model").click()
    expect(page.locator("#jobs input:checked")).to_have_count(1)
    page.get_by_role("button", name="Add a label").click()
    page.get_by_label("name in English").fill("Evening bag")
    page.get_by_label("name in Korean").fill("이브닝백")
    page.get_by_label("group", exact=True).select_option(label="a new group …")
    page.get_by_label("name of the new group").fill("Bags")
    page.get_by_role("button", name="Save the labels").click()
    expect(page.locator("#own-saved")).to_have_text("Saved.")
    assert_accessible(page)
    stored = http.get("/v1/taxonomy").json()
    assert [(row["id"], row["group"], row["names"]["ko"]) for row in stored["labels"]] == [
        ("evening-bag", "bags", "이브닝백")
    ]
    expect(page.locator("#rejected-as option", has_text="Evening bag")).to_have_count(1)

    page.goto(finished_job)
    expect(page.locator("#bulk-label option", has_text="Evening bag")).to_have_count(1)


def test_the_page_fits_a_phone_and_speaks_korean(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(f"/teach?jobs={finished_job.rpartition('/')[2]}", width=390, touch=True)
    expect(page.locator("#jobs input:checked")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    Head(page).switch_language()
    expect(page.locator("h1")).to_have_text("모델 가르치기")
