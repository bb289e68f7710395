"""Page objects: the parts of the pages that tests use, by what they are for."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect


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


class AccountPage:
    """The page about the visitor's key and the keys of the service."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.secret = page.locator("#secret-key")

    def row(self, name: str) -> Locator:
        return self._page.locator("#keys tbody tr").filter(has=self._page.get_by_text(name, exact=True))

    def create(self, name: str, quota: str = "") -> None:
        self._page.get_by_label("Name").fill(name)
        self._page.get_by_label("Pictures a month").fill(quota)
        self._page.get_by_role("button", name="Create a key").click()

    def rotate(self, name: str) -> None:
        self._page.get_by_role("button", name=f"Replace: {name}").click()
        self._page.get_by_role("dialog").get_by_role("button", name="Make a new key").click()

    def revoke(self, name: str) -> None:
        self._page.get_by_role("button", name=f"Revoke: {name}").click()
        self._page.get_by_role("dialog").get_by_role("button", name="Revoke").click()


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


class JobPage:
    """The page of one job."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sheet = page.locator("#sheet")
        self.cells = page.locator("#sheet .cell:not([hidden])")
        self.facts = page.locator("#facts")
        self.viewer = page.locator("#viewer")

    def cell(self, name: str) -> Locator:
        """The cell whose picture has this file name."""
        return self.cells.filter(has=self.page.locator(".name", has_text=name))

    def filter(self, name: str) -> Locator:
        return self.page.locator(f'#filters [data-filter="{name}"]')

    def bar(self, label: str) -> Locator:
        return self.page.locator(".bars .label", has_text=label)

    def count_of(self, label: str) -> int:
        """The number beside the bar of a label. 0 without a bar."""
        bar = self.bar(label)
        return int(bar.locator("span").last.inner_text()) if bar.count() else 0

    def expect_length(self, length: int) -> None:
        """Expect that the list has this many pictures. Only those near the window have cells."""
        self.loaded()
        expect(self.cells.first).to_have_attribute("aria-setsize", str(length))

    def loaded(self) -> None:
        """Wait until the list that was asked for last is there."""
        expect(self.sheet).to_have_attribute("aria-busy", "false")

    def texts(self, part: str) -> list[str]:
        """The texts of a part of all cells (`name`, `label`, `confidence`, `reason`), in the order of the list."""
        texts: list[str] = self.cells.evaluate_all(
            "(cells, part) => cells.sort((a, b) => a.ariaPosInSet - b.ariaPosInSet)"
            ".map(cell => cell.querySelector('.' + part).innerText)",
            part,
        )
        return texts

    def open_menu(self, name: str) -> None:
        menu = self.page.locator(f"#{name}")
        if not menu.evaluate("menu => menu.open"):
            menu.locator("summary").click()


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


class PhotoPage:
    """The page that classifies one photo and parts of it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.name = page.locator("#name")
        self.photo = page.locator("#photo")
        self.heat = page.locator("#heat")
        self.ranks = page.locator("#ranks li")
        self.part = page.locator("#part")
        self.foot = page.locator("#answer-foot")
        self.problem = page.locator("#problem")
        self.waiting = page.locator("#waiting-note")
        self.selection = page.locator("cropper-selection")
        self.answers = page.locator("#answer-list li")
        self.classify_part = page.locator("#classify-part")

    def choose(self, *files: Path) -> None:
        self.page.set_input_files("#files", [str(file) for file in files])

    def choose_another(self, file: Path) -> None:
        self.page.set_input_files("#next-files", str(file))

    def choose_part(self, name: str) -> None:
        """Press the button of a part: `whole photo`, `free`, `3:4` or `1:1`, in the language of the page."""
        self.page.locator("#tools").get_by_role("button", name=name, exact=True).click()

    def drag(self, left: float, top: float, right: float, bottom: float) -> None:
        """Draw a selection with the mouse. The sides are parts of the photo's width and height, from 0 to 1."""
        box = self.photo.bounding_box()
        assert box is not None
        corners = [(left, top), ((left + right) / 2, (top + bottom) / 2), (right, bottom)]
        start, *way = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
        self.page.mouse.move(*start)
        self.page.mouse.down()
        for point in way:
            self.page.mouse.move(*point)
        self.page.mouse.up()

    def wait_for_part(self, width: int, height: int) -> None:
        """Wait until the answer of a part of this size, in source pixels, is shown."""
        expect(self.part).to_contain_text(f"{width:,} × {height:,}")

    def items(self) -> list[str]:
        """Return the ids of the answers, which the URL names."""
        return parse_qs(urlsplit(self.page.url).query).get("item", [])


class ManyPage:
    """The page for many pictures."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.ready = page.locator("#ready")
        self.title = page.locator("#ready-title")
        self.skipped = page.locator("#skipped")
        self.facts = page.locator("#sending-facts")
        self.state = page.locator("#sending-state")
        self.resume = page.locator("#resume")

    def choose_folder(self, folder: Path) -> None:
        self.choose_files(folder, kind="folder")

    def choose_files(self, *paths: Path, kind: str = "files") -> None:
        """Choose files with the button of a kind: files, folder or packed."""
        expect(self._page.locator("#start")).to_be_visible()
        self._page.set_input_files(f"#{kind}", paths)

    def enter(self, urls: str) -> None:
        """Enter URLs, one per line, and go on."""
        self._page.fill("#urls", urls)
        self._page.locator("#typed-next").click()

    def send(self) -> None:
        self.ready.locator("#send").click()

    def press(self, name: str) -> None:
        self._page.get_by_role("button", name=name, exact=True).click()


def assert_accessible(page: Page) -> None:
    """Fail if axe-core finds anything wrong with the page as it is now, in light or in dark."""
    for theme in ("light", "dark"):
        page.evaluate("theme => document.documentElement.setAttribute('data-bs-theme', theme)", theme)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{page.url} in {theme}:\n{found.generate_report()}"
