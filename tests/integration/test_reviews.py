"""Reviews over HTTP, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, update

from api.app import LookbookApp
from core.clock import utc_now
from core.settings import Settings
from db.access import keys
from db.database import Database
from db.tables import Job, Scope
from db.views import items
from db.views.item_pages import ItemFilter, ItemSort
from tests.integration.apps import bearer, serving
from tests.integration.builders import a_key, a_varied_job, review
from tests.integration.test_tallies import counted, tallied


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def job_id(database: Database) -> str:
    return a_varied_job(database)


def shown(client: FlaskClient, job_id: str, query: str) -> list[dict[str, Any]]:
    return list(client.get(f"/v1/jobs/{job_id}/items?{query}").get_json()["data"])


def item_ids(client: FlaskClient, job_id: str, query: str = "") -> list[str]:
    return [item["id"] for item in shown(client, job_id, query)]


def test_a_review_is_stored_with_its_item_and_changes_the_jobs_etag(client: FlaskClient, job_id: str) -> None:
    before = client.get(f"/v1/jobs/{job_id}").headers["ETag"]
    item_id = item_ids(client, job_id)[0]
    assert client.get(f"/v1/items/{item_id}").get_json()["review"] is None

    answer = client.put(f"/v1/items/{item_id}/review", json={"label": "dress"})
    assert answer.status_code == 200
    body = answer.get_json()
    assert body["id"].startswith("rev_")
    assert (body["item_id"], body["position"], body["predicted"]["id"]) == (item_id, 0, "shirt")
    assert body["label"] == {"id": "dress", "name": "Dress", "group": "tops"}
    assert (body["rejected"], body["by"]) == (False, None)

    shown = client.get(f"/v1/items/{item_id}").get_json()["review"]
    assert shown == {name: body[name] for name in ("label", "rejected", "crop", "by", "created_at", "updated_at")}
    assert client.get(f"/v1/jobs/{job_id}").headers["ETag"] != before
    assert client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": before}).status_code == 200


def test_the_last_review_counts_and_can_be_deleted(client: FlaskClient, job_id: str) -> None:
    path = f"/v1/items/{item_ids(client, job_id)[0]}/review"
    first = client.put(path, json={"label": "dress"}).get_json()
    second = client.put(path, json={"rejected": True}).get_json()
    assert (second["label"], second["rejected"]) == (None, True)
    assert (second["id"], second["created_at"]) == (first["id"], first["created_at"])
    assert second["updated_at"] >= first["updated_at"]
    assert client.get(f"/v1/jobs/{job_id}/summary").get_json()["reviewed"] == 1

    before = client.get(f"/v1/jobs/{job_id}").headers["ETag"]
    assert client.delete(path).status_code == 204
    assert client.get(f"/v1/jobs/{job_id}").headers["ETag"] != before
    assert client.get(f"/v1/jobs/{job_id}/summary").get_json()["reviewed"] == 0
    again = client.delete(path)
    assert (again.status_code, again.get_json()["code"]) == (404, "unknown_review")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"label": "hat"}, "unknown_label"),
        ({}, "invalid_request"),
        ({"label": None}, "invalid_request"),
        ({"rejected": False}, "invalid_request"),
        ({"label": "shirt", "rejected": True}, "invalid_request"),
        ({"labels": "shirt"}, "invalid_request"),
    ],
)
def test_an_invalid_review_is_refused(client: FlaskClient, job_id: str, body: dict[str, object], code: str) -> None:
    answer = client.put(f"/v1/items/{item_ids(client, job_id)[0]}/review", json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (422, code)
    assert client.get(f"/v1/jobs/{job_id}/reviews").get_json()["data"] == []


@pytest.mark.parametrize("status", ["pending", "failed", "canceled"])
def test_an_item_without_a_prediction_cannot_be_reviewed(client: FlaskClient, job_id: str, status: str) -> None:
    item_id = item_ids(client, job_id, f"status={status}")[0]
    answer = client.put(f"/v1/items/{item_id}/review", json={"label": "shirt"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "not_reviewable")


def summary_of(client: FlaskClient, job_id: str) -> tuple[dict[str, int], int, int, int]:
    """Return the counts of the labels, and how many items are rejected, reviewed and agreed."""
    body = client.get(f"/v1/jobs/{job_id}/summary").get_json()
    assert sum(body["confidence_histogram"]) == body["counts"]["succeeded"]
    assert sum(group["count"] for group in body["groups"]) == sum(label["count"] for label in body["labels"])
    counts = {label["id"]: label["count"] for label in body["labels"]}
    return counts, body["rejected"], body["reviewed"], body["agreed"]


def test_an_item_is_listed_and_counted_under_the_label_of_its_review(
    client: FlaskClient, database: Database, job_id: str
) -> None:
    assert summary_of(client, job_id) == ({"shirt": 16, "dress": 4}, 0, 0, 0)
    first, dress, third = (item["id"] for item in shown(client, job_id, "status=succeeded&limit=3"))
    for item_id, verdict in ((first, {"label": "dress"}), (dress, {"label": "dress"}), (third, {"rejected": True})):
        assert client.put(f"/v1/items/{item_id}/review", json=verdict).status_code == 200
    assert summary_of(client, job_id) == ({"shirt": 14, "dress": 5}, 1, 3, 1)
    items_now = {item["id"]: item for item in shown(client, job_id, "limit=200")}
    assert items_now[first]["label"] == {"id": "dress", "name": "Dress", "group": "tops"}
    assert items_now[first]["prediction"]["label"]["id"] == "shirt"
    assert items_now[third]["label"] is None
    assert {first, dress} <= set(item_ids(client, job_id, "label=dress"))
    assert not {first, third} & set(item_ids(client, job_id, "label=shirt&limit=200"))
    assert third not in item_ids(client, job_id, "group=tops&limit=200")

    client.put(f"/v1/items/{third}/review", json={"label": "shirt"})
    assert client.delete(f"/v1/items/{first}/review").status_code == 204
    assert summary_of(client, job_id) == ({"shirt": 16, "dress": 4}, 0, 2, 2)
    with database.reading() as session:
        assert tallied(session, job_id) == counted(session, job_id)


def test_the_same_review_again_changes_nothing(client: FlaskClient, job_id: str) -> None:
    path = f"/v1/items/{item_ids(client, job_id)[0]}/review"
    client.put(path, json={"label": "dress"})
    before = client.get(f"/v1/jobs/{job_id}").headers["ETag"]
    assert client.put(path, json={"label": "dress"}).status_code == 200
    assert client.get(f"/v1/jobs/{job_id}").headers["ETag"] == before


def test_a_review_can_have_a_better_crop(client: FlaskClient, job_id: str) -> None:
    item_id = item_ids(client, job_id)[0]
    crop = {"x": 5, "y": 10, "width": 25, "height": 30}
    answer = client.put(f"/v1/items/{item_id}/review", json={"label": "dress", "crop": crop})
    assert answer.get_json()["crop"] == crop
    assert client.get(f"/v1/items/{item_id}").get_json()["review"]["crop"] == crop
    assert client.get(f"/v1/items/{item_id}").get_json()["crop"] is None
    outside = client.put(f"/v1/items/{item_id}/review", json={"label": "dress", "crop": crop | {"width": 26}})
    assert (outside.status_code, outside.get_json()["code"]) == (422, "bad_crop")
    assert "30 x 40 pixels" in outside.get_json()["detail"]
    assert client.put(f"/v1/items/{item_id}/review", json={"label": "dress"}).get_json()["crop"] is None


def test_many_items_are_reviewed_at_once_and_this_can_be_undone(
    client: FlaskClient, database: Database, job_id: str
) -> None:
    path = f"/v1/jobs/{job_id}/reviews"
    first, second, third = (item["id"] for item in shown(client, job_id, "status=succeeded&limit=3"))
    crop = {"x": 0, "y": 0, "width": 10, "height": 10}
    client.put(f"/v1/items/{first}/review", json={"label": "shirt", "crop": crop})
    client.put(f"/v1/items/{third}/review", json={"rejected": True})
    before, etag = client.get(path).get_json()["data"], client.get(f"/v1/jobs/{job_id}").headers["ETag"]

    changes = [{"item": first, "label": "dress"}, {"item": second, "rejected": True}, {"item": third, "remove": True}]
    changed = client.post(path, json={"reviews": changes}).get_json()
    assert changed["changed"] == 3
    assert client.get(f"/v1/jobs/{job_id}").headers["ETag"] != etag
    assert summary_of(client, job_id) == ({"shirt": 15, "dress": 4}, 1, 2, 0)
    assert [review["label"] and review["label"]["id"] for review in client.get(path).get_json()["data"]] == [
        "dress",
        None,
    ]
    assert client.post(path, json={"reviews": changes}).get_json()["changed"] == 0

    undone = client.post(path, json={"reviews": changed["before"]}).get_json()
    assert undone["changed"] == 3
    kept = ("item_id", "label", "rejected", "crop")
    after = client.get(path).get_json()["data"]
    assert [[review[name] for name in kept] for review in after] == [
        [review[name] for name in kept] for review in before
    ]
    with database.reading() as session:
        assert tallied(session, job_id) == counted(session, job_id)


@pytest.mark.parametrize(
    ("changes", "status", "code", "pointer"),
    [
        ([{"item": "first", "label": "hat"}], 422, "unknown_label", "/reviews/1/label"),
        ([{"item": "itm_x", "remove": True}], 422, "unknown_item", "/reviews/1/item"),
        ([{"item": "second", "remove": True}], 422, "unknown_item", "/reviews/1/item"),
        ([{"item": "first"}], 422, "invalid_request", "/reviews/1"),
        ([{"item": "first", "label": "dress", "remove": True}], 422, "invalid_request", "/reviews/1"),
        ([{"item": "failed", "label": "dress"}], 409, "not_reviewable", None),
        (
            [{"item": "first", "label": "dress", "crop": {"x": 0, "y": 0, "width": 31, "height": 1}}],
            422,
            "bad_crop",
            None,
        ),
        ([{"item": "first", "remove": True}] * 1000, 422, "invalid_request", "/reviews"),
    ],
)
def test_of_changes_that_cannot_be_made_none_is_made(
    client: FlaskClient, job_id: str, changes: list[dict[str, Any]], status: int, code: str, pointer: str | None
) -> None:
    first, second = (item["id"] for item in shown(client, job_id, "status=succeeded&limit=2"))
    names = {"first": first, "second": second, "failed": item_ids(client, job_id, "status=failed")[0]}
    rows = [
        {"item": second, "label": "dress"},
        *({**row, "item": names.get(row["item"], row["item"])} for row in changes),
    ]
    answer = client.post(f"/v1/jobs/{job_id}/reviews", json={"reviews": rows})
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (status, code)
    assert pointer is None or body["errors"][0]["pointer"] == pointer
    assert client.get(f"/v1/jobs/{job_id}/reviews").get_json()["data"] == []


def test_an_unknown_item_cannot_be_reviewed(client: FlaskClient) -> None:
    assert client.put("/v1/items/itm_x/review", json={"rejected": True}).get_json()["code"] == "unknown_item"
    assert client.delete("/v1/items/itm_x/review").get_json()["code"] == "unknown_item"
    assert client.get("/v1/jobs/job_x/reviews").get_json()["code"] == "unknown_job"


def test_reviews_are_listed_by_position_in_pages(client: FlaskClient, database: Database, job_id: str) -> None:
    review(database, job_id, {20: "dress", 2: None, 13: "shirt", 0: "shirt"})
    review(database, a_varied_job(database), {1: "dress"})
    seen, path = [], f"/v1/jobs/{job_id}/reviews?limit=3"
    while path:
        answer = client.get(path)
        seen += [(row["position"], row["label"] and row["label"]["id"]) for row in answer.get_json()["data"]]
        path = answer.headers["Link"].partition(">")[0].removeprefix("<") if "Link" in answer.headers else ""
    assert seen == [(0, "shirt"), (2, None), (13, "shirt"), (20, "dress")]
    assert client.get(f"/v1/jobs/{job_id}/reviews?cursor=x").status_code == 422


def test_items_can_be_filtered_by_their_review(client: FlaskClient, database: Database, job_id: str) -> None:
    review(database, job_id, {2: None, 13: "shirt"})
    reviewed = client.get(f"/v1/jobs/{job_id}/items?reviewed=true").get_json()["data"]
    assert [(item["position"], item["review"]["rejected"]) for item in reviewed] == [(2, True), (13, False)]
    unreviewed = client.get(f"/v1/jobs/{job_id}/items?reviewed=false&status=succeeded&limit=200").get_json()["data"]
    assert len(unreviewed) == 18
    assert all(item["review"] is None for item in unreviewed)


def test_a_page_of_reviewed_items_needs_one_query(database: Database, job_id: str) -> None:
    review(database, job_id, dict.fromkeys(range(5), "dress"))
    statements: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    with database.reading() as session:
        page = items.list_of_job(session, job_id, ItemFilter(), ItemSort.POSITION, None, 10)
        assert [item.review is not None for item in page[:6]] == [True] * 5 + [False]
    assert len([statement for statement in statements if statement.startswith("SELECT")]) == 1


def test_a_review_names_its_key(client: FlaskClient, database: Database, job_id: str) -> None:
    with database.writing() as session:
        key, written = keys.create(session, "reviewer", [Scope.SUBMIT, Scope.READ], utc_now())
        session.execute(update(Job).values(key_id=key.id))
    headers = {"Authorization": f"Bearer {written}"}
    item = client.get(f"/v1/jobs/{job_id}/items", headers=headers).get_json()["data"][0]
    answer = client.put(f"/v1/items/{item['id']}/review", json={"rejected": True}, headers=headers)
    assert answer.get_json()["by"] == key.id


def test_the_confusions_of_a_model_count_the_reviews_of_its_jobs(client: FlaskClient, database: Database) -> None:
    first, second = a_varied_job(database), a_varied_job(database)
    # Every fourth of the recorded pictures is predicted as dress, the others as shirt.
    review(database, first, {0: "dress", 1: "dress", 2: "dress", 3: None})
    review(database, second, {0: "dress", 4: None, 6: None})
    path = "/v1/models/test/1/confusion"
    assert client.get(path).get_json()["data"] == [
        confusion("shirt", None, {second: 2, first: 1}),
        confusion("shirt", "dress", {second: 1, first: 2}),
        confusion("dress", "dress", {first: 1}),
    ]
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == second).values(deleted_at=utc_now()))
    assert client.get(path).get_json()["data"][0] == confusion("shirt", "dress", {first: 2})
    assert client.get("/v1/models/test/9/confusion").get_json()["code"] == "unknown_model"


def confusion(predicted: str, label: str | None, counts: dict[str, int]) -> dict[str, Any]:
    jobs = [{"id": job, "name": "varied", "count": count} for job, count in counts.items()]
    return {"predicted": predicted, "label": label, "count": sum(counts.values()), "jobs": jobs}


def test_the_confusions_of_a_model_leave_out_the_jobs_of_others(client: FlaskClient, database: Database) -> None:
    review(database, a_varied_job(database), {0: "dress"})
    _, stranger = a_key(database, Scope.READ)
    answer = client.get("/v1/models/test/1/confusion", headers=bearer(stranger))
    assert answer.get_json() == {"data": []}
