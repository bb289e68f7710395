"""Reruns: a new job over the stored pictures of another job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from api.app import LookbookApp
from core.item_errors import FetchFailed, NotAnImage
from core.settings import Settings
from core.types import Crop, Region
from db.blobs.opening import open_blob_store
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Blob, Chunk, Job, JobSource, Stage
from tests.integration.apps import bearer, body_of, files_in, picture, refused, serving
from tests.integration.builders import (
    NOW,
    a_garment_model,
    a_key,
    a_model,
    a_varied_job,
    cancel_job,
    delete_job,
)

URL = "https://shop.example/late.jpg"


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with database.writing() as session:
        a_model(session, "2")
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def job_id(settings: Settings, database: Database) -> str:
    """A job with a cropped picture, one that was never downloaded, one that was refused, and one that is broken."""
    blob = StoredBlob(open_blob_store(settings).put(picture()), len(picture()))
    broken = StoredBlob(open_blob_store(settings).put(b"broken"), 6)
    items = [
        NewItem("a.jpg", blob, Crop(1, 2, 30, 40), None, "sku 1", URL, {"title": "코트"}, {"season": 3}),
        NewItem("late.jpg", None, error=FetchFailed("no answer"), source_url=URL, custom_id="sku 2"),
        NewItem("notes.txt", None, error=NotAnImage("text")),
        NewItem("broken.jpg", broken),
    ]
    with database.writing() as session:
        return submitting.create(session, NewJob("autumn", JobSource.UPLOADS, a_model(session)), items, NOW).id


def rerun(client: FlaskClient, job_id: str, options: dict[str, Any] | None = None, **chosen: Any) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json={"rerun": {"job": job_id, **chosen}, "model": "test@2", **(options or {})})
    assert answer.status_code == 202, answer.text
    return body_of(answer)


def items_of(client: FlaskClient, job: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = body_of(client.get(job["links"]["items"]))["data"]
    return rows


def test_a_rerun_takes_the_stored_pictures_with_all_that_is_known_about_them(
    client: FlaskClient, database: Database, settings: Settings, job_id: str
) -> None:
    before = files_in(settings.blobs_folder)
    made = rerun(client, job_id)
    assert (made["source"], made["rerun_of"], made["name"]) == ("rerun", job_id, "autumn")
    assert made["model"] == {"name": "test", "version": "2"}
    old, new = items_of(client, body_of(client.get(f"/v1/jobs/{job_id}"))), items_of(client, made)
    kept = ("custom_id", "source", "metadata", "crop")
    assert [[row[name] for name in kept] for row in new] == [[old[n][name] for name in kept] for n in (0, 1, 3)]
    assert [row["image"] and row["image"]["sha256"] for row in new] == [
        old[n]["image"] and old[n]["image"]["sha256"] for n in (0, 1, 3)
    ]
    assert {row["status"] for row in new} == {"pending"}
    assert files_in(settings.blobs_folder) == before
    with database.reading() as session:
        stages = session.scalars(select(Chunk.stage).where(Chunk.job_id == made["id"])).all()
        assert session.query(Blob).count() == 2
    # Only the picture without bytes has to be downloaded.
    assert sorted(stages) == [Stage.CLASSIFY, Stage.FETCH]


def test_a_rerun_may_take_some_of_the_items(client: FlaskClient, database: Database) -> None:
    job_id = a_varied_job(database)
    rows = items_of(client, body_of(client.get(f"/v1/jobs/{job_id}")))
    predicted = [row for row in rows if row["prediction"]]
    dresses = [row["source"]["name"] for row in predicted if row["prediction"]["label"]["id"] == "dress"]
    assert [row["source"]["name"] for row in items_of(client, rerun(client, job_id, label="dress"))] == dresses
    ids = [rows[3]["id"], rows[1]["id"], rows[3]["id"]]
    named = rerun(client, job_id, {"name": "two again", "top_k": 1}, items=ids)
    assert (named["name"], named["counts"]["total"]) == ("two again", 2)
    assert [row["source"]["name"] for row in items_of(client, named)] == ["1.jpg", "3.jpg"]
    both = rerun(client, job_id, items=[row["id"] for row in rows], status="failed")
    assert both["counts"]["total"] == sum(row["status"] == "failed" for row in rows)


def test_regions_are_taken_over_only_by_models_that_take_them(client: FlaskClient, database: Database) -> None:
    regions = (Region("top", Crop(0, 0, 5, 5)), Region("bottom", Crop(0, 5, 5, 5)))
    with database.writing() as session:
        new = NewJob("looks", JobSource.UPLOADS, a_garment_model(session))
        item = NewItem("a.jpg", StoredBlob("a" * 64, 1), regions=regions)
        job_id = submitting.create(session, new, [item], NOW).id
    (whole,) = items_of(client, rerun(client, job_id))
    assert whole["regions"] == []
    (again,) = items_of(client, rerun(client, job_id, {"model": "garment@1"}))
    assert [(region["name"], region["box"]["y"]) for region in again["regions"]] == [("top", 0), ("bottom", 5)]


def test_a_repeated_rerun_with_the_same_idempotency_key_creates_one_job(client: FlaskClient, job_id: str) -> None:
    body = {"rerun": {"job": job_id}}
    first, again = (client.post("/v1/jobs", json=body, headers={"Idempotency-Key": "r"}) for _ in range(2))
    assert body_of(first)["id"] == body_of(again)["id"]
    assert len(body_of(client.get("/v1/jobs?source=rerun"))["data"]) == 1


def test_a_rerun_counts_in_the_quota_and_needs_a_visible_job(client: FlaskClient, database: Database, app: Any) -> None:
    job_id = a_varied_job(database)
    key_id, key = a_key(database, quota=41)
    body = {"rerun": {"job": job_id}}
    refused(client.post("/v1/jobs", json=body, headers=bearer(key)), 404, "unknown_job")
    with database.writing() as session:
        session.get_one(Job, job_id).key_id = key_id
    assert client.post("/v1/jobs", json=body, headers=bearer(key)).status_code == 202
    assert body_of(client.get("/v1/usage", headers=bearer(key)))["left"] == 1
    refused(client.post("/v1/jobs", json=body, headers=bearer(key)), 429, "quota_exceeded")


@pytest.mark.parametrize(
    ("chosen", "code"),
    [
        ({"items": []}, "invalid_request"),
        ({"items": ["itm_other"]}, "unknown_item"),
        ({"label": "coat"}, "unknown_label"),
        ({"reviewed": True}, "nothing_to_rerun"),
        ({"colour": "red"}, "invalid_request"),
    ],
)
def test_a_rerun_of_no_items_is_refused(client: FlaskClient, job_id: str, chosen: dict[str, Any], code: str) -> None:
    refused(client.post("/v1/jobs", json={"rerun": {"job": job_id, **chosen}}), 422, code)
    refused(client.post("/v1/jobs", json={"rerun": {"job": job_id}, "model": "none"}), 422, "unknown_model")


def test_a_rerun_of_a_deleted_or_unknown_job_is_refused(client: FlaskClient, database: Database, job_id: str) -> None:
    refused(client.post("/v1/jobs", json={"rerun": {"job": "job_x"}}), 404, "unknown_job")
    refused(client.post("/v1/jobs", json={"rerun": {}}), 422, "invalid_request")
    refused(client.post("/v1/jobs", json={"rerun": {"job": job_id}, "items": [{"url": URL}]}), 422, "invalid_request")
    cancel_job(database, job_id)
    delete_job(database, job_id)
    refused(client.post("/v1/jobs", json={"rerun": {"job": job_id}}), 404, "unknown_job")
