"""The pages about models: the list, and one version as a specimen sheet."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import SAMPLES
from tests.e2e.pages.objects import ModelPage, assert_accessible
from tests.jobs import run_job

OpenPage = Callable[..., Page]


def test_the_list_leads_to_a_version_with_its_figures_matrix_curves_and_card(open_page: OpenPage) -> None:
    page = open_page("/models")
    expect(page.locator(".versions li").filter(has_text="garments@4")).to_contain_text("production")
    assert_accessible(page)
    page.get_by_role("link", name="garments@4").click()
    model = ModelPage(page)
    expect(model.figures.first).to_contain_text("94.4%92.1% to 96.5%")
    expect(model.figures.last).to_contain_text("1.4%33.1% before calibration")
    expect(model.cell("Long-sleeve", "Outerwear")).to_have_text("4")
    expect(page.locator("#labels tbody tr").filter(has_text="Skirt")).to_contain_text("90.9%100.0%83.3%12")
    expect(page.get_by_role("img", name="accuracy by epoch: 10 epochs, in the end 94.4%")).to_be_visible()
    expect(model.card.get_by_role("heading", name="Limits")).to_be_visible()
    assert_accessible(page)


def test_two_versions_stand_side_by_side_and_the_url_keeps_it(open_page: OpenPage, other_version: str) -> None:
    page = open_page("/models/garments/4")
    model = ModelPage(page)
    model.compare_with(other_version)
    expect(model.figures.first).to_contain_text("90.0%")
    expect(model.figures.first).to_contain_text("+4.4 points")
    expect(page.get_by_text("measured on different pictures")).to_be_visible()
    page.reload()
    expect(model.figures.first).to_contain_text("+4.4 points")
    page.go_back()
    expect(model.figures.first).not_to_contain_text("points")


def test_a_hostile_card_is_text_on_a_korean_phone(open_page: OpenPage, other_version: str) -> None:
    page = open_page("/models/other/1", width=390, locale="ko-KR", dark=True)
    model = ModelPage(page)
    expect(model.card.get_by_role("heading")).to_have_text("<script>alert(1)</script>")
    expect(model.card).to_contain_text('<img src="x" onerror="alert(1)">')
    expect(model.card).to_contain_text("[bad](javascript:alert(1))")
    expect(model.card.get_by_role("link", name="good")).to_have_attribute("href", "https://example.org/")
    expect(model.card.locator("img, script")).to_have_count(0)
    expect(page.get_by_role("heading", name="혼동 행렬")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(page)


def test_a_confusion_of_reviews_opens_its_pictures(open_page: OpenPage, http: httpx.Client) -> None:
    picture = (SAMPLES / "dress-green.jpg").read_bytes()
    jobs = []
    for number in range(2):
        files = [("images", (f"{number}.jpg", picture))]
        jobs.append(run_job(http, files=files, data={"name": f"confused {number}"})["id"])
        item = http.get(f"/v1/jobs/{jobs[-1]}/items").json()["data"][0]
        predicted = item["prediction"]["label"]
        http.put(f"/v1/items/{item['id']}/review", json={"label": "hat"} if number else {"rejected": True})
    page = open_page("/models/garments/4")
    model = ModelPage(page)
    model.show_reviews()
    expect(model.hint).to_contain_text("A number opens its pictures")
    expect(page).to_have_url(re.compile(r"confusion=reviews"))
    assert_accessible(page)
    link = model.cell("Hat", predicted["name"]).get_by_role("link")
    expect(link).to_have_attribute("href", f"/jobs/{jobs[1]}?predicted={predicted['id']}&label=hat")
    rejected = model.cell("no label fits", predicted["name"]).get_by_role("link")
    expect(rejected).to_have_attribute("href", f"/jobs/{jobs[0]}?predicted={predicted['id']}&rejected=true")


def test_the_weeks_of_a_version_are_drawn_and_listed(open_page: OpenPage, http: httpx.Client) -> None:
    pictures = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.glob("dress-*.jpg"))]
    job = run_job(http, files=pictures * 30)
    assert job["status"] == "completed"
    week = http.get("/v1/models/garments/4/drift").json()["weeks"][-1]
    page = open_page("/models/garments/4")
    cells = page.locator("#weeks tbody tr").first.locator("td")
    expect(cells.first).to_have_text(f"{week['pictures']:,}")
    expect(cells.nth(2)).to_have_text(re.compile(r"^[\d.]+ (small|moderate|large|too few)$"))
    expect(page.get_by_role("img", name="Index of the labels by week")).to_be_visible()
    assert_accessible(page)


def test_a_shadow_run_is_started_and_stopped(open_page: OpenPage, other_version: str) -> None:
    page = open_page("/models/other/1")
    expect(page.locator("#shadow-state")).to_have_text("This version has had no shadow run yet.")
    page.get_by_label("share").select_option(label="20%")
    page.locator("#shadow-start").click()
    expect(page.locator("#shadow-state")).to_contain_text("on 20% of the new pictures: 0 compared")
    assert_accessible(page)
    page.locator("#shadow-stop").click()
    expect(page.locator("#shadow-state")).to_contain_text("Ran from")
    expect(page.locator("#shadow-start")).to_be_visible()


def test_an_unknown_version_says_so(open_page: OpenPage, console_errors: list[str]) -> None:
    page = open_page("/models/garments/99")
    expect(page.get_by_role("alert")).to_contain_text("There is no such model version here")
    assert page.request.get("/models/garments/99").status == 404
    # The browser itself logs every answer of 4xx.
    assert all("404" in error for error in console_errors)
    console_errors.clear()
