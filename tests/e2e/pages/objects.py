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


class JobsPage:
    """The list of jobs."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.rows = page.locator("#jobs > li")
        self.names = page.locator("#jobs .title")
        self.more = page.get_by_role("button", name="Show more")

    def row(self, name: str) -> Locator:
        return self.rows.filter(has=self._page.get_by_role("link", name=name, exact=True))

    def rename(self, name: str, new_name: str) -> None:
        """Rename a job with the keyboard alone."""
        self._page.get_by_role("button", name=f"Rename: {name}").focus()
        self._page.keyboard.press("Enter")
        self._page.keyboard.type(new_name)
        self._page.keyboard.press("Enter")

    def delete(self, name: str) -> None:
        self._page.get_by_role("button", name=f"Delete: {name}").click()
        self._page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    def choose(self, name: str) -> None:
        self._page.get_by_role("checkbox", name=f"Choose to compare: {name}").check()


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
