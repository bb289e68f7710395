"""The owner's own labels: written once, given by reviews, shown and exported with the others, and kept while in use."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from core.settings import Settings
from db.database import Database
from db.tables import Scope
from tests.integration.apps import bearer, body_of, refused, serving
from tests.integration.builders import a_key, a_queued_job, finish

OWN: dict[str, Any] = {
    "groups": [{"id": "extras", "name": {"ko": "소품"}}],
    "labels": [
        {"id": "후드티", "group": "tops", "name": {"en": "Hoodie", "ko": "후드티"}},
        {"id": "scarf", "group": "extras", "name": {"fr": "Écharpe"}},
    ],
}


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def job_id(database: Database) -> str:
    """A job of two pictures, which the model takes for shirts."""
    job_id, messages = a_queued_job(database, ["a", "b"])
    for message in messages:
        finish(database, message)
    return job_id


def items_of(client: FlaskClient, job_id: str, query: str = "") -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = body_of(client.get(f"/v1/jobs/{job_id}/items?{query}"))["data"]
    return data


def give(client: FlaskClient, item_id: str, label: str) -> int:
    return client.put(f"/v1/items/{item_id}/review", json={"label": label}).status_code


def test_a_taxonomy_gets_english_and_korean_names_from_any_language(client: FlaskClient, job_id: str) -> None:
    assert body_of(client.get("/v1/taxonomy")) == {"groups": [], "labels": [], "updated_at": None}
    written = body_of(client.put("/v1/taxonomy", json=OWN))
    assert [(row["id"], row["group"], row["names"]) for row in written["labels"]] == [
        ("후드티", "tops", {"en": "Hoodie", "ko": "후드티"}),
        ("scarf", "extras", {"en": "Écharpe", "ko": "Écharpe"}),
    ]
    # The group of the model is kept with the labels in it.
    assert [(row["id"], row["names"]["ko"]) for row in written["groups"]] == [("extras", "소품"), ("tops", "상의")]
    assert body_of(client.get("/v1/taxonomy")) == written


def test_reviews_give_own_labels_and_every_answer_knows_them(client: FlaskClient, job_id: str) -> None:
    first = items_of(client, job_id)[0]["id"]
    answer = client.put(f"/v1/items/{first}/review", json={"label": "후드티"})
    assert refused(answer, 422, "unknown_label")
    client.put("/v1/taxonomy", json=OWN)
    assert give(client, first, "후드티") == 200
    shown = items_of(client, job_id)[0]
    assert shown["label"] == shown["review"]["label"] == {"id": "후드티", "name": "Hoodie", "group": "tops"}
    assert shown["prediction"]["label"]["id"] == "shirt"
    assert [item["id"] for item in items_of(client, job_id, "label=후드티")] == [first]
    summary = body_of(client.get(f"/v1/jobs/{job_id}/summary"))
    assert {row["name"]: row["count"] for row in summary["labels"]} == {"Shirt": 1, "Hoodie": 1}
    assert [row["label"]["id"] for row in body_of(client.get(f"/v1/jobs/{job_id}/reviews"))["data"]] == ["후드티"]


def test_exports_and_label_tools_take_own_labels(client: FlaskClient, job_id: str) -> None:
    client.put("/v1/taxonomy", json=OWN)
    first, second = (item["id"] for item in items_of(client, job_id))
    assert give(client, first, "scarf") == 200
    rows = list(csv.DictReader(io.StringIO(client.get(f"/v1/jobs/{job_id}/export?format=csv").text.lstrip("\ufeff"))))
    assert [(row["label"], row["label_name"], row["group"]) for row in rows] == [
        ("scarf", "Écharpe", "extras"),
        ("shirt", "Shirt", "tops"),
    ]
    coco = json.loads(client.get(f"/v1/jobs/{job_id}/export?format=coco").data)
    names = {row["id"]: row["name"] for row in coco["categories"]}
    assert [names[row["category_id"]] for row in coco["annotations"]] == ["scarf", "shirt"]
    fiftyone = json.loads(client.get(f"/v1/jobs/{job_id}/export?format=fiftyone").data)
    assert fiftyone["classes"][fiftyone["labels"][first]["label"]] == "scarf"
    assert "후드티" in client.get(f"/v1/jobs/{job_id}/labelling-config").text
    task = {
        "data": {"item_id": second},
        "annotations": [
            {
                "result": [
                    {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": ["Hoodie"]}}
                ]
            }
        ],
    }
    assert body_of(client.post(f"/v1/jobs/{job_id}/reviews/import", json=[task]))["changed"] == 1
    assert items_of(client, job_id)[1]["label"]["id"] == "후드티"


def test_a_label_stays_while_reviews_give_it(client: FlaskClient, job_id: str) -> None:
    client.put("/v1/taxonomy", json=OWN)
    first = items_of(client, job_id)[0]["id"]
    assert give(client, first, "scarf") == 200
    without = OWN | {"labels": OWN["labels"][:1]}
    answer = client.put("/v1/taxonomy", json=without)
    assert refused(answer, 409, "label_in_use")
    assert "'scarf' (1 reviews)" in answer.get_json()["detail"]
    assert give(client, first, "shirt") == 200
    assert client.put("/v1/taxonomy", json=without).status_code == 200


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"labels": [{"id": "a", "group": "nowhere", "name": {"en": "A"}}]}, "unknown_group", "expected one of tops"),
        ({"labels": [{"id": "../a", "group": "tops", "name": {"en": "A"}}]}, "invalid_request", "labels/0/id"),
        ({"labels": [{"id": "a", "group": "tops", "name": {}}]}, "invalid_request", "labels/0/name"),
        ({"labels": [{"id": "a", "group": "tops", "name": {"en": " "}}]}, "invalid_request", "labels/0/name"),
        ({"labels": [OWN["labels"][0]] * 2}, "invalid_request", "expected every label once, got '후드티' twice"),
    ],
)
def test_taxonomies_that_make_no_sense_are_refused(
    client: FlaskClient, job_id: str, body: dict[str, Any], code: str, words: str
) -> None:
    answer = client.put("/v1/taxonomy", json=body)
    assert refused(answer, 422, code)
    assert words in answer.get_json()["detail"]


def test_owners_do_not_see_the_labels_of_others(database: Database, client: FlaskClient, job_id: str) -> None:
    (_, first), (_, second) = (a_key(database, Scope.SUBMIT, Scope.READ) for _ in range(2))
    assert client.put("/v1/taxonomy", json=OWN, headers=bearer(first)).status_code == 200
    assert body_of(client.get("/v1/taxonomy", headers=bearer(second)))["labels"] == []
    assert len(body_of(client.get("/v1/taxonomy", headers=bearer(first)))["labels"]) == 2
