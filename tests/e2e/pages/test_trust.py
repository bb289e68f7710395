"""Accepting predictions without a look, and what to look at first, in a browser with the whole running service."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.e2e.pages.objects import JobPage, assert_accessible

OpenPage = Callable[..., Page]


def test_predictions_are_accepted_by_a_policy_and_this_is_taken_back(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    job_path = f"/v1{finished_job}"
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    page.locator("#trust").click()
    expect(page.locator("#trust-source")).to_contain_text("Reviews of this job count from 50 on")
    assert_accessible(page)
    page.locator("#trust-next").click()
    job.expect_length(len(http.get(f"{job_path}/trust").json()["next_reviews"]))
    assert "narrows=0.98" in page.url

    policy = http.post(f"{job_path}/acceptance", json={"threshold": 0.5, "target": 0.98}).json()
    assert policy["items"] > 0
    page = open_page(f"{finished_job}?accepted=true")
    job = JobPage(page)
    job.expect_length(policy["items"])
    expect(job.cells.first).to_have_class(re.compile("accepted"))
    page.locator("#trust").click()
    expect(page.locator("#trust-set")).to_contain_text(f"{policy['items']} pictures are accepted by a policy")
    page.locator("#trust-undo").click()
    expect(page.locator("#trust-policy")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(job.cells).to_have_count(0)
    assert http.get(f"{job_path}/trust").json()["acceptance"] is None


def test_what_to_look_at_first_is_a_list_that_filters_and_sorts(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    # The worker computes the hints after the end of the job, and the page waits for them.
    expect(page.locator("#hint")).to_be_visible(timeout=30_000)
    found = {row["kind"]: row for row in http.get(f"/v1{finished_job}/hints").json()["hints"]}
    assert not any(row["missing"] for kind, row in found.items() if kind != "mislabelled")
    page.locator("#hint").select_option("diverse")
    job.expect_length(found["diverse"]["flagged"])
    assert "hint=diverse&sort=diverse" in page.url
    listed = http.get(f"/v1{finished_job}/items?hint=diverse&sort=diverse").json()["data"]
    first = page.locator("#sheet .cell:not([hidden])[aria-posinset='1']")
    expect(first).to_contain_text(listed[0]["source"]["name"][:10])
    assert_accessible(page)
    page.reload()
    expect(page.locator("#hint")).to_have_value("diverse")
    page.locator("#hint").select_option("")
    job.expect_length(30)

    # A label that contradicts a confident prediction is found once the hints know it.
    sure = max((item for item in listed if item["prediction"]), key=lambda item: item["prediction"]["confidence"])
    wrong = "hat" if sure["prediction"]["label"]["id"] != "hat" else "shoes"
    http.put(f"/v1/items/{sure['id']}/review", json={"label": wrong})
    page.reload()
    page.locator("#hints-again").click()
    expect(page.locator("#hint option[value=mislabelled]")).to_have_count(1, timeout=30_000)
    page.locator("#hint").select_option("mislabelled")
    expect(job.cells).to_have_count(1)
    expect(job.cells.first).to_have_class(re.compile("reviewed"))
