"""Regions in the whole running service: predicted by workers, shown by the page, explained, and refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from typer.testing import CliRunner

from cli.main import app
from core.pictures import inspect
from lookbook import Client, ProblemError
from lookbook.options import RegionOption
from tests.artifacts import publish_again
from tests.conftest import SAMPLES, RunningService, ready_service, until
from tests.e2e.conftest import provide_open_page

LOOK = SAMPLES / "coat-camel.jpg"
TOP: RegionOption = {"name": "top", "box": {"x": 100, "y": 100, "width": 500, "height": 400}}
WIDTH = inspect(LOOK.read_bytes()).width
BOTTOM: RegionOption = {"name": "아래", "box": {"x": 100, "y": 500, "width": 500, "height": 400}}


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service whose only model is the committed network as a model for single garments."""
    models = tmp_path_factory.mktemp("models")
    publish_again(models, "looks", view="garment")
    with ready_service(tmp_path_factory.mktemp("looks"), LOOKBOOK_MODELS=str(models)) as running:
        yield running


@pytest.fixture
def client(looks: RunningService) -> Iterator[Client]:
    with Client(looks.url) as made:
        yield made


@pytest.fixture
def open_looks(browser: Browser, looks: RunningService, console_errors: list[str]) -> Iterator[Callable[..., Page]]:
    yield from provide_open_page(browser, looks, console_errors)


def pixels_of(answer: httpx.Response) -> Image.Image:
    return Image.open(io.BytesIO(answer.raise_for_status().content))


def test_a_region_has_the_prediction_that_its_crop_has_alone(client: Client) -> None:
    item = client.classify(LOOK, regions=[TOP, BOTTOM])
    assert [region.name for region in item.regions] == ["top", "아래"]
    for region, given in zip(item.regions, (TOP, BOTTOM), strict=True):
        alone = client.classify(LOOK, crop=given["box"])
        assert (region.prediction, alone.prediction) != (None, None)
        assert region.prediction is not None
        assert alone.prediction is not None
        assert region.prediction.raw == alone.prediction.raw | {"reused": False}
        assert alone.prediction.reused
    whole = client.classify(LOOK)
    assert whole.regions == []
    assert whole.prediction is not None
    assert item.prediction is not None
    assert whole.prediction.labels == item.prediction.labels
    again = client.classify(LOOK, regions=[BOTTOM])
    assert [region.prediction is not None and region.prediction.reused for region in again.regions] == [True]


def test_the_heat_map_of_a_region_lies_inside_its_box(client: Client, looks: RunningService) -> None:
    item = client.classify(LOOK, regions=[TOP])
    (region,) = item.regions
    assert region.explanation is not None
    heat = pixels_of(httpx.get(looks.url + region.explanation, timeout=30, trust_env=False))
    scale = heat.width / WIDTH
    visible = heat.getchannel("A").getbbox()
    assert visible is not None
    x, y = TOP["box"]["x"], TOP["box"]["y"]
    box = [side * scale for side in (x, y, x + TOP["box"]["width"], y + TOP["box"]["height"])]
    assert visible[0] >= box[0] - 1
    assert visible[1] >= box[1] - 1
    assert visible[2] <= box[2] + 1
    assert visible[3] <= box[3] + 1
    unknown = httpx.get(f"{looks.url}/v1/items/{item.id}/explanation?region=hat", trust_env=False)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_region")


def test_a_box_outside_the_picture_is_refused_with_the_name_of_its_region(client: Client) -> None:
    outside: RegionOption = {"name": "top", "box": {"x": 5000, "y": 0, "width": 5, "height": 5}}
    with pytest.raises(ProblemError, match=r"region 'top': expected a crop within the picture") as refused:
        client.classify(LOOK, regions=[BOTTOM, outside])
    assert (refused.value.code, refused.value.status) == ("bad_crop", 422)


def test_the_command_line_prints_the_labels_of_each_region(looks: RunningService) -> None:
    run = CliRunner(env={"LOOKBOOK_URL": looks.url, "COLUMNS": "200"}).invoke
    options = [
        "--model",
        "looks",
        "--top-k",
        "1",
        "--region",
        "top=100,100,500,400",
        "--region",
        "아래=100,500,500,400",
    ]
    printed = run(app, ["classify", str(LOOK), *options])
    assert printed.exit_code == 0, printed.output
    assert [line for line in printed.output.splitlines() if "0." not in line] == ["coat-camel.jpg", "top", "아래"]
    wrong = run(app, ["classify", str(LOOK), "--region", "100,100,500,400"])
    assert wrong.exit_code == 2
    assert "NAME=X,Y,WIDTH,HEIGHT" in wrong.output


def test_the_page_shows_the_regions_of_the_open_picture(
    open_looks: Callable[..., Page], client: Client, looks: RunningService
) -> None:
    item = client.classify(LOOK, regions=[TOP, BOTTOM])
    page = open_looks(f"/jobs/{item.job_id}", dark=True, locale="ko-KR")
    page.locator(".cell").first.click()
    buttons, boxes = page.locator("#viewer-regions button"), page.locator("#viewer-boxes .box")
    expect(buttons).to_have_text(["사진 전체", "top", "아래"])
    expect(boxes).to_have_count(2)
    expect(boxes.first).to_contain_text("top: ")
    photo, box = page.locator("#viewer-photo"), boxes.first
    until(lambda: photo.evaluate("image => image.naturalWidth") > 0)
    shown, drawn = photo.bounding_box(), box.bounding_box()
    assert shown is not None
    assert drawn is not None
    scale = shown["width"] / WIDTH
    assert abs(drawn["x"] - shown["x"] - 100 * scale) < 1
    assert abs(drawn["height"] - 400 * scale) < 1
    page.keyboard.press("r")
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(boxes.first).to_have_class("box chosen")
    region = item.regions[0].prediction
    assert region is not None
    expect(page.locator("#viewer-ranks li").first).to_contain_text(f"{region.confidence * 100:.0f}%")
    page.keyboard.press("e")
    until(lambda: page.locator("#viewer-heat").evaluate("image => image.naturalWidth") > 0)
    assert "region=top" in str(page.locator("#viewer-heat").get_attribute("src"))


def test_a_picture_without_regions_has_neither_boxes_nor_buttons(
    open_looks: Callable[..., Page], client: Client
) -> None:
    page = open_looks(f"/jobs/{client.classify(LOOK).job_id}")
    page.locator(".cell").first.click()
    expect(page.locator("#viewer-ranks li").first).to_be_visible()
    expect(page.locator("#viewer-regions")).to_be_hidden()
    expect(page.locator("#viewer-boxes .box")).to_have_count(0)
