"""The head that all pages share, and the page for addresses that do not exist."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages.objects import Head, assert_accessible

OpenPage = Callable[..., Page]


@pytest.mark.parametrize(
    ("path", "locale", "title"),
    [
        ("/jbos", "en-US", "There is no such page"),
        ("/jbos", "ko-KR", "페이지를 찾을 수 없습니다"),
        ("/shared/incomplete", "en-US", "This link shows nothing"),
    ],
)
def test_a_browser_gets_a_page_for_a_mistyped_address(
    open_page: OpenPage, console_errors: list[str], path: str, locale: str, title: str
) -> None:
    page = open_page(path, locale=locale)
    expect(page.get_by_role("heading")).to_have_text(title)
    assert_accessible(page)
    # The browser itself logs every answer of 4xx.
    assert all("404" in error for error in console_errors)
    console_errors.clear()


def test_a_program_gets_a_problem_for_a_mistyped_address(http: httpx.Client) -> None:
    answer = http.get("/jbos")
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_the_first_tab_leads_to_the_content(open_page: OpenPage) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")


def test_the_menu_closes_on_escape_and_on_a_click_elsewhere(open_page: OpenPage) -> None:
    page = open_page("/")
    head = Head(page)
    head.open_menu()
    page.keyboard.press("Escape")
    expect(page.locator("#theme")).to_be_hidden()
    head.open_menu()
    page.locator("main").click(position={"x": 5, "y": 5})
    expect(page.locator("#theme")).to_be_hidden()
