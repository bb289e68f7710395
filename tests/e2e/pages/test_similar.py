"""Pictures that look alike, on the page of a job: the strip in the viewer, and a search with a picture."""

from __future__ import annotations

import base64
from collections.abc import Callable

import httpx
from playwright.sync_api import Page, expect

from tests.conftest import SAMPLES
from tests.e2e.pages.objects import JobPage

OpenPage = Callable[..., Page]

DROP = """([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
  const send = (kind) =>
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  send("dragenter");
  send("dragover");
  const shown = !document.getElementById("drop-to-search").hidden;
  send("drop");
  return shown;
}"""
"""Drops a picture on the page, and returns whether the page said before that it takes one."""


def names_of(http: httpx.Client, path: str) -> list[str]:
    return [row["item"]["source"]["name"] for row in http.get(path).json()["data"]]


def test_the_viewer_shows_what_looks_alike_and_opens_it(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.loaded()
    job.cell("dress-green.jpg").click()
    expect(page.locator("#viewer-name")).to_have_text("dress-green.jpg")
    expect(page.locator("#similar")).to_be_hidden()
    page.keyboard.press("m")
    strip = page.locator("#similar-list li")
    items = http.get(f"/v1{finished_job}/items").json()["data"]
    opened = next(item for item in items if item["source"]["name"] == "dress-green.jpg")
    expected = names_of(http, f"/v1/items/{opened['id']}/similar?limit=24")
    assert len(expected) > 10
    expect(strip).to_have_count(len(expected))
    assert [link.get_attribute("title") for link in strip.locator("a").all()] == expected
    strip.first.click()
    expect(page.locator("#viewer-name")).to_have_text(expected[0])
    # The strip stays on, and shows what looks like the new picture.
    first = next(item for item in items if item["source"]["name"] == expected[0])
    follow = names_of(http, f"/v1/items/{first['id']}/similar?limit=24")
    expect(strip.locator("a").first).to_have_attribute("title", follow[0])
    page.get_by_role("button", name="in all jobs").last.click()
    expect(page.get_by_role("button", name="in all jobs").last).to_have_attribute("aria-pressed", "true")
    expect(strip.first).to_be_visible()
    page.get_by_role("button", name="Similar", exact=True).click()
    expect(page.locator("#similar")).to_be_hidden()


def test_a_failed_picture_has_no_strip(open_page: OpenPage, finished_job: str) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.loaded()
    job.filter("failed").click()
    job.loaded()
    job.cells.first.click()
    expect(page.locator("#viewer-name")).to_be_visible()
    expect(page.locator("#viewer-similar")).to_be_hidden()
    page.keyboard.press("m")
    expect(page.locator("#similar")).to_be_hidden()


def test_a_picture_that_is_dropped_on_the_page_searches_the_job_and_is_not_kept(
    open_page: OpenPage, http: httpx.Client, finished_job: str
) -> None:
    page = open_page(finished_job)
    job = JobPage(page)
    job.loaded()
    data = base64.b64encode((SAMPLES / "dress-green.jpg").read_bytes()).decode()
    assert page.evaluate(DROP, ["my dress.jpg", data])
    found = page.locator("#found-list a")
    expect(page.locator("#found-title")).to_have_text("Like my dress.jpg")
    expect(found.first).to_have_attribute("title", "dress-green.jpg")
    expect(page.locator("#drop-to-search")).to_be_hidden()
    kept = http.get("/v1/jobs", params={"source": "classification"}).json()["data"]
    assert [job for job in kept if job["name"] == "my dress.jpg"] == []
    found.first.click()
    expect(page.locator("#viewer-name")).to_have_text("dress-green.jpg")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="close the search").click()
    expect(page.locator("#found")).to_be_hidden()


def test_a_search_with_a_file_that_is_no_picture_says_so(
    open_page: OpenPage, finished_job: str, console_errors: list[str]
) -> None:
    page = open_page(finished_job)
    JobPage(page).loaded()
    page.locator("#picture-file").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    expect(page.locator("#found-note")).to_have_text("This is not a picture.")
    # The browser itself logs each response above 399.
    assert ["415" in error for error in console_errors] == [True]
    console_errors.clear()
