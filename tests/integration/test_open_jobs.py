"""Open jobs: pictures that arrive in several requests, and the end of the job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import LookbookApp
from broker.client import Broker
from core.errors import JobNotOpen, QuotaExceeded, WrongPosition
from db.database import Database
from db.steps import opening, submitting
from db.steps.opening import OPEN_FOR
from db.steps.submitting import NewItem, NewJob
from db.tables import JobSource, JobStatus
from tests.integration.apps import body_of, picture, refused, services_of
from tests.integration.builders import (
    NOW,
    POLICY,
    a_blob,
    a_key,
    a_model,
    cancel_job,
    finish,
    locked_job,
    read_job,
)
from worker.maintenance.sweeper import sweep


def open_job(database: Database, key_id: str | None = None) -> str:
    with database.writing() as session:
        new = NewJob("open", JobSource.UPLOADS, a_model(session), key_id=key_id, open_until=NOW + OPEN_FOR)
        return submitting.create_with_chunks(session, new, [], POLICY, NOW)[0].id


def append(database: Database, job_id: str, names: list[str], position: int | None = None) -> list[Any]:
    items = [NewItem(name, a_blob(name)) for name in names]
    with locked_job(database, job_id) as (session, job):
        submitting.store_blobs(session, {item.blob.sha256: item.blob.bytes for item in items if item.blob}, NOW)
        return opening.append(session, job, items, position, POLICY, NOW)


def close(database: Database, job_id: str) -> None:
    with locked_job(database, job_id) as (session, job):
        opening.close(session, job, NOW)


def test_an_open_job_ends_only_after_it_is_closed(database: Database) -> None:
    job_id = open_job(database)
    (message,) = append(database, job_id, ["a", "b"], 0)
    finish(database, message)
    job = read_job(database, job_id)
    assert (job.status, job.succeeded, job.finished) == (JobStatus.RUNNING, 2, False)
    (message,) = append(database, job_id, ["c"], 2)
    close(database, job_id)
    assert read_job(database, job_id).finished is False
    finish(database, message)
    job = read_job(database, job_id)
    assert (job.status, job.succeeded, job.total) == (JobStatus.COMPLETED, 3, 3)


def test_a_repeated_addition_adds_nothing(database: Database) -> None:
    job_id = open_job(database)
    append(database, job_id, ["a", "b"], 0)
    with pytest.raises(WrongPosition, match="expected position 2"):
        append(database, job_id, ["a", "b"], 0)
    assert read_job(database, job_id).total == 2


def test_a_closed_or_canceled_job_takes_no_pictures(database: Database) -> None:
    closed, canceled = open_job(database), open_job(database)
    append(database, closed, ["a"])
    close(database, closed)
    cancel_job(database, canceled)
    for job_id in (closed, canceled):
        with pytest.raises(JobNotOpen):
            append(database, job_id, ["b"])
    assert read_job(database, canceled).status == JobStatus.CANCELED


def test_an_addition_beyond_the_quota_adds_nothing(database: Database) -> None:
    key_id, _ = a_key(database, quota=2)
    job_id = open_job(database, key_id)
    append(database, job_id, ["a", "b"])
    with pytest.raises(QuotaExceeded):
        append(database, job_id, ["c"])
    job = read_job(database, job_id)
    assert (job.total, job.pending) == (2, 2)


def test_the_sweeper_closes_a_job_whose_client_is_gone(database: Database, broker: Broker) -> None:
    empty, begun = open_job(database), open_job(database)
    (message,) = append(database, begun, ["a"])
    finish(database, message)
    sweep(database, broker, POLICY, lambda: NOW + OPEN_FOR - timedelta(seconds=1))
    assert not read_job(database, begun).finished
    sweep(database, broker, POLICY, lambda: NOW + OPEN_FOR)
    assert read_job(database, begun).status == JobStatus.COMPLETED
    job = read_job(database, empty)
    assert (job.status, job.error and job.error["code"]) == (JobStatus.FAILED, "empty_source")


def add(client: FlaskClient, job_id: str, files: list[tuple[str, bytes]], query: str = "") -> TestResponse:
    # httpx writes the form, because Flask's test client leaves out the empty line of an empty file's part.
    parts = [("images", file) for file in files]
    request = httpx.Request("POST", "http://localhost/", files=parts)
    content_type = request.headers["Content-Type"]
    return client.post(f"/v1/jobs/{job_id}/items{query}", data=request.read(), content_type=content_type)


def test_pictures_arrive_in_several_requests_with_their_paths_and_in_their_order(client: FlaskClient) -> None:
    job = body_of(client.post("/v1/jobs", json={"open": True, "name": "Autumn"}))
    assert (job["source"], job["discovering"], job["counts"]["total"]) == ("uploads", True, 0)
    assert job["open_until"] is not None
    add(client, job["id"], [("men/1.jpg", picture()), ("men/2.jpg", b"")], "?position=0")
    refused(add(client, job["id"], [("men/1.jpg", picture())], "?position=0"), 409, "wrong_position")
    job = body_of(add(client, job["id"], [("women/1.jpg", picture())], "?position=2"))
    assert job["counts"]["total"] == 3
    items = body_of(client.get(job["links"]["items"]))["data"]
    assert [item["source"]["name"] for item in items] == ["men/1.jpg", "men/2.jpg", "women/1.jpg"]
    assert [item["error"] and item["error"]["code"] for item in items] == [None, "empty_file", None]
    closed = client.post(f"/v1/jobs/{job['id']}/close")
    assert (closed.status_code, body_of(closed)["open_until"], body_of(closed)["discovering"]) == (202, None, False)
    assert client.post(f"/v1/jobs/{job['id']}/close").status_code == 202
    refused(add(client, job["id"], [("late.jpg", picture())]), 409, "job_not_open")


def test_requests_that_add_nothing_are_refused(client: FlaskClient, app: LookbookApp) -> None:
    refused(
        client.post("/v1/jobs", json={"open": True, "items": [{"url": "https://x.example"}]}), 422, "invalid_request"
    )
    refused(client.post("/v1/jobs", json={"open": False}), 422, "invalid_request")
    job = body_of(client.post("/v1/jobs", json={"open": True}))
    refused(client.post(f"/v1/jobs/{job['id']}/items"), 422, "no_source")
    refused(add(client, job["id"], [("a.jpg", picture())], "?position=-1"), 422, "invalid_request")
    refused(add(client, "job_unknown", [("a.jpg", picture())]), 404, "unknown_job")
    # The bytes of refused requests are not kept.
    assert [path for path in services_of(app).settings.blobs_folder.rglob("*") if path.is_file()] == []


def test_the_limits_of_requests_are_those_of_the_settings(client: FlaskClient) -> None:
    limits = body_of(client.get("/v1/limits"))
    assert (limits["picture_bytes"], limits["request_bytes"], limits["request_files"]) == (200_000, 470_000, 20_000)
    assert {"jpeg", "png"} <= set(limits["formats"])
    recipes = body_of(client.get("/v1/recipes"))["data"]
    searches = {recipe["name"]: recipe["searches"] for recipe in recipes}
    assert searches.items() >= {"shop-cards": False, "shopping-search": True, "shopify": False}.items()
