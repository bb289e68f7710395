"""The page for one photo, classified as a whole and in parts. The server stores the crops that people draw."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageOps, ImageStat
from playwright.sync_api import Page, expect

from samples import broken
from tests.conftest import SAMPLES, RunningService, suspended_worker, until
from tests.e2e.pages.objects import ManyPage, PhotoPage, assert_accessible
from tests.orientations import STORED

OpenPage = Callable[..., Page]
COAT = SAMPLES / "coat-camel.jpg"
DRESS = SAMPLES / "dress-green.jpg"
ORIENTATION = 0x0112
"""The EXIF tag that says how a picture must be turned before people see it."""

LAYOUT_SHIFT = """() => new Promise((resolve) => {
  let sum = 0;
  const add = (entries) => entries.forEach(({ value }) => (sum += value));
  const observer = new PerformanceObserver((list) => add(list.getEntries()));
  observer.observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => {
    add(observer.takeRecords());
    resolve(sum);
  }));
})"""
"""By how much things have moved on the page, as Chromium measures it (Cumulative Layout Shift)."""


@pytest.fixture
def photo(open_page: OpenPage) -> PhotoPage:
    return PhotoPage(open_page("/"))


def item_of(http: httpx.Client, item_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = http.get(f"/v1/items/{item_id}").raise_for_status().json()
    return answer


def stored_picture(http: httpx.Client, item: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(http.get(item["image"]["original"]).content))


def red_square(path: Path, orientation: int) -> Path:
    """Write a grey picture of 400 x 300 pixels as seen, red where x is 80 to 200 and y is 60 to 180."""
    upright = Image.new("RGB", (400, 300), (120, 120, 120))
    upright.paste((220, 20, 20), (80, 60, 200, 180))
    turned = upright.transpose(STORED[orientation]) if orientation in STORED else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    turned.save(path, exif=exif, quality=95)
    return path


def test_a_crop_is_stored_where_the_eye_sees_it_in_every_exif_orientation(
    open_page: OpenPage, http: httpx.Client, tmp_path: Path
) -> None:
    page = open_page("/", width=1400)
    for orientation in range(1, 9):
        file = red_square(tmp_path / f"turned-{orientation}.jpg", orientation)
        photo = PhotoPage(page)
        (photo.choose if orientation == 1 else photo.choose_another)(file)
        expect(photo.name).to_have_text(file.name)
        expect(photo.part).to_have_text("The whole photo")
        expect(page.locator("cropper-canvas")).to_be_visible()
        photo.drag(0.2, 0.2, 0.5, 0.6)
        page.keyboard.press("Enter")
        expect(photo.part).to_contain_text("A part of the photo")
        item = item_of(http, photo.items()[-1])
        assert (item["image"]["width"], item["image"]["height"]) == (400, 300)
        # One CSS pixel is less than one pixel of this picture.
        assert item["crop"] == pytest.approx({"x": 80, "y": 60, "width": 120, "height": 120}, abs=1.5)
        stored = stored_picture(http, item)
        assert item["image"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        crop = item["crop"]
        seen = ImageOps.exif_transpose(stored).convert("RGB")
        inner = seen.crop((crop["x"] + 5, crop["y"] + 5, crop["x"] + crop["width"] - 5, crop["y"] + crop["height"] - 5))
        extremes = [(low > 150, high < 90) for low, high in ImageStat.Stat(inner).extrema]
        assert extremes == [(True, False), (False, True), (False, True)], orientation


def test_a_photo_is_classified_and_cropped_by_keyboard_alone(open_page: OpenPage, http: httpx.Client) -> None:
    page = open_page("/", dark=True, locale="ko-KR")
    photo = PhotoPage(page)
    assert_accessible(page)
    page.get_by_role("button", name="coat camel").focus()
    page.keyboard.press("Enter")
    expect(photo.ranks.first).to_contain_text("아우터 Outerwear")
    expect(photo.part).to_have_text("사진 전체")
    expect(page.locator("#group")).to_have_text(re.compile(r"^분류: 상의 Tops \d+%$"))
    page.get_by_role("button", name="1:1").press("Enter")
    expect(photo.selection).to_be_focused()
    expect(photo.selection).to_have_attribute("aria-label", re.compile("700 × 700픽셀, 왼쪽에서 150, 위에서 350"))
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowRight"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    photo.wait_for_part(728, 728)
    assert item_of(http, photo.items()[-1])["crop"] == {"x": 94, "y": 322, "width": 728, "height": 728}
    expect(photo.classify_part).to_be_hidden()
    assert_accessible(page)
    photo.selection.press("Escape")
    expect(photo.selection).to_be_hidden()


def test_a_selection_stays_inside_the_photo_and_a_click_selects_nothing(photo: PhotoPage) -> None:
    photo.choose(DRESS)
    expect(photo.page.locator("cropper-canvas")).to_be_visible()
    photo.drag(0.5, 0.5, 0.5, 0.5)
    expect(photo.selection).to_be_hidden()
    photo.choose_part("3:4")
    for key in ("Shift+ArrowDown", "ArrowDown", "ArrowRight"):
        for _ in range(30):
            photo.page.keyboard.press(key)
    shown, limits = photo.selection.bounding_box(), photo.photo.bounding_box()
    assert shown is not None
    assert limits is not None
    assert shown["width"] / shown["height"] == pytest.approx(3 / 4, abs=0.01)
    assert shown["x"] + shown["width"] <= limits["x"] + limits["width"] + 1
    assert shown["y"] + shown["height"] == pytest.approx(limits["y"] + limits["height"], abs=1)


def test_answers_have_a_url_that_survives_reload_back_and_a_new_tab(photo: PhotoPage) -> None:
    page = photo.page
    photo.choose(DRESS)
    expect(photo.ranks.first).to_contain_text("Dress 원피스")
    expect(photo.foot).to_contain_text(re.compile(r"^garments@\d+ · \d+ ms · photo "))
    whole = page.url
    photo.choose_part("free")
    photo.classify_part.click()
    expect(photo.answers).to_have_count(2)
    photo.choose_another(COAT)
    expect(photo.name).to_have_text("coat-camel.jpg")
    expect(photo.answers).to_have_count(3)
    page.reload()
    expect(photo.name).to_have_text("coat-camel.jpg")
    expect(photo.foot).to_contain_text(" ms ")
    photo.answers.nth(1).get_by_role("button").first.click()
    expect(photo.name).to_have_text("dress-green.jpg")
    expect(photo.part).to_contain_text("A part of the photo")
    elsewhere = PhotoPage(page.context.new_page())
    elsewhere.page.goto(page.url)
    expect(elsewhere.name).to_have_text("dress-green.jpg")
    expect(elsewhere.part).to_contain_text("A part of the photo")
    expect(elsewhere.answers).to_have_count(3)
    photo.answers.nth(1).get_by_role("button", name="Take away").click()
    expect(photo.answers).to_have_count(2)
    expect(photo.name).to_have_text("coat-camel.jpg")
    page.go_back()
    page.go_back()
    expect(photo.part).to_have_text("The whole photo")
    expect(photo.name).to_have_text("dress-green.jpg")
    assert page.url == whole
    page.go_back()
    expect(page.get_by_role("heading", name="Drop a photo here.")).to_be_visible()


def test_nothing_moves_while_a_photo_is_answered_and_forced_colours_tell_the_pressed_button(photo: PhotoPage) -> None:
    photo.choose(COAT)
    expect(photo.ranks).to_have_count(5)
    expect(photo.page.locator("cropper-canvas")).to_be_visible()
    assert photo.page.evaluate(LAYOUT_SHIFT) < 0.005
    photo.page.emulate_media(forced_colors="active")
    whole, free = (photo.page.locator(f"[data-part={part}]") for part in ("whole", "free"))
    colours = [button.evaluate("button => getComputedStyle(button).borderBottomColor") for button in (whole, free)]
    assert colours[0] != colours[1]


def test_the_heat_map_lies_over_the_photo_and_follows_the_answer(photo: PhotoPage) -> None:
    photo.choose(COAT)
    button = photo.page.get_by_role("button", name="why", exact=True)
    button.click()
    until(lambda: photo.heat.evaluate("image => image.naturalWidth") > 0)
    assert photo.heat.bounding_box() == photo.photo.bounding_box()
    expect(button).to_have_attribute("aria-pressed", "true")
    first = photo.heat.get_attribute("src")
    photo.choose_part("1:1")
    photo.page.keyboard.press("Enter")
    expect(photo.answers).to_have_count(2)
    expect(photo.heat).not_to_have_attribute("src", str(first))
    button.click()
    expect(photo.heat).to_be_hidden()


def test_a_wrong_file_is_named_with_its_reason(photo: PhotoPage, console_errors: list[str], tmp_path: Path) -> None:
    for name, content, reason in (
        ("list <b>.jpg", broken.text(), "This is not a picture."),
        ("nothing.jpg", broken.empty(), "The file is empty."),
        ("huge.png", broken.huge_png(), "The picture has too many pixels."),
    ):
        (tmp_path / name).write_bytes(content)
        photo.choose(tmp_path / name)
        expect(photo.problem).to_have_text(f"{name}: {reason}")
        expect(photo.page.locator("#headline")).to_be_visible()
    # The answer that was there before stays.
    photo.choose(DRESS)
    expect(photo.ranks.first).to_contain_text("Dress")
    photo.choose_another(tmp_path / "nothing.jpg")
    expect(photo.problem).to_contain_text("nothing.jpg")
    expect(photo.name).to_have_text("dress-green.jpg")
    assert_accessible(photo.page)
    # The browser itself logs every answer of 4xx.
    assert all("status of 4" in error for error in console_errors)
    console_errors.clear()


def test_an_address_of_an_unknown_answer_says_so(open_page: OpenPage, console_errors: list[str]) -> None:
    photo = PhotoPage(open_page("/?item=itm_unknown"))
    expect(photo.problem).to_contain_text("There is no such picture here.")
    expect(photo.page.locator("#headline")).to_be_visible()
    console_errors.clear()


def test_a_photo_that_must_wait_says_its_place_and_is_found_again_after_a_reload(
    photo: PhotoPage, http: httpx.Client, service: RunningService
) -> None:
    with suspended_worker(service):
        # It is stored before, so it is classified before.
        http.post("/v1/classifications", files={"image": COAT.read_bytes()}, headers={"Prefer": "wait=0"})
        photo.choose(DRESS)
        expect(photo.waiting).to_contain_text("1 photo before it")
        assert len(photo.items()) == 1
        photo.page.reload()
        expect(photo.waiting).to_contain_text("1 photo before it")
        expect(photo.name).to_have_text("dress-green.jpg")
    expect(photo.ranks.first).to_contain_text("Dress", timeout=30_000)


def test_several_files_and_archives_go_to_the_page_for_many_pictures(photo: PhotoPage, tmp_path: Path) -> None:
    photo.choose(COAT, DRESS)
    photo.page.wait_for_url("**/new")
    expect(photo.page.locator("#ready-title")).to_contain_text("2 pictures")
    photo.page.goto("/")
    (tmp_path / "looks.csv").write_text("url\nhttps://shop.example/1.jpg\n", "utf-8")
    photo.choose(tmp_path / "looks.csv")
    photo.page.wait_for_url("**/new")
    expect(photo.page.locator("#ready-title")).to_contain_text("looks.csv")


def test_a_single_picture_chosen_among_many_is_answered_on_the_page_for_one_photo(open_page: OpenPage) -> None:
    photo = PhotoPage(open_page("/new"))
    ManyPage(photo.page).choose_files(DRESS)
    expect(photo.ranks.first).to_contain_text("Dress", timeout=30_000)
    expect(photo.name).to_have_text("dress-green.jpg")


def test_on_a_phone_a_finger_scrolls_until_a_part_is_chosen_and_the_next_photo_is_at_the_thumb(
    open_page: OpenPage,
) -> None:
    photo = PhotoPage(open_page("/", width=390, touch=True))
    assert photo.page.locator("label", has_text="Take a photo").first.bounding_box() is not None
    photo.choose(COAT)
    expect(photo.ranks).to_have_count(5)
    camera = photo.page.locator("label[for=next-camera]").bounding_box()
    assert camera is not None
    assert 700 < camera["y"] + camera["height"] <= 844
    assert photo.page.evaluate("document.documentElement.scrollWidth") == 390
    touched = "getComputedStyle(document.querySelector('#crop')).pointerEvents"
    assert photo.page.evaluate(touched) == "none"
    photo.choose_part("free")
    assert photo.page.evaluate(touched) == "auto"
