"""The page of a job in a real browser, with the whole running service: progress, filters, the sheet, the viewer."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from tests.conftest import RunningService, suspended_worker, until
from tests.e2e.pages.conftest import ALL
from tests.e2e.pages.objects import Head, JobPage, assert_accessible

OpenPage = Callable[..., Page]


def query_of(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_polling_is_one_request_per_tick_and_stops_when_the_job_ends(
    open_page: OpenPage, http: httpx.Client, service: RunningService
) -> None:
    with suspended_worker(service):
        job = http.post("/v1/jobs", files=[("images", ("a.jpg", Path(ALL[0]).read_bytes()))]).json()
        page = open_page(job["links"]["page"])
        expect(page.locator("#facts")).to_contain_text("0 of 1")
        requests: list[Request] = []
        page.on("request", lambda request: requests.append(request))  # noqa: PLW0108 (Playwright takes no built-ins)
        for _ in range(3):
            with page.expect_request("**/v1/**"):
                pass
        assert {urlsplit(request.url).path for request in requests} == {job["links"]["self"]}
    expect(page.locator("#line.done")).to_be_visible()
    expect(JobPage(page).cells.first).to_have_class(re.compile("succeeded"))
    # The page then asks for the hints, until they are computed.
    expect(page.locator("#hints")).to_be_visible()
    expect(page.locator("#hints-note")).to_be_empty(timeout=60_000)
    requests.clear()
    page.clock.install()
    page.clock.run_for(60_000)
    assert requests == []


def test_filters_combine_and_survive_a_reload_and_back(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    dresses = job.count_of("Dress")
    job.bar("Dress").click()
    job.expect_length(dresses)
    expect(job.cells).to_have_count(dresses)
    assert set(job.cells.locator(".label").all_inner_texts()) == {"Dress"}
    page.locator("#search").fill("green")
    expect(job.cells).to_have_count(1)
    assert query_of(page) == {"label": "dress", "q": "green"}
    page.reload()
    expect(job.cells).to_have_count(1)
    expect(job.bar("Dress")).to_have_attribute("aria-pressed", "true")
    page.go_back()
    expect(job.cells).to_have_count(dresses)
    page.go_back()
    job.expect_length(30)
    expect(job.filter("all")).to_have_attribute("aria-pressed", "true")


def test_the_threshold_of_doubt_is_moved_on_the_histogram(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.filter("doubtful").click()
    job.loaded()
    below = job.cells.count()
    page.locator("#threshold").fill("0.95")
    page.locator("#threshold").dispatch_event("change")
    expect(job.filter("doubtful")).not_to_have_text(f"doubtful {below}")
    shown = int(job.filter("doubtful").inner_text().split()[-1])
    expect(job.cells).to_have_count(shown)
    assert shown > below
    assert query_of(page) == {"threshold": "0.95", "max_confidence": "0.95"}
    # Doubt is told in words too, not by colour alone.
    expect(job.cells.first).to_have_attribute("aria-label", re.compile("doubtful"))


def test_failed_pictures_show_the_reason_and_are_not_offered_for_another_try(
    open_page: OpenPage, finished_job: str
) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.filter("failed").click()
    expect(job.cells).to_have_count(4)
    assert job.texts("reason") == [
        "The picture is incomplete: its end is missing.",
        "The file is empty.",
        "This is not a picture.",
        "The picture has too many pixels.",
    ]
    assert job.texts("label") == ["failed"] * 4
    expect(page.locator("#retry")).to_be_hidden()


def test_failures_are_told_in_korean_and_the_servers_own_words_are_set_apart(
    open_page: OpenPage, finished_job: str
) -> None:
    page = open_page(f"{finished_job}?status=failed", locale="ko-KR")
    job = JobPage(page)
    expect(job.cells).to_have_count(4)
    assert not re.search("[A-Za-z]", "".join(job.texts("reason") + job.texts("label")))
    job.cells.nth(1).click()
    expect(page.locator("#viewer-error summary")).to_be_visible()
    expect(page.locator('#viewer-error [lang="en"]')).to_be_hidden()


def test_sorting_by_confidence_shows_doubtful_pictures_first(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    page.select_option("#sort", "confidence")
    job.loaded()
    confidences = [int(re.sub(r"\D", "", text)) for text in job.texts("confidence") if text]
    assert len(confidences) > 20
    assert confidences == sorted(confidences)


def test_the_sheet_and_the_viewer_can_be_used_by_keyboard(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.expect_length(30)
    # Nothing has the focus yet.
    for key in ("End", "Home", "ArrowRight"):
        page.keyboard.press(key)
    expect(job.sheet).to_be_focused()
    expect(page.locator('.cell[aria-current="true"]')).to_have_attribute("aria-posinset", "2")
    assert job.sheet.get_attribute("aria-activedescendant") == page.locator('.cell[aria-current="true"]').get_attribute(
        "id"
    )
    page.keyboard.press("Space")
    expect(page.locator("#viewer-name")).to_have_text("coat-camel.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).to_have_text("dress-dotted.jpg")
    page.keyboard.press("Escape")
    expect(job.viewer).to_be_hidden()
    expect(page.locator('.cell[aria-current="true"]')).to_have_attribute("aria-posinset", "3")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_an_open_picture_has_a_url_and_back_closes_it(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.cell("hat-straw.jpg").click()
    expect(page.locator("#viewer-name")).to_have_text("hat-straw.jpg")
    page.reload()
    expect(page.locator("#viewer-name")).to_have_text("hat-straw.jpg")
    page.go_back()
    expect(job.viewer).to_be_hidden()
    expect(job.cells.first).to_be_visible()


def test_the_heat_map_can_be_shown_over_the_picture(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    JobPage(page).cells.first.click()
    heat, button = page.locator("#viewer-heat"), page.locator("#viewer-explain")
    expect(heat).to_be_hidden()
    button.click()
    expect(heat).to_be_visible()
    until(lambda: heat.evaluate("image => image.naturalWidth") > 0)
    assert heat.bounding_box() == page.locator("#viewer-photo").bounding_box()
    # The heat map stays when the next picture is shown, and the key E hides it.
    page.keyboard.press("ArrowRight")
    expect(heat).to_be_visible()
    page.keyboard.press("e")
    expect(heat).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_the_source_of_a_picture_is_shown_as_text_and_only_web_urls_become_links(
    open_page: OpenPage, http: httpx.Client
) -> None:
    item = {
        "url": "http://10.0.0.1/" + "long" * 50,
        "custom_id": "<img src=x onerror=alert(1)>",
        "product": {"title": "<b>A coat</b>", "price": "39.90", "currency": "EUR", "url": "javascript:alert(2)"},
        "page_url": "javascript:alert(1)",
    }
    job = http.post("/v1/jobs", json={"name": "<script>alert(1)</script>", "items": [item]}).json()
    page = open_page(job["links"]["page"])
    expect(page.locator("#name")).to_have_text("<script>alert(1)</script>")
    JobPage(page).cells.first.click()
    facts = page.locator("#viewer-facts")
    expect(page.locator("#viewer-error")).to_contain_text("not on the public internet")
    for text in ("<b>A coat</b>", "€39.90", "javascript:alert(1)", "<img src=x onerror=alert(1)>"):
        expect(facts).to_contain_text(text)
    assert [link.get_attribute("href") for link in facts.locator("a").all()] == [item["url"]]
    side = "document.querySelector('#viewer .side')"
    assert page.evaluate(f"{side}.scrollWidth <= {side}.clientWidth")


def test_the_page_of_an_unknown_job_says_that_it_does_not_exist(open_page: OpenPage, console_errors: list[str]) -> None:
    page = open_page("/jobs/job_unknown")
    expect(page.locator("#missing-text")).to_contain_text("no such job")
    console_errors.clear()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_page_fits_the_screen_of_a_phone(open_page: OpenPage, finished_job: str, locale: str) -> None:
    page = open_page(finished_job, width=390, touch=True, locale=locale)
    job = JobPage(page)
    expect(page.locator(".cell img.in").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("header").evaluate("head => head.getBoundingClientRect().height") < 60
    job.cells.first.tap()
    # The buttons of the viewer are in the window, without scrolling.
    for name in ("close", "explain", "after"):
        expect(page.locator(f"#viewer-{name}")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_page_has_no_accessibility_violation(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    expect(page.locator(".cell img.in").first).to_be_visible()
    assert_accessible(page)
    job.cells.first.click()
    expect(page.locator("#viewer-photo")).to_be_visible()
    assert_accessible(page)


def test_the_theme_follows_the_system_until_it_is_switched(open_page: OpenPage) -> None:
    page = open_page("/", dark=True)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 19, 17)"
    Head(page).switch_theme()
    assert page.evaluate(ground) == "rgb(250, 249, 246)"
    page.reload()
    assert page.evaluate(ground) == "rgb(250, 249, 246)"


def test_the_page_can_be_shown_in_korean(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job, locale="ko-KR")
    expect(page.locator("#facts")).to_contain_text("30장 중 30장")
    expect(JobPage(page).bar("원피스")).to_be_visible()
    Head(page).switch_language()
    expect(page.locator("#facts")).to_contain_text("30 of 30")
    expect(JobPage(page).bar("Dress")).to_be_visible()
    expect(JobPage(page).cell("dress-green.jpg")).to_contain_text("Dress")
