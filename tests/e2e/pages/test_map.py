"""The map of a job on its page: points, legend, lasso, keys, fingers, and what is said where there is no map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select

from core.clock import utc_now
from core.maps import Points
from db.database import Database
from db.steps import lifecycle, mapping
from db.tables import Item
from tests.conftest import until
from tests.e2e.pages.conftest import ALL
from tests.e2e.pages.objects import Head, JobPage, assert_accessible
from tests.jobs import run_job

OpenPage = Callable[..., Page]


@pytest.fixture
def mapped_job(http: httpx.Client, database: Database) -> str:
    """The path of the page of a job of all samples, with a map: the T-shirts on the left, all others on the right."""
    files = [("images", (Path(path).name, Path(path).read_bytes())) for path in ALL]
    job = run_job(http, files=files)
    with database.writing() as session:
        row = lifecycle.lock_job(session, job["id"])
        assert row is not None
        mapping.request(session, row, utc_now())
        work = mapping.take(session, utc_now())
        assert work is not None
        items = session.execute(
            select(Item.position, Item.label).where(Item.job_id == job["id"]).order_by(Item.position)
        ).all()
        places = [(1000 if label == "t-shirt" else 60_000, 2400 * position + 500) for position, label in items]
        points = Points(np.array([position for position, _ in items], np.int32), np.array(places, np.uint16))
        assert mapping.store(session, work, points, len(items), utc_now())
    return str(job["links"]["page"])


def map_of(page: Page) -> Locator:
    canvas = page.locator("#map")
    expect(page.locator("#map-legend li").first).to_be_visible()
    return canvas


def lasso_right_half(page: Page) -> None:
    """Draw a lasso around the right half of the map, with Shift and the mouse."""
    box = map_of(page).bounding_box()
    assert box is not None
    left, right = box["x"] + box["width"] / 2, box["x"] + box["width"] - 3
    top, bottom = box["y"] + 3, box["y"] + box["height"] - 3
    page.keyboard.down("Shift")
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 20)):
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")


def test_a_lasso_selects_reviews_and_lists_the_pictures_inside(
    open_page: OpenPage, http: httpx.Client, mapped_job: str
) -> None:
    labels = http.get(f"/v1{mapped_job}/summary").json()["labels"]
    shirts = next(row["count"] for row in labels if row["id"] == "t-shirt")
    others = len(ALL) - shirts
    page = open_page(mapped_job)
    page.get_by_role("link", name="Map").click()
    expect(page.locator("#map-note")).to_contain_text(f"{len(ALL)} pictures. Similar pictures are near each other")
    expect(page.locator("#sheet")).to_be_hidden()
    assert_accessible(page)
    page.set_viewport_size({"width": 1280, "height": 1200})

    lasso_right_half(page)
    expect(page.locator("#bulk-count")).to_contain_text(str(others))
    page.select_option("#bulk-label", "dress")
    until(lambda: http.get(f"/v1{mapped_job}/summary").json()["reviewed"] == others)
    expect(page.locator("#map-legend li")).to_have_count(2)
    expect(page.locator("#map-legend li").filter(has_text="Dress")).to_contain_text(str(others))
    page.select_option("#map-colour", "review")
    expect(page.locator("#map-legend")).to_contain_text("other label")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#map-legend li")).to_have_count(1)
    until(lambda: http.get(f"/v1{mapped_job}/summary").json()["reviewed"] == 0)

    lasso_right_half(page)
    page.get_by_role("button", name="Show these in the list").click()
    page.wait_for_url("**area=1_**")
    JobPage(page).expect_length(others)
    page.reload()
    JobPage(page).expect_length(others)
    page.get_by_role("button", name="area of the map").click()
    JobPage(page).expect_length(len(ALL))
    page.go_back()
    page.go_back()
    map_of(page)


def test_the_map_is_used_by_keyboard_alone(open_page: OpenPage, mapped_job: str) -> None:
    page = open_page(f"{mapped_job}?view=map")
    canvas = map_of(page)
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#map-card")).to_be_visible()
    expect(page.locator("#map-status")).to_contain_text(f"of {len(ALL)}")
    said = page.locator("#map-status").inner_text()
    number = int(said.rpartition("Picture ")[2].split()[0])
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-place")).to_have_text(f"{number} of {len(ALL)}")
    page.keyboard.press("Escape")
    expect(canvas).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer-place")).to_have_text(f"{number} of {len(ALL)}")
    # A key that follows at once finds the same point, before the page has noticed that the viewer is closed.
    page.evaluate(
        "document.querySelector('#viewer').close();"
        "document.querySelector('#map').dispatchEvent(new KeyboardEvent('keydown', {key: 's', bubbles: true}))"
    )
    expect(canvas).to_be_focused()
    expect(page.locator("#bulk-count")).to_contain_text("1")
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()
    page.locator("#map-legend button").filter(has_text="T-shirt").press("Enter")
    expect(page.locator('#map-legend button[aria-pressed="true"]')).to_have_count(1)
    canvas.focus()
    page.keyboard.press("Control+a")
    shirts = page.locator("#map-legend button").filter(has_text="T-shirt").locator("span").last.inner_text()
    expect(page.locator("#bulk-count")).to_contain_text(shirts)


def test_the_map_fits_a_phone_in_the_dark_and_in_korean(open_page: OpenPage, mapped_job: str) -> None:
    page = open_page(f"{mapped_job}?view=map", width=390, touch=True, dark=True)
    canvas = map_of(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    # The T-shirts are at the left edge of the map, which has a margin of 24 pixels.
    shirt = page.locator("#map-card")
    for step in range(int(box["y"]) + 24, int(box["y"] + box["height"]) - 24, 12):
        page.touchscreen.tap(box["x"] + 26, step)
        if shirt.is_visible():
            break
    expect(shirt).to_contain_text("T-shirt")
    shirt.tap()
    expect(page.locator("#viewer")).to_be_visible()
    page.locator("#viewer-close").tap()
    Head(page).switch_language()
    expect(page.locator("#map-note")).to_contain_text("비슷한 사진끼리 가까이 있으며")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert_accessible(page)


def test_a_job_with_too_few_pictures_says_so(open_page: OpenPage, http: httpx.Client) -> None:
    files = [("images", (Path(path).name, Path(path).read_bytes())) for path in ALL[:2]]
    job = run_job(http, files=files)
    code = http.get(f"{job['links']['self']}/map").json()["unavailable"]["code"]
    sentence = {"no_embedding": "gives no vectors", "too_few_pictures": "at least 20 classified pictures"}[code]
    page = open_page(f"{job['links']['page']}?view=map")
    expect(page.locator("#map-plain")).to_contain_text(sentence)
    expect(page.locator("#map-make")).to_be_hidden()
    expect(page.locator("#map-body")).to_be_hidden()
