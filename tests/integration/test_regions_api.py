"""Regions over HTTP, without a worker: what is stored, shown and refused."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.messages import ChunkMessage, Queue
from core.settings import Settings
from db.database import Database
from db.tables import Chunk
from tests.integration.apps import picture, problem, refused, serving
from tests.integration.builders import a_garment_model, a_model, finish, scored

URL = "https://shop.example/looks/1.jpg"
BOX = {"x": 0, "y": 0, "width": 30, "height": 20}
TOP = {"name": "top", "box": BOX}
BOTTOM = {"name": "아래", "box": {**BOX, "y": 20}}
MODEL = "garment@1"
PENDING = {"prediction": None, "explanation": None}


@pytest.fixture
def client(database: Database, settings: Settings) -> Iterator[FlaskClient]:
    """The API on each kind of database, with `test@1` in production and the model for single garments `garment@1`."""
    with database.writing() as session:
        a_model(session)
        a_garment_model(session)
    with serving(settings, database) as app:
        yield app.test_client()


def submit(client: FlaskClient, *items: Any, model: str = MODEL) -> TestResponse:
    return client.post("/v1/jobs", json={"items": items, "model": model})


def classify(client: FlaskClient, how: str, regions: Any, model: str = MODEL) -> TestResponse:
    """Send one picture and its regions as a form, as a raw body, or as a URL. Do not wait for the prediction."""
    headers, text = {"Prefer": "wait=0"}, regions if isinstance(regions, str) else json.dumps(regions)
    if how == "url":
        body = {"url": URL, "regions": regions, "model": model}
        return client.post("/v1/classifications", json=body, headers=headers)
    if how == "form":
        form = {"image": (io.BytesIO(picture()), "a.jpg"), "regions": text, "model": model}
        return client.post("/v1/classifications", data=form, headers=headers)
    query = {"regions": text, "model": model}
    return client.post(
        "/v1/classifications", data=picture(), query_string=query, content_type="image/jpeg", headers=headers
    )


def items_of(client: FlaskClient, answer: TestResponse) -> list[dict[str, Any]]:
    assert answer.status_code == 202, answer.text
    found: list[dict[str, Any]] = client.get(answer.get_json()["links"]["items"]).get_json()["data"]
    return found


def test_the_items_of_a_job_show_their_regions(client: FlaskClient) -> None:
    look, plain = items_of(client, submit(client, {"url": URL, "regions": [TOP, BOTTOM]}, {"url": URL}))
    assert look["regions"] == [{**TOP, **PENDING}, {**BOTTOM, **PENDING}]
    assert plain["regions"] == []
    assert client.get(f"/v1/items/{look['id']}").get_json() == look


@pytest.mark.parametrize("how", ["form", "raw", "url"])
def test_a_single_picture_may_have_regions(client: FlaskClient, how: str) -> None:
    answer = classify(client, how, [TOP, BOTTOM])
    assert answer.status_code == 202, answer.text
    assert answer.get_json()["regions"] == [{**TOP, **PENDING}, {**BOTTOM, **PENDING}]


def test_a_region_shows_its_own_prediction(client: FlaskClient, database: Database) -> None:
    answer = classify(client, "form", [TOP])
    with database.reading() as session:
        chunk = session.query(Chunk).one()
        message = ChunkMessage(chunk.id, chunk.job_id, Queue.INTERACTIVE)
    finish(database, message, scored("dress", 0.75))
    item = client.get(answer.headers["Location"]).get_json()
    (region,) = item["regions"]
    assert (region["name"], region["box"]) == ("top", BOX)
    assert region["prediction"]["label"] == {"id": "dress", "name": "Dress", "group": "tops"}
    assert (region["prediction"]["confidence"], region["prediction"]["model"]) == (0.75, MODEL)
    assert region["prediction"]["labels"] == [{"id": "dress", "score": 0.75}, {"id": "shirt", "score": 0.25}]


@pytest.mark.parametrize("how", ["form", "raw", "url", "job"])
def test_regions_for_a_model_of_whole_pictures_are_refused(client: FlaskClient, how: str) -> None:
    if how == "job":
        answer = submit(client, {"url": URL}, {"url": URL, "regions": [TOP]}, model="production")
    else:
        answer = classify(client, how, [TOP], "production")
    body = refused(answer, 422, "regions_not_taken")
    assert body["detail"] == (
        "expected no regions, because the input of test@1 is 'whole'; models whose input is 'garment' take regions"
    )
    assert client.get("/v1/jobs?source=classification").get_json()["data"] == []
    assert client.get("/v1/jobs").get_json()["data"] == []


def box(**sides: Any) -> list[dict[str, Any]]:
    return [{"name": "top", "box": BOX | sides}]


INVALID: list[tuple[Any, str]] = [
    ([], ""),
    ([TOP] * 2, ""),
    ([{"name": f"garment {number}", "box": BOX} for number in range(9)], ""),
    ({"top": BOX}, ""),
    ([{"name": "top"}], "/0/box"),
    ([{"box": BOX}], "/0/name"),
    ([{**TOP, "name": ""}], "/0/name"),
    ([{**TOP, "name": "x" * 101}], "/0/name"),
    ([{**TOP, "name": "a\0"}], "/0/name"),
    ([{**TOP, "label": "shirt"}], "/0/label"),
    (box(x=0.5), "/0/box/x"),
    (box(x="one"), "/0/box/x"),
    (box(x=float("nan")), "/0/box/x"),
    (box(depth=1), "/0/box/depth"),
]
"""Regions, and the end of the pointer to what is wrong in them."""


def test_invalid_regions_are_answered_with_422_and_a_pointer(client: FlaskClient) -> None:
    for regions, pointer in INVALID:
        answers = {how: classify(client, how, regions) for how in ("form", "raw", "url")}
        answers["job"] = submit(client, {"url": URL}, {"url": URL, "regions": regions})
        for how, answer in answers.items():
            prefix = "/items/1/regions" if how == "job" else "/regions"
            assert answer.status_code == 422, (how, regions)
            assert problem(answer)["errors"][0]["pointer"].startswith(prefix + pointer), (how, regions)


@pytest.mark.parametrize("sides", [{"x": -1}, {"width": 0}, {"height": -5}, {"x": 2**31}])
def test_a_box_that_is_no_rectangle_fails_only_its_item_of_a_job(client: FlaskClient, sides: dict[str, int]) -> None:
    for how in ("form", "raw", "url"):
        assert problem(classify(client, how, box(**sides)))["errors"][0]["pointer"].startswith("/regions/0/box/")
    if sides == {"x": 2**31}:
        return
    good, bad = items_of(client, submit(client, {"url": URL, "regions": [TOP]}, {"url": URL, "regions": box(**sides)}))
    assert (good["status"], bad["status"], bad["error"]["code"]) == ("pending", "failed", "bad_crop")


def test_regions_that_are_not_json_are_refused(client: FlaskClient) -> None:
    for how in ("form", "raw"):
        assert problem(classify(client, how, "top=0,0,30,20"))["errors"][0]["pointer"] == "/regions"
