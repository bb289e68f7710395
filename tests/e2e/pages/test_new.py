"""The page for many pictures in a real browser: what is chosen, what is sent, and how an upload goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.conftest import SAMPLES
from tests.e2e.pages.objects import Head, ManyPage, assert_accessible

OpenPage = Callable[..., Page]
ADDITIONS = "**/v1/jobs/*/items"
SHIRT = SAMPLES / "t-shirt-red.jpg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures among other files, with two files of the same name and names that are to be counted."""
    for number in (1, 2, 10):
        for part in ("men", "women"):
            path = tmp_path / "Autumn" / part / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(SHIRT, path)
    shutil.copy(SHIRT, tmp_path / "Autumn" / "without-an-ending")
    for name, content in {"Thumbs.db": b"x", "notes.txt": b"hello", ".hidden.jpg": b"x", "empty.jpg": b""}.items():
        (tmp_path / "Autumn" / name).write_bytes(content)
    return tmp_path / "Autumn"


@pytest.fixture
def long_folder(tmp_path: Path) -> Path:
    """A folder that is sent in two requests, which run at once."""
    made = tmp_path / "Long"
    made.mkdir()
    for number in range(70):
        shutil.copy(SHIRT, made / f"{number}.jpg")
    return made


def hold(_route: Route) -> None:
    """Leave a request without an answer."""


def job_of(page: Page, http: httpx.Client) -> dict[str, Any]:
    """Wait for the page of a job, and return the job."""
    page.wait_for_url("**/jobs/job_*")
    answer: dict[str, Any] = http.get(f"/v1{httpx.URL(page.url).path}").json()
    return answer


def names_of(job: dict[str, Any], http: httpx.Client) -> list[str]:
    items = http.get(job["links"]["items"], params={"limit": 200}).json()["data"]
    return [item["source"]["name"] for item in items]


def test_a_folder_is_sent_with_its_paths_in_natural_order_and_without_other_files(
    open_page: OpenPage, http: httpx.Client, folder: Path
) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.choose_folder(folder)
    expect(many.title).to_have_text("7 pictures to send")
    expect(many.skipped).to_contain_text("Skipped: 4 · ")
    many.skipped.locator("summary").click()
    for text in ("files of the operating system (2)", "empty (1)", "not a picture (1)", "Autumn/notes.txt"):
        expect(many.skipped).to_contain_text(text)
    expect(page.get_by_label("Name")).to_have_value("Autumn")
    expect(page.locator("#peek img")).to_have_count(7)
    assert_accessible(page)
    page.get_by_label("Priority").select_option("low")
    many.send()
    job = job_of(page, http)
    assert (job["name"], job["priority"], job["open_until"], job["counts"]["total"]) == ("Autumn", "low", None, 7)
    parts = [f"Autumn/{part}/{number}.jpg" for part in ("men", "women") for number in (1, 2, 10)]
    assert names_of(job, http) == [*parts[:3], "Autumn/without-an-ending", *parts[3:]]


def test_files_without_a_folder_are_named_by_the_date(open_page: OpenPage, http: httpx.Client, folder: Path) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.choose_files(folder / "men" / "1.jpg", folder / "men" / "2.jpg")
    expect(many.title).to_have_text("2 pictures to send")
    assert "20" in page.get_by_label("Name").input_value()
    page.get_by_label("Name").fill("<b>two</b>")
    many.send()
    job = job_of(page, http)
    assert (job["name"], names_of(job, http)) == ("<b>two</b>", ["1.jpg", "2.jpg"])


def test_an_upload_goes_on_after_a_lost_answer_and_after_a_reload(
    open_page: OpenPage, console_errors: list[str], http: httpx.Client, long_folder: Path
) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    sent: list[Request] = []
    arrived: list[int] = []

    def lose(route: Route) -> None:
        # The first request arrives, but its answer does not. The second one is refused as by a busy server.
        sent.append(route.request)
        if len(sent) == 1:
            route.fetch()
            route.abort()
            arrived.append((route.request.post_data_buffer or b"").count(b'name="images"'))
        else:
            busy = {"code": "saturated", "detail": "busy"}
            route.fulfill(status=503, body=json.dumps(busy), content_type="application/problem+json")

    page.route(ADDITIONS, lose)
    many.choose_folder(long_folder)
    many.send()
    expect(many.state).to_contain_text("The server does not answer, or it is busy")
    assert_accessible(page)
    many.press("Pause")
    expect(many.state).to_contain_text("Paused")
    page.unroute(ADDITIONS)

    page.reload()
    expect(many.resume).to_contain_text("“Long” is not complete")
    expect(many.resume).to_contain_text(f"{arrived[0]} of 70 files have arrived")
    assert_accessible(page)
    page.set_input_files("#resume-folder", str(long_folder))
    job = job_of(page, http)
    assert (job["counts"]["total"], job["open_until"]) == (70, None)
    assert sorted(names_of(job, http)) == sorted(f"Long/{number}.jpg" for number in range(70))
    # The browser itself logs requests that fail.
    assert all("503" in error or "net::ERR_FAILED" in error for error in console_errors)
    console_errors.clear()
    page.goto("/new")
    expect(page.locator("#start")).to_be_visible()
    expect(many.resume).to_be_hidden()


def test_a_paused_upload_goes_on_or_is_stopped(open_page: OpenPage, http: httpx.Client, long_folder: Path) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    page.route(ADDITIONS, hold)
    many.choose_folder(long_folder)
    many.send()
    expect(page.locator("#now li")).to_have_count(70)
    expect(many.facts).to_contain_text("2 requests at once")
    many.press("Pause")
    page.unroute(ADDITIONS)
    many.press("Go on")
    job = job_of(page, http)
    assert job["counts"]["total"] == 70

    page.goto("/new")
    page.route(ADDITIONS, hold)
    many.choose_folder(long_folder)
    many.send()
    expect(page.locator("#now li")).to_have_count(70)
    many.press("Stop")
    assert job_of(page, http)["status"] == "canceled"


def test_an_upload_says_that_its_job_was_ended_elsewhere(
    open_page: OpenPage, console_errors: list[str], http: httpx.Client, long_folder: Path
) -> None:
    page = open_page("/new")
    many = ManyPage(page)

    def end(route: Route) -> None:
        http.post(f"/v1/jobs/{route.request.url.split('/')[5]}/cancel")
        route.continue_()

    page.route(ADDITIONS, end)
    many.choose_folder(long_folder)
    many.send()
    expect(page.locator("#sending-problem")).to_have_text("The job takes no further pictures.")
    expect(page.locator("#sending button:visible")).to_have_count(0)
    page.get_by_role("link", name="See what is classified so far").click()
    assert job_of(page, http)["status"] == "canceled"
    # The browser itself logs every answer of 4xx.
    assert all("409" in error for error in console_errors)
    console_errors.clear()


def test_files_that_vanish_are_named_and_the_others_arrive(
    open_page: OpenPage, http: httpx.Client, long_folder: Path
) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.choose_folder(long_folder)
    expect(many.title).to_have_text("70 pictures to send")
    lost = long_folder / "7.jpg"
    lost.rename(long_folder.parent / "moved.jpg")
    many.send()
    expect(many.state).to_contain_text("The files below could not be read")
    expect(page.locator("#now li")).to_have_text("Long/7.jpg")
    many.press("Finish without them")
    job = job_of(page, http)
    assert job["counts"]["total"] == 69
    assert "Long/7.jpg" not in names_of(job, http)


@pytest.mark.parametrize("kind", ["archive", "manifest"])
def test_an_archive_and_a_manifest_are_sent_as_they_are(
    open_page: OpenPage, http: httpx.Client, tmp_path: Path, folder: Path, kind: str
) -> None:
    if kind == "archive":
        chosen = Path(shutil.make_archive(str(tmp_path / "Winter"), "zip", folder / "men"))
    else:
        chosen = tmp_path / "Winter.csv"
        chosen.write_text("url\nhttp://127.0.0.1/1.jpg\n")
    page = open_page("/new")
    many = ManyPage(page)
    many.choose_files(chosen, kind="packed")
    expect(many.title).to_have_text(chosen.name)
    expect(many.ready).to_contain_text("the server reads at most 200,000 pictures from it")
    expect(page.get_by_label("Name")).to_have_value("Winter")
    many.send()
    job = job_of(page, http)
    assert (job["name"], job["source"]) == ("Winter", kind)


def test_what_the_server_would_refuse_is_not_sent(open_page: OpenPage, http: httpx.Client, tmp_path: Path) -> None:
    most = http.get("/v1/limits").json()["picture_bytes"]
    large = tmp_path / "large.jpg"
    with large.open("wb") as file:
        file.truncate(most + 1)
    notes = tmp_path / "notes.txt"
    notes.write_text("hello")
    page = open_page("/new")
    many = ManyPage(page)
    many.choose_files(large, notes)
    expect(many.title).to_have_text("There is nothing to send")
    expect(many.skipped).to_contain_text("larger than 21 MB (1) · not a picture (1)")
    expect(page.locator("#send")).to_be_hidden()
    many.press("Choose something else")
    expect(page.locator("#start")).to_be_visible()


def test_urls_of_pictures_are_sent_as_a_list(open_page: OpenPage, http: httpx.Client) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.enter("https://shop.example/1.jpg\nfile:///etc/passwd")
    expect(page.locator("#urls-problem")).to_have_text("Line 2 is not a web URL: file:///etc/passwd")
    expect(page.locator("#urls")).to_be_focused()
    many.enter("http://127.0.0.1/1.jpg\n\nhttp://127.0.0.1/2.jpg")
    expect(many.title).to_have_text("2 URLs of pictures")
    many.send()
    job = job_of(page, http)
    assert (job["source"], job["counts"]["total"]) == ("items", 2)


def test_a_single_url_of_a_picture_starts_no_crawl(open_page: OpenPage) -> None:
    page = open_page("/new", locale="ko-KR")
    many = ManyPage(page)
    many.enter("https://shop.example/coat.webp?width=900")
    expect(many.title).to_have_text("사진 주소 1개")
    expect(page.locator("#query")).to_be_hidden()
    page.get_by_label("쇼핑몰 페이지 주소입니다").check()
    expect(page.locator("#query")).to_be_visible()
    Head(page).switch_language()
    expect(many.title).to_have_text("Pictures of https://shop.example/coat.webp?width=900")


def test_a_key_that_may_only_read_is_not_invited_to_send(open_page: OpenPage) -> None:
    page = open_page("about:blank")
    session = {"signed_in": True, "open": False, "key": None, "may": ["read"]}
    page.route("**/session", lambda route: route.fulfill(json=session))
    page.goto("/new")
    expect(page.locator("#read-only")).to_be_visible()
    expect(page.locator("#start")).to_be_hidden()
    assert_accessible(page)


def test_the_quota_that_is_left_is_shown_and_kept(open_page: OpenPage, folder: Path) -> None:
    page = open_page("about:blank")
    key = {"id": "key_1", "name": "k", "scopes": ["submit"], "rate_limit": None, "quota": 10, "used": 4}
    session = {"signed_in": True, "open": False, "key": key, "may": ["read", "submit"]}
    page.route("**/session", lambda route: route.fulfill(json=session))
    page.goto("/new")
    many = ManyPage(page)
    many.choose_folder(folder)
    expect(many.ready).to_contain_text("6 of 10 pictures are left this month")
    expect(page.get_by_role("alert").filter(has_text="6 more pictures")).to_be_visible()
    expect(page.locator("#send")).to_be_hidden()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_page_fits_the_screen_of_a_phone(open_page: OpenPage, folder: Path, locale: str) -> None:
    page = open_page("/new", width=390, touch=True, locale=locale)
    many = ManyPage(page)
    expect(page.locator("#start")).to_be_visible()
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    many.choose_folder(folder)
    page.locator("#script summary").click()
    expect(page.locator("#script code").last).to_contain_text("submit Autumn --name Autumn")
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_page_can_be_used_by_keyboard(open_page: OpenPage, http: httpx.Client) -> None:
    page = open_page("/new")
    expect(page.locator("#start")).to_be_visible()
    page.locator("#packed").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("http://127.0.0.1/1.jpg")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(ManyPage(page).title).to_be_focused()
    page.get_by_label("Name").focus()
    page.keyboard.press("Enter")
    assert job_of(page, http)["source"] == "items"
