"""Pictures that are submitted by URL, without a worker: what the API stores, answers and refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from core.settings import Settings
from db.database import Database
from db.tables import Chunk, Item, Stage
from tests.integration.apps import serving
from tests.integration.builders import a_model

URL = "https://shop.example/looks/a%20coat.jpg?size=large"


@pytest.fixture
def client(database: Database, settings: Settings) -> Iterator[FlaskClient]:
    """The API on each kind of database, because one may refuse values that the other stores."""
    with database.writing() as session:
        a_model(session)
    with serving(settings.with_changes(max_request_files=50), database) as app:
        yield app.test_client()


def submit(client: FlaskClient, items: Any, **options: Any) -> TestResponse:
    return client.post("/v1/jobs", json={"items": items, **options})


def items_of(client: FlaskClient, answer: TestResponse) -> list[dict[str, Any]]:
    assert answer.status_code == 202, answer.text
    found: list[dict[str, Any]] = client.get(answer.get_json()["links"]["items"]).get_json()["data"]
    return found


def test_urls_become_items_to_fetch(client: FlaskClient, database: Database) -> None:
    answer = submit(client, [{"url": URL}] * 5, name="Autumn", priority="low", metadata={"season": 3})
    job = answer.get_json()
    assert (job["name"], job["source"], job["priority"], job["metadata"]) == ("Autumn", "items", "low", {"season": 3})
    assert job["counts"] == {"total": 5, "pending": 5, "succeeded": 0, "failed": 0, "canceled": 0, "reused": 0}
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    with database.reading() as session:
        chunks = session.scalars(select(Chunk).where(Chunk.job_id == job["id"])).all()
        items = session.scalars(select(Item).where(Item.job_id == job["id"])).all()
    assert {chunk.stage for chunk in chunks} == {Stage.FETCH}
    assert {item.chunk_id for item in items} == {chunk.id for chunk in chunks}


def test_an_item_shows_what_the_client_said_about_it(client: FlaskClient) -> None:
    known = {"page_url": "https://shop.example/1", "alt": "a <b>coat</b>"}
    product = {"title": "가을 코트", "currency": "EUR", "sku": "C-17", "breadcrumb": ["여성", "코트"]}
    crop = {"x": 1, "y": 2, "width": 3, "height": 4}
    full = {"url": URL, "custom_id": "sku 17", "crop": crop, "metadata": {"a": [1]}, **known}
    full["product"] = {**product, "price": 39.9, "brand": ""}
    item, bare = items_of(client, submit(client, [full, {"url": URL}]))
    assert item["source"].items() >= {"name": "a coat.jpg", "url": URL, **known}.items()
    assert item["product"].items() >= {"product_id": "C-17", "price": "39.9", "sources": {}, **product}.items()
    assert (item["product"]["brand"], bare["product"]) == (None, None)
    assert (item["custom_id"], item["crop"], item["metadata"], item["image"]) == ("sku 17", crop, {"a": [1]}, None)
    assert (bare["custom_id"], bare["crop"], bare["metadata"], bare["status"]) == (None, None, {}, "pending")


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"url": "ftp://shop.example/a.jpg"}, "fetch_forbidden"),
        ({"url": "javascript:alert(1)"}, "fetch_forbidden"),
        ({"url": ""}, "fetch_forbidden"),
        ({"url": "https://shop.example/a\0.jpg"}, "fetch_forbidden"),
        ({"url": "https://shop.example/" + "a" * 3000}, "fetch_forbidden"),
        ({"url": "https://shop.example:8080/a.jpg"}, "fetch_forbidden"),
        ({"url": "http://user:secret@shop.example/a.jpg"}, "fetch_forbidden"),
        ({"url": "http://127.0.0.1/a.jpg"}, "blocked_address"),
        ({"url": "http://2130706433/a.jpg"}, "blocked_address"),
        ({"url": "http://[::ffff:10.0.0.1]/a.jpg"}, "blocked_address"),
        ({"url": URL, "crop": {"x": -1, "y": 0, "width": 3, "height": 3}}, "bad_crop"),
        ({"url": URL, "crop": {"x": 0, "y": 0, "width": 0, "height": 3}}, "bad_crop"),
        ({"url": URL, "crop": {"x": 10**30, "y": 10**30, "width": 10**30, "height": 10**30}}, "bad_crop"),
    ],
)
def test_an_item_that_can_never_be_fetched_fails_at_submission(
    client: FlaskClient, item: dict[str, Any], code: str
) -> None:
    answer = submit(client, [{"url": URL}, item])
    assert (answer.get_json()["counts"]["pending"], answer.get_json()["counts"]["failed"]) == (1, 1)
    good, bad = items_of(client, answer)
    assert (good["status"], bad["status"], bad["error"]["code"], bad["error"]["retryable"]) == (
        "pending",
        "failed",
        code,
        False,
    )


def test_a_job_of_unfetchable_urls_only_is_completed(client: FlaskClient) -> None:
    job = submit(client, [{"url": "ftp://x"}]).get_json()
    assert (job["status"], job["counts"]["failed"]) == ("completed", 1)


@pytest.mark.parametrize(
    ("items", "pointer"),
    [
        ([], "/items"),
        ({}, "/items"),
        ("x", "/items"),
        ([{"url": URL}, "x"], "/items/1"),
        ([{"url": URL}] * 3 + [{}], "/items/3"),
        ([{"url": 5}], "/items/0/url"),
        ([{"url": URL, "id": "x"}], "/items/0/id"),
        ([{"url": URL, "custom_id": 5}], "/items/0/custom_id"),
        ([{"url": URL, "custom_id": "a\0"}], "/items/0/custom_id"),
        ([{"url": URL, "product": {"title": "x" * 2001}}], "/items/0/product/title"),
        ([{"url": URL, "product": {"colour": "red"}}], "/items/0/product/colour"),
        ([{"url": URL, "product": {"breadcrumb": "Women"}}], "/items/0/product/breadcrumb"),
        ([{"url": URL, "metadata": []}], "/items/0/metadata"),
        ([{"url": URL, "metadata": {"a": "x" * 17_000}}], "/items/0/metadata"),
        ([{"url": URL, "crop": {"x": 1}}], "/items/0/crop/y"),
        ([{"url": URL, "crop": {"x": "one", "y": 1, "width": 1, "height": 1}}], "/items/0/crop/x"),
    ],
)
def test_a_malformed_body_is_answered_with_422_and_a_pointer_and_stores_nothing(
    client: FlaskClient, items: Any, pointer: str
) -> None:
    answer = submit(client, items)
    body = answer.get_json()
    assert (answer.status_code, body["code"], body["errors"][0]["pointer"]) == (422, "invalid_request", pointer)
    assert client.get("/v1/jobs").get_json()["data"] == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"),
        (b"{", 400, "bad_request"),
        (b'{"items": [{"url": "\xff"}]}', 400, "bad_request"),
        (b'{"items": [{"url": "\\ud800"}]}', 400, "bad_request"),
        (b"[]", 422, "invalid_request"),
        (b"{}", 422, "invalid_request"),
        (b'{"items": [{"url": "https://x.example", "metadata": {"a": NaN}}]}', 422, "invalid_request"),
        (b'{"items": [{"url": "https://x.example", "product": {"price": 1e999}}]}', 422, "invalid_request"),
        (b'{"items": [{"url": "https://x.example"}], "extra": 1}', 422, "invalid_request"),
        (b'{"items": [{"url": "https://x.example"}], "metadata": {"a": NaN}}', 422, "invalid_request"),
        (b'{"items": [{"url": "https://x.example"}], "top_k": 0}', 422, "invalid_request"),
        (json.dumps({"items": [{"url": "https://x.example"}] * 51}).encode(), 413, "too_large"),
    ],
)
def test_a_body_that_is_no_job_is_refused_as_a_problem(
    client: FlaskClient, body: bytes, status: int, code: str
) -> None:
    answer = client.post("/v1/jobs", data=body, content_type="application/json")
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)


def test_a_single_picture_can_be_classified_by_its_url(client: FlaskClient, database: Database) -> None:
    crop = {"x": 1, "y": 2, "width": 3, "height": 4}
    answer = client.post("/v1/classifications", json={"url": URL, "crop": crop, "top_k": 2})
    item = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/items/{item['id']}")
    assert (item["status"], item["source"]["name"], item["source"]["url"]) == ("pending", "a coat.jpg", URL)
    assert item["crop"] == crop
    with database.reading() as session:
        assert session.scalars(select(Chunk.stage)).one() == Stage.FETCH


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://10.0.0.1/a.jpg"}, 422, "blocked_address"),
        ({"url": "file:///etc/passwd"}, 422, "fetch_forbidden"),
        ({"url": URL, "crop": {"x": -1, "y": 0, "width": 1, "height": 1}}, 422, "invalid_request"),
        ({"url": URL, "model": "nobody"}, 422, "unknown_model"),
        ({}, 422, "invalid_request"),
    ],
)
def test_a_single_url_that_cannot_be_classified_is_refused_at_once(
    client: FlaskClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post("/v1/classifications", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
