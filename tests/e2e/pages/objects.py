"""Page objects: the parts of the pages that tests use, by what they are for."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page


class Head:
    """The head that every page has."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.menu = page.locator("header details.menu")

    def switch_language(self) -> None:
        self._choose("language")

    def switch_theme(self) -> None:
        self._choose("theme")

    def sign_out(self) -> None:
        self._choose("sign-out")

    def open_menu(self) -> None:
        if not self.menu.evaluate("menu => menu.open"):
            self.menu.locator("summary").click()

    def _choose(self, name: str) -> None:
        self.open_menu()
        self.menu.locator(f"#{name}").click()


class ModelPage:
    """The page of a model version."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.figures = page.locator("#figures tbody tr")
        self.card = page.locator("#card")
        self.hint = page.locator("#confusion-hint")
        self.promotion = page.get_by_role("status")

    def compare_with(self, version: str) -> None:
        self._page.get_by_label("compare with").select_option(version)

    def cell(self, label: str, predicted: str) -> Locator:
        """The cell of the confusion matrix for pictures of one label that the model takes for another."""
        columns = self._page.locator("#matrix thead th").all_inner_texts()
        row = self._page.locator("#matrix tbody tr").filter(has=self._page.get_by_role("rowheader", name=label))
        return row.locator("td").nth(columns.index(predicted))

    def show_reviews(self) -> None:
        self._page.get_by_role("button", name="reviewed pictures").click()

    def promote(self) -> None:
        self._page.get_by_role("button", name="Use for new jobs").click()
        self._page.get_by_role("button", name="Use it").click()


def assert_accessible(page: Page) -> None:
    """Fail if axe-core finds anything wrong with the page as it is now, in light or in dark."""
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{page.url} in {theme}:\n{found.generate_report()}"
