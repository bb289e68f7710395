"""What catalog teams have, sent to the running service: sheets, feeds, lists, archives, and pictures of all formats."""

from __future__ import annotations

import base64
import gzip
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from core.pictures import load
from tests.conftest import SAMPLES, RunningService
from tests.e2e.test_sources import all_items
from tests.integration.hostile_server import HostileServer, response
from tests.jobs import run_job

PICTURE = (SAMPLES / "t-shirt-red.jpg").read_bytes()


@pytest.fixture(scope="module")
def shop() -> Iterator[HostileServer]:
    with HostileServer() as server:
        server.answers = {f"/{path.name}": response(path.read_bytes()) for path in SAMPLES.iterdir()}
        server.answers |= {f"/gone-{number}.jpg": response(PICTURE + b"x") for number in range(10)}
        yield server


@pytest.fixture
def loopback(loopback_service: RunningService) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=loopback_service.url, timeout=60.0, trust_env=False) as client:
        yield client


def a_sheet(shop: HostileServer) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["상품코드", "이미지", "SKU"])
    book.active.append(["p-1", f"{shop.url}/t-shirt-red.jpg, {shop.url}/coat-camel.jpg", "s-1"])
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def a_feed(shop: HostileServer) -> bytes:
    return (
        '<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:item_group_id>p-1</g:item_group_id>'
        f"<g:image_link>{shop.url}/t-shirt-red.jpg</g:image_link><sku>s-1</sku>"
        f"<g:additional_image_link>{shop.url}/coat-camel.jpg</g:additional_image_link></item></channel></rss>"
    ).encode()


def a_list(shop: HostileServer) -> bytes:
    return f"{shop.url}/t-shirt-red.jpg\n{shop.url}/coat-camel.jpg\n".encode()


@pytest.mark.parametrize("make", [a_sheet, a_feed, a_list])
def test_a_list_of_pictures_is_classified_as_people_have_it(
    loopback: httpx.Client, shop: HostileServer, make: Callable[[HostileServer], bytes]
) -> None:
    for data in (make(shop), gzip.compress(make(shop))) if make is not a_sheet else (make(shop),):
        job = run_job(loopback, files={"manifest": ("list", data)})
        items = all_items(loopback, job)
        assert [item["label"] and item["label"]["id"] for item in items] == ["t-shirt", "outwear"], items
        assert {item["product"] and item["product"]["product_id"] for item in items} == {
            None if make is a_list else "p-1"
        }
        assert "url" in job["columns"].values()


def test_the_command_line_takes_a_sheet_and_says_what_columns_mean(
    loopback_service: RunningService, shop: HostileServer, tmp_path: Path
) -> None:
    (tmp_path / "katalog.csv").write_text(f"Bild;Nummer\n{shop.url}/t-shirt-red.jpg;17\n", "utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "cli", "submit", str(tmp_path / "katalog.csv"), "--json"),
            *("--columns", "Nummer=sku", "--columns", "Bild=url", "--url", loopback_service.url),
        ],
        capture_output=True,
        check=True,
    )
    (item,) = (json.loads(line) for line in done.stdout.splitlines())
    assert (item["product"]["sku"], item["prediction"]["label"]["id"]) == ("17", "t-shirt")


def test_a_table_inside_an_archive_describes_its_pictures(http: httpx.Client) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("looks/1.jpg", PICTURE)
        archive.writestr("readme.txt", "hello")
        archive.writestr("list.csv", "파일명,sku\n1.jpg,s-1\n")
    job = run_job(http, files={"archive": ("looks.zip", buffer.getvalue())})
    (item,) = all_items(http, job)
    assert (item["product"]["sku"], item["status"], job["left_out"]) == ("s-1", "succeeded", 2)


@pytest.mark.parametrize("form", ["HEIF", "TIFF", "JPEG2000", "JXL"])
def test_pictures_of_every_format_are_classified_and_can_be_shown(http: httpx.Client, form: str) -> None:
    file = io.BytesIO()
    load(PICTURE)[0].save(file, form, quality=90)
    answer = http.post("/v1/classifications", files={"image": ("look", file.getvalue())})
    assert answer.status_code == 200, answer.text
    item: dict[str, Any] = answer.json()
    assert item["prediction"]["label"]["id"] == "t-shirt"
    for path in (item["image"]["shown"], item["image"]["thumbnail"]):
        with Image.open(io.BytesIO(http.get(path).content)) as shown:
            assert shown.format == "JPEG"


def test_a_jpeg_without_its_end_mark_and_one_inside_json_are_classified(http: httpx.Client) -> None:
    cut = http.post("/v1/classifications", content=PICTURE[:-2], headers={"Content-Type": "image/jpeg"}).json()
    text = f"data:image/jpeg;base64,{base64.b64encode(PICTURE).decode()}"
    whole = http.post(
        "/v1/classifications",
        content=gzip.compress(json.dumps({"image": text}).encode()),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ).json()
    assert (cut["image"]["truncated"], whole["image"]["truncated"]) == (True, False)
    assert cut["prediction"]["confidence"] == pytest.approx(whole["prediction"]["confidence"], abs=1e-4)


def test_one_picture_under_many_urls_is_a_placeholder_and_the_page_says_why_nothing_succeeded(
    loopback: httpx.Client, shop: HostileServer, loopback_service: RunningService, browser: Any
) -> None:
    items = [{"url": f"{shop.url}/gone-{number}.jpg"} for number in range(10)]
    job = run_job(loopback, json={"items": items})
    assert job["failures"] == [{"code": "placeholder", "count": 10}]
    page: Page = browser.new_page(locale="en")
    page.goto(loopback_service.url + job["links"]["page"])
    expect(page.locator("#facts")).to_contain_text("No picture could be classified")
    expect(page.locator("#facts")).to_contain_text("placeholder")
    page.close()
