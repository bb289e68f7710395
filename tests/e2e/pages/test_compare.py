"""The page that compares two jobs over the same pictures."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.pages.objects import Head, JobPage, assert_accessible
from tests.jobs import run_job

OpenPage = Callable[..., Page]


def test_two_jobs_are_compared_as_a_table_and_as_pictures(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    first = http.get(f"/v1{finished_job}").json()
    again = {"name": "Classified again", "rerun": {"job": first["id"]}}
    second = run_job(http, json=again)
    items = http.get(f"{second['links']['items']}?label=dress").json()["data"]
    changed = [{"item": item["id"], "label": "skirt"} for item in items[:2]]
    http.post(f"{second['links']['self']}/reviews", json={"reviews": changed}).raise_for_status()

    page = open_page(finished_job)
    JobPage(page).open_menu("more")
    page.get_by_role("link", name="Compare with another job").click()
    page.select_option("#second", second["id"])
    expect(page.locator("#facts")).to_contain_text("24 agree (92%)")
    expect(page.locator("#facts")).to_contain_text("2 changed")
    expect(page.locator("#changes tbody tr")).to_have_count(1)
    expect(page.locator("#changes tbody td")).to_have_text(["Dress", "Skirt", "2"])
    expect(page.locator("#pairs li")).to_have_count(2)
    assert_accessible(page)

    page.locator("#changes button").click()
    expect(page.locator("#changes button")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#pairs li")).to_have_count(2)
    page.go_back()
    expect(page.locator("#changes button")).to_have_attribute("aria-pressed", "false")
    page.reload()
    expect(page.locator("#pairs li")).to_have_count(2)
    Head(page).switch_language()
    expect(page.locator("#facts")).to_contain_text("2장 다름")


def test_the_comparison_says_what_to_do_next_and_that_a_job_does_not_exist(
    open_page: OpenPage, finished_job: str, console_errors: list[str]
) -> None:
    page = open_page("/compare", width=390, touch=True)
    expect(page.locator("#invite")).to_contain_text("Choose two jobs")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.goto(f"/compare?jobs={finished_job.rpartition('/')[2]},job_unknown")
    expect(page.locator("#refused")).to_contain_text("no such job")
    # The browser itself logs every answer of 4xx, also those that come after the words are there.
    page.wait_for_load_state("networkidle")
    assert all("404" in error for error in console_errors)
    console_errors.clear()
