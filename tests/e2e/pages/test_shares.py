"""A link that shows a job to people without a key: made and revoked on the page, and opened without a session."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.conftest import SAMPLES, RunningService, until
from tests.e2e.conftest import make_key
from tests.e2e.pages.objects import Head, JobPage, assert_accessible
from tests.jobs import run_job

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def key(locked: RunningService) -> str:
    return make_key(locked.home, "owner")


@pytest.fixture(scope="module")
def job_page(locked: RunningService, key: str) -> str:
    """The path of the page of a finished job."""
    files = [("images", (path.name, path.read_bytes())) for path in sorted(SAMPLES.iterdir())]
    files.append(("images", ("list.txt", b"socks, hats")))
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=locked.url, headers=headers, timeout=90, trust_env=False) as http:
        job = run_job(http, files=files, data={"name": "Autumn"})
    assert job["status"] == "completed"
    return str(job["links"]["page"])


def make_link(open_locked: OpenPage, key: str, job_page: str) -> tuple[Page, str]:
    """Sign in, open the dialog for links and make one. Return the page and the link."""
    page = open_locked(f"/login?next={job_page}")
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    JobPage(page).expect_length(27)
    JobPage(page).open_menu("more")
    page.get_by_role("button", name="Share").click()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_label("The link")).to_have_value(re.compile(r"/shared/"))
    expect(page.locator("#share-copied")).to_have_text("Copied")
    return page, page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_a_visitor_sees_the_pictures_of_a_shared_job_and_nothing_that_writes(
    open_locked: OpenPage, key: str, job_page: str, locale: str
) -> None:
    _, link = make_link(open_locked, key, job_page)
    page = open_locked(link, locale=locale, width=390)
    page.wait_for_url(f"**{job_page}")
    job = JobPage(page)
    job.expect_length(27)
    expect(page.locator("#name")).to_have_text("Autumn")
    expect(page.locator("header")).to_contain_text("shared with you" if locale == "en-US" else "공유받은 작업")
    expect(page.locator("header a:not(header .menu a)")).to_have_count(0)
    for writing in ("#more", "#rename", "#review", "#retry", "#delete", "#script details"):
        expect(page.locator(writing)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(page)
    job.filter("failed").click()
    job.expect_length(1)
    job.filter("all").click()
    job.expect_length(27)
    job.cells.first.click()
    expect(page.locator("#viewer-ranks li").first).to_be_visible()
    expect(page.locator("#viewer-review")).to_be_hidden()
    page.keyboard.press("1")
    page.keyboard.press("ArrowRight")
    page.locator("#viewer-explain").click()
    expect(page.locator("#viewer-heat")).to_have_js_property("complete", True)
    page.locator("#viewer-close").click()
    job.open_menu("export")
    expect(page.locator("#export-tools")).to_be_hidden()
    with page.expect_download() as started:
        page.locator('#export a[data-format="csv"]').click()
    assert len(Path(started.value.path()).read_text("utf-8-sig").splitlines()) == 28
    job.sheet.focus()
    page.keyboard.press("s")
    expect(page.locator("#bulk-label")).to_be_hidden()
    with page.expect_download() as chosen:
        page.locator('#bulk [data-format="csv"]').click()
    assert len(Path(chosen.value.path()).read_text("utf-8-sig").splitlines()) == 2


def test_a_revoked_link_says_so_where_it_is_opened_and_where_it_was_open(
    open_locked: OpenPage, key: str, job_page: str, console_errors: list[str]
) -> None:
    page, link = make_link(open_locked, key, job_page)
    visitor = open_locked(link)
    JobPage(visitor).expect_length(27)
    revoke = page.get_by_role("button", name="Revoke")
    count = revoke.count()
    revoke.first.click()
    expect(revoke).to_have_count(count - 1)
    until(lambda: httpx.get(link, trust_env=False).status_code == 410)
    visitor.reload()
    visitor.wait_for_url(re.compile(r"/login\?next=/jobs/"))
    expect(visitor.get_by_role("alert")).to_contain_text("The link to this job has expired")
    console_errors.clear()
    visitor.goto(link)
    expect(visitor.get_by_role("heading", name="This link shows nothing")).to_be_visible()
    expect(visitor.locator("#problem")).to_contain_text("Ask for a new one")
    Head(visitor).switch_language()
    expect(visitor.locator("#problem")).to_contain_text("새 링크를 요청하거나")
    assert_accessible(visitor)
    visitor.goto("/shared/mistyped")
    expect(visitor.locator("#problem")).to_contain_text("존재하지 않는 공유 링크입니다")
    visitor.get_by_role("link", name="키로 로그인").last.click()
    visitor.wait_for_url("**/login")
    # The browser itself logs 404 and 410.
    assert all("404" in error or "410" in error for error in console_errors)
    console_errors.clear()
