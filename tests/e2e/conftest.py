"""Fixtures that open pages of a running service in Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, sync_playwright

from core.settings import PROJECT
from core.versions import CHROMIUM, parse_version
from tests.conftest import RunningService, ready_service, skip_without

# Chromium cannot use its sandbox when root runs it in a container. The other options stop Chromium's background
# requests to Google.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage while a test drives Chromium. The code that it tests runs in other processes."""
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            item.add_marker(pytest.mark.no_cover)


def launch_chromium(playwright: Playwright) -> Browser:
    """Start Chromium: the one that LOOKBOOK_CHROMIUM names, else one on the PATH, else the one of Playwright.

    Raises:
        Error: there is none, or it does not start.
    """
    names = (os.environ.get("LOOKBOOK_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    path = next((found for found in map(shutil.which, filter(None, names)) if found), None)
    return playwright.chromium.launch(executable_path=path, args=ARGUMENTS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, of a version that is supported."""
    with sync_playwright() as playwright:
        try:
            opened = launch_chromium(playwright)
        except Error:
            skip_without("Chromium")
        if not CHROMIUM.includes(parse_version(opened.version)):
            skip_without(f"{CHROMIUM} (found {opened.version})")
        yield opened
        opened.close()


@pytest.fixture
def console_errors() -> list[str]:
    """The warnings, errors and uncaught exceptions in the console of every page that this test opens."""
    return []


@pytest.fixture
def open_page(browser: Browser, service: RunningService, console_errors: list[str]) -> Iterator[Callable[..., Page]]:
    """A function that opens a page of the service.

    The test fails if a page writes a warning or an error to its console. Violations of the CSP are among them.
    """
    yield from provide_open_page(browser, service, console_errors)


def provide_open_page(
    browser: Browser, service: RunningService, console_errors: list[str]
) -> Iterator[Callable[..., Page]]:
    """Provide the function of the fixture `open_page` for any service."""
    contexts: list[BrowserContext] = []

    def open_one(
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
        page.on("console", lambda m: console_errors.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: console_errors.append(str(error)))
        page.goto(path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert console_errors == []


def run_keys(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LOOKBOOK_HOME": str(home), "LOOKBOOK_REDIS_URL": ""}
    command = [sys.executable, "-m", "cli", "keys", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)


def make_key(home: Path, *arguments: str) -> str:
    created = run_keys(home, "create", *arguments)
    assert created.returncode == 0, created.stderr
    return created.stdout.strip()


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a key. The tests share it."""
    with ready_service(tmp_path_factory.mktemp("locked")) as running:
        make_key(running.home, "operator", "--scope", "admin")
        yield running


@pytest.fixture
def open_locked(browser: Browser, locked: RunningService, console_errors: list[str]) -> Iterator[Callable[..., Page]]:
    yield from provide_open_page(browser, locked, console_errors)
