"""The pages of crawls in a real browser: the form that starts a crawl, and the page of its job."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import update

from db.database import Database
from db.tables import Crawl, Job, JobStatus
from tests.e2e.pages.crawled import SCRIPT, SHOP, URL_COUNT
from tests.e2e.pages.objects import Head, JobPage, ManyPage, assert_accessible

OpenPage = Callable[..., Page]


def test_products_have_title_price_and_links_only_to_web_pages(open_page: OpenPage, crawled: str) -> None:
    page = open_page(crawled)
    job = JobPage(page)
    job.expect_length(26)
    assert job.texts("name")[:2] == [f"Wool coat number 0 {SCRIPT}", "A shirt"]
    assert job.texts("price")[:2] == ["₩39,000", "about 10"]
    job.cells.first.click()
    link = page.locator("#viewer-facts a").first
    expect(link).to_have_text(f"Wool coat number 0 {SCRIPT}")
    assert (link.get_attribute("href"), link.get_attribute("rel")) == (f"{SHOP}/p/0", "noopener noreferrer")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer-facts")).to_contain_text("A shirt")
    expect(page.locator("#viewer-facts").get_by_role("link", name="A shirt")).to_have_count(0)


def test_the_page_of_a_crawl_shows_its_request_and_its_progress(open_page: OpenPage, crawled: str) -> None:
    page = open_page(crawled)
    expect(page.locator("#crawl-asked")).to_contain_text(
        "https://shop.example/ · searched for “코트 <b>” · recipe shop-cards"
    )
    counts = page.locator("#crawl-counts")
    for text in ("seen 101", "done 90", "failed 2", "blocked by robots.txt 1", "1.2 MB received"):
        expect(counts).to_contain_text(text)
    expect(page.locator("#verdict")).to_be_hidden()


def test_all_urls_of_a_crawl_are_listed_with_their_states(open_page: OpenPage, crawled: str) -> None:
    page = open_page(crawled)
    page.get_by_role("link", name="URLs 130").click()
    rows = page.locator("#urls-table tbody tr")
    expect(page.locator("#sheet")).to_be_hidden()
    expect(rows.first).to_be_visible()
    rows.last.scroll_into_view_if_needed()
    expect(rows).to_have_count(URL_COUNT)
    expect(rows.nth(1)).to_contain_text("not allowed")
    expect(rows.nth(1).locator("a")).to_have_count(0)
    expect(rows.nth(2)).to_contain_text(f"The picture could not be downloaded. (answered 500 {SCRIPT})")
    expect(rows.nth(2)).to_contain_text("HTTP 500")
    expect(rows.nth(3)).to_contain_text("too many links away")
    expect(rows.nth(4).locator("small span").first).to_have_text("not in the words of the pages")
    expect(rows.nth(4).locator("a")).to_have_attribute("rel", "noopener noreferrer")
    # The URL of the page keeps the view when it is reloaded, and going back shows the pictures.
    page.reload()
    expect(rows.first).to_be_visible()
    page.go_back()
    expect(page.locator("#sheet")).to_be_visible()
    expect(page.locator("#urls-view")).to_be_hidden()


def test_urls_can_be_filtered_by_state_and_kind_in_korean(open_page: OpenPage, crawled: str) -> None:
    page = open_page(f"{crawled}#urls", locale="ko-KR")
    rows = page.locator("#urls-table tbody tr")
    page.get_by_label("상태").select_option("left_out")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("링크 깊이 한도 초과")
    page.get_by_label("종류").select_option("page")
    expect(rows).to_have_count(1)
    page.get_by_label("종류").select_option("sitemap")
    expect(page.locator("#urls-end")).to_have_text("이 조건에 맞는 주소가 없습니다.")
    Head(page).switch_language()
    expect(page.locator("#urls-end")).to_have_text("No URL matches this filter.")


@pytest.mark.parametrize(
    ("status", "verdict", "sentence"),
    [
        (JobStatus.FAILED, "cookie_wall", "agree to something first"),
        (JobStatus.COMPLETED, "quota_exceeded", "monthly quota of pictures is used up"),
        (JobStatus.COMPLETED, "broken_off", "stopped before it was finished"),
    ],
)
def test_the_page_explains_the_verdict_of_a_crawl(
    open_page: OpenPage, crawled: str, database: Database, status: JobStatus, verdict: str, sentence: str
) -> None:
    job_id = crawled.rpartition("/")[2]
    with database.writing() as session:
        session.execute(update(Crawl).where(Crawl.job_id == job_id).values(verdict=verdict))
        session.execute(update(Job).where(Job.id == job_id).values(status=status))
    expect(open_page(crawled).locator("#verdict")).to_contain_text(sentence)


def test_the_page_names_a_host_that_demanded_a_pause_while_the_crawl_runs(
    open_page: OpenPage, crawled: str, database: Database
) -> None:
    job_id = crawled.rpartition("/")[2]
    waiting = [{"host": "shop.example", "until": "2026-01-31T12:00:10.000Z"}]
    with database.writing() as session:
        crawl = session.get(Crawl, job_id)
        assert crawl is not None
        crawl.progress = {**crawl.progress, "waiting_on": waiting}
        session.execute(update(Job).where(Job.id == job_id).values(status=JobStatus.RUNNING))
    page = open_page(crawled)
    expect(page.locator("#crawl-counts")).to_contain_text("shop.example asks for no requests until")
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(status=JobStatus.COMPLETED, revision=200))
    expect(page.locator("#crawl-counts")).not_to_contain_text("no requests")


def test_the_page_of_a_crawl_can_be_used_by_keyboard(open_page: OpenPage, crawled: str) -> None:
    page = open_page(crawled)
    JobPage(page).expect_length(26)
    JobPage(page).sheet.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-facts a").first).to_have_attribute("href", f"{SHOP}/p/0")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="URLs 130").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#urls-table tbody tr").first).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.id") == "urls-state"


@pytest.mark.parametrize("view", ["", "#urls"])
def test_the_page_of_a_crawl_fits_the_screen_of_a_phone(open_page: OpenPage, crawled: str, view: str) -> None:
    page = open_page(crawled + view, width=390, touch=True)
    expect(page.locator("#urls-table tbody tr" if view else ".cell img.in").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_crawl_can_be_started_by_the_url_of_a_shop(open_page: OpenPage, http: httpx.Client) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.enter("example.com/shop")
    expect(many.title).to_have_text("Pictures of https://example.com/shop")
    page.get_by_label("Search word").fill("coat")
    page.get_by_label("Recipe").select_option("shop-cards")
    page.get_by_label("Pages, at most").fill("7")
    assert_accessible(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**/jobs/job_*")
    expect(page.locator("#crawl-asked")).to_contain_text(
        "https://example.com/shop · searched for “coat” · recipe shop-cards"
    )
    job = http.get(f"/v1{httpx.URL(page.url).path}").json()
    assert (job["crawl"]["limits"]["pages"], job["crawl"]["query"], job["name"]) == (7, "coat", "example.com")
    page.get_by_role("button", name="Stop this job").click()


@pytest.mark.parametrize(
    ("url", "fields", "field", "sentence"),
    [
        ("", {}, "urls", "Enter a URL, such as"),
        ("http://127.0.0.1/", {}, "urls", "not on the public internet"),
        ("ftp://shop.example/", {}, "urls", "Line 1 is not a web URL: ftp://shop.example/"),
        (f"{SHOP}/", {"#pages": "0"}, "pages", "This number of pages is not possible"),
        (f"{SHOP}/", {"#minutes": "a few"}, "minutes", "This number of minutes is not possible"),
        (f"{SHOP}/", {"#pictures": "9000000"}, "pictures", "The server allows at most 1,000,000."),
    ],
)
def test_the_error_of_a_crawl_request_is_shown_at_its_field(
    open_page: OpenPage, console_errors: list[str], url: str, fields: dict[str, str], field: str, sentence: str
) -> None:
    page = open_page("/new")
    many = ManyPage(page)
    many.enter(url)
    for selector, value in fields.items():
        page.fill(selector, value)
    if many.ready.is_visible():
        many.send()
    expect(page.locator(f"#{field}-problem")).to_contain_text(sentence)
    expect(page.locator(f"#{field}")).to_be_focused()
    # The browser itself logs every answer of 4xx.
    assert all("422" in error for error in console_errors)
    console_errors.clear()
