"""The screenshots of the documents show every page."""

from __future__ import annotations

from core.settings import PROJECT
from tests.screenshots import LOOKS, PAGES, PAGES_WITH_KEYS, TARGET


def test_every_page_has_screenshots() -> None:
    pages = {path.stem for path in (PROJECT / "frontend" / "pages").glob("*.html")} - {"layout"}
    assert pages - {*PAGES, *PAGES_WITH_KEYS} == set(), "tests/screenshots.py does not open these pages"


def test_every_screenshot_is_of_a_page_that_still_exists() -> None:
    known = {f"{name}-{look}.webp" for name in (*PAGES, *PAGES_WITH_KEYS) for look in LOOKS}
    assert {path.name for path in TARGET.iterdir()} - known == set()
