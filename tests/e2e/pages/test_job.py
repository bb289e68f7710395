"""The pages in a real browser, with the whole running service."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, Request, expect

from samples import broken
from tests.conftest import SAMPLES, RunningService, suspended_worker, until
from tests.e2e.pages.objects import Head, ManyPage

OpenPage = Callable[..., Page]
ALL = sorted(str(path) for path in SAMPLES.iterdir())


@pytest.fixture
def broken_files(tmp_path: Path) -> list[str]:
    contents = {"cut.jpg": broken.truncated_jpeg(), "list.jpg": broken.text(), "huge.png": broken.huge_png()}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return [str(tmp_path / name) for name in contents]


@pytest.fixture
def finished_job(http: httpx.Client, broken_files: list[str]) -> str:
    """The path of the page of an ended job of all samples and three broken files."""
    files = [("images", (Path(path).name, Path(path).read_bytes())) for path in ALL + broken_files]
    job = http.post("/v1/jobs", files=files, headers={"Prefer": "wait=30"}).json()
    assert job["status"] == "completed"
    return str(job["links"]["page"])


def test_several_pictures_become_a_job_whose_page_fills(open_page: OpenPage, broken_files: list[str]) -> None:
    page = open_page("/")
    page.set_input_files("#files", ALL + broken_files)
    ManyPage(page).send()
    page.wait_for_url("**/jobs/job_*")
    expect(page.locator("#line.done")).to_be_visible(timeout=60_000)
    expect(page.locator("#facts")).to_contain_text("29 of 29")
    expect(page.locator("#facts")).to_contain_text("3 failed")
    expect(page.locator(".cell")).to_have_count(29)
    expect(page.locator(".cell.succeeded")).to_have_count(26)
    bars = page.locator(".bars .label span:last-child").all_inner_texts()
    assert sum(int(text) for text in bars) == 26


def test_polling_stops_when_the_job_ends(open_page: OpenPage, finished_job: str) -> None:
    page = open_page("/")
    page.clock.install()
    page.goto(finished_job)
    expect(page.locator("#line.done")).to_be_visible()
    expect(page.locator(".cell")).to_have_count(29)
    polls: list[Request] = []
    page.on("request", lambda request: polls.append(request) if request.url.endswith(finished_job) else None)
    page.clock.run_for(60_000)
    assert polls == []


def test_a_bar_filters_by_its_label_and_shows_all_when_pressed_again(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    bar = page.locator(".bars .label", has_text="Dress")
    count = int(bar.locator("span:last-child").inner_text())
    bar.click()
    expect(page.locator(".cell")).to_have_count(count)
    assert set(page.locator(".cell .caption span:first-child").all_inner_texts()) == {"Dress"}
    expect(bar).to_have_attribute("aria-pressed", "true")
    bar.click()
    expect(page.locator(".cell")).to_have_count(29)


def test_failed_pictures_show_the_reason(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    page.get_by_role("button", name="failed 3").click()
    expect(page.locator(".cell")).to_have_count(3)
    reasons = page.locator(".cell .frame").all_inner_texts()
    assert reasons == [
        "The picture is incomplete: its end is missing.",
        "This is not a picture.",
        "The picture has too many pixels.",
    ]


def test_sorting_by_confidence_shows_doubtful_pictures_first(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    page.select_option("#sort", "confidence")
    expect(page.locator(".cell")).to_have_count(29)
    shown = [text for text in page.locator(".cell .caption span:last-child").all_inner_texts() if text]
    values = [int(text.rstrip("%")) for text in shown]
    assert values == sorted(values)


def test_the_sheet_can_be_used_by_keyboard(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.locator("#viewer")).to_be_visible()
    expect(page.locator("#viewer-name")).to_have_text("coat-camel.jpg")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-name")).to_have_text("dress-dotted.jpg")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()


def test_the_heat_map_can_be_shown_over_the_picture(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    page.locator(".cell").first.click()
    heat, button = page.locator("#viewer-heat"), page.get_by_role("button", name="What the model looked at")
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


def test_the_source_of_a_picture_is_shown_and_only_web_urls_become_links(
    open_page: OpenPage, http: httpx.Client
) -> None:
    item = {
        "url": "http://10.0.0.1/" + "long" * 50,
        "title": "<b>A coat</b>",
        "price": "39.90",
        "currency": "EUR",
        "page_url": "javascript:alert(1)",
    }
    job = http.post("/v1/jobs", json={"items": [item]}).json()
    page = open_page(job["links"]["page"])
    page.locator(".cell.failed").click()
    facts = page.locator("#viewer-facts")
    expect(page.locator("#viewer-error")).to_contain_text("not on the public internet")
    expect(facts).to_contain_text("<b>A coat</b>")
    expect(facts).to_contain_text("€39.90")
    expect(facts).to_contain_text("javascript:alert(1)")
    assert [link.get_attribute("href") for link in facts.locator("a").all()] == [item["url"]]
    assert page.evaluate(
        "document.querySelector('#viewer .side').scrollWidth <= document.querySelector('#viewer .side').clientWidth"
    )


def test_the_page_of_an_unknown_job_says_that_it_does_not_exist(open_page: OpenPage, console_errors: list[str]) -> None:
    page = open_page("/jobs/job_unknown")
    expect(page.locator("#missing-text")).to_contain_text("no such job")
    console_errors.clear()


@pytest.mark.parametrize("path", ["/", "job"])
def test_pages_fit_the_screen_of_a_phone(open_page: OpenPage, finished_job: str, path: str) -> None:
    page = open_page(finished_job if path == "job" else path, width=390, touch=True)
    expect(page.locator("h1").first).to_be_visible()
    if path == "job":
        expect(page.locator(".cell img.in").first).to_be_visible()
    else:
        expect(page.locator("#choices").get_by_text("Take a photo")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_theme_follows_the_system_until_it_is_switched(open_page: OpenPage) -> None:
    page = open_page("/", dark=True)
    ground = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 19, 17)"
    Head(page).switch_theme()
    assert page.evaluate(ground) == "rgb(250, 249, 246)"
    page.reload()
    assert page.evaluate(ground) == "rgb(250, 249, 246)"


def test_the_pages_can_be_shown_in_korean(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job, locale="ko-KR")
    expect(page.locator("#facts")).to_contain_text("29장 중 29장")
    expect(page.locator(".bars .label", has_text="원피스")).to_be_visible()
    Head(page).switch_language()
    expect(page.locator("#facts")).to_contain_text("29 of 29")
    expect(page.locator(".bars .label", has_text="Dress")).to_be_visible()


def test_the_api_documentation_works_without_the_internet(open_page: OpenPage) -> None:
    page = open_page("/docs")
    expect(page.get_by_text("/v1/classifications")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Lookbook"))).to_be_visible()


def test_a_job_can_be_canceled_from_its_page(open_page: OpenPage, http: httpx.Client, service: RunningService) -> None:
    with suspended_worker(service):
        files = [("images", (Path(path).name, Path(path).read_bytes())) for path in ALL]
        job = http.post("/v1/jobs", files=files).json()
        page = open_page(job["links"]["page"])
        expect(page.locator("#delete")).to_be_hidden()
        page.get_by_role("button", name="Stop this job").click()
        expect(page.locator("#facts")).to_contain_text("26 stopped")
    expect(page.locator("#line.done")).to_be_visible()
    expect(page.locator("#cancel")).to_be_hidden()
    expect(page.locator("#retry")).to_be_hidden()
    assert http.get(job["links"]["self"]).json()["status"] == "canceled"


def test_failed_pictures_can_be_retried_from_the_page(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    expect(open_page(finished_job).locator("#retry")).to_be_hidden()
    urls = {"items": [{"url": "http://shop.invalid/coat.jpg"}]}
    failed_job = http.post("/v1/jobs", json=urls, headers={"Prefer": "wait=30"}).json()["links"]["page"]
    first = http.get(f"/v1{failed_job}").json()["finished_at"]
    page = open_page(failed_job)
    page.get_by_role("button", name="Try the failed pictures again").click()
    until(lambda: http.get(f"/v1{failed_job}").json()["finished_at"] not in {None, first})
    expect(page.locator("#line.done")).to_be_visible()
    expect(page.locator("#facts")).to_contain_text("1 failed")
    expect(page.locator(".cell")).to_have_count(1)


def test_a_job_can_be_deleted_from_its_page_after_confirmation(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    page = open_page(finished_job)
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.locator("#sure")).to_be_hidden()
    assert http.get(f"/v1{finished_job}").status_code == 200
    page.get_by_role("button", name="Delete this job").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url("**/")
    assert http.get(f"/v1{finished_job}").status_code == 404


def test_a_job_can_be_exported_from_its_page(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    menu = page.locator("#export")
    expect(page.get_by_text("for spreadsheets")).to_be_hidden()
    page.get_by_text("Export", exact=True).click()
    with page.expect_download() as started:
        page.get_by_text("for spreadsheets").click()
    assert started.value.suggested_filename.endswith(".csv")
    text = Path(started.value.path()).read_text("utf-8-sig")
    assert len(text.splitlines()) == 30
    expect(menu.locator("a").first).to_be_hidden()
    expect(page.locator("#export-partial")).to_be_hidden()
    page.get_by_text("Export", exact=True).press("Enter")
    expect(page.get_by_text("for analyses")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("for analyses")).to_be_hidden()
