from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from core.versions import CHROMIUM, parse_version
from tests.conftest import RunningService, absent

# Chromium as root in a container has no sandbox; the rest keeps it from speaking to its maker.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium: the one LOOKBOOK_CHROMIUM names, else one on the PATH, else Playwright's own."""
    names = (os.environ.get("LOOKBOOK_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, filter(None, names)) if found), None)
    with sync_playwright() as playwright:
        try:
            opened = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error:
            absent("Chromium")
        if not CHROMIUM.includes(parse_version(opened.version)):
            absent(f"{CHROMIUM} (found {opened.version})")
        yield opened
        opened.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages of this test wrote to the console as warnings and errors, and their exceptions."""
    return []


@pytest.fixture
def open_page(browser: Browser, service: RunningService, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens pages of the service; the test fails if one of them complains (a CSP violation is a complaint too)."""
    yield from pages_of(browser, service, complaints)


def pages_of(browser: Browser, service: RunningService, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """`open_page` for any service."""
    contexts: list[BrowserContext] = []

    def open_(
        path: str = "/", *, width: int = 1280, dark: bool = False, locale: str = "en-US", touch: bool = False
    ) -> Page:
        context = browser.new_context(
            base_url=service.url,
            viewport={"width": width, "height": 844},
            color_scheme="dark" if dark else "light",
            locale=locale,
            has_touch=touch,
            is_mobile=touch,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
