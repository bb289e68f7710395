"""Requests with an Idempotency-Key: a repeated request creates nothing twice."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from api.app import LookbookApp
from core.clock import utc_now
from core.errors import RequestInProgress
from db.access import idempotency
from db.access.idempotency import ANSWER_RETENTION, BROKEN_OFF_AFTER, RequestKey
from db.database import Database
from db.tables import IdempotentRequest, Job
from tests.conftest import SAMPLES
from tests.integration.apps import body_of, services_of
from tests.integration.builders import NOW

PICTURE = (SAMPLES / "t-shirt-red.jpg").read_bytes()
OTHER = (SAMPLES / "shirt-white.jpg").read_bytes()
KEY = RequestKey("", "one")


def submit(client: FlaskClient, data: bytes = PICTURE, key: str | None = "one", **fields: str) -> TestResponse:
    """Submit a picture. Every call uses another boundary in its form, as real clients do."""
    request = httpx.Request("POST", "http://localhost/v1/jobs", files=[("images", ("a.jpg", data))], data=fields)
    headers = {"Content-Type": request.headers["Content-Type"], **({"Idempotency-Key": key} if key else {})}
    return client.post("/v1/jobs", data=request.read(), headers=headers)


def jobs_stored(app: LookbookApp) -> int:
    with services_of(app).database.reading() as session:
        return session.scalar(select(func.count()).select_from(Job)) or 0


def change_request(app: LookbookApp, **values: Any) -> None:
    with services_of(app).database.writing() as session:
        session.execute(update(IdempotentRequest).values(**values))


def test_a_repeated_submission_gets_the_answer_of_the_first(app: LookbookApp, client: FlaskClient) -> None:
    first, second = submit(client, name="Autumn"), submit(client, name="Autumn")
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.data == first.data
    for header in ("Location", "ETag", "Content-Type"):
        assert second.headers[header] == first.headers[header]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert jobs_stored(app) == 1


def test_other_keys_and_requests_without_a_key_make_new_jobs(app: LookbookApp, client: FlaskClient) -> None:
    for key in ("one", "two", None, None):
        assert submit(client, key=key).status_code == 202
    assert jobs_stored(app) == 4


@pytest.mark.parametrize("change", ["picture", "field", "call"])
def test_the_same_key_with_another_request_is_refused(app: LookbookApp, client: FlaskClient, change: str) -> None:
    submit(client)
    if change == "picture":
        again = submit(client, OTHER)
    elif change == "field":
        again = submit(client, name="Winter")
    else:
        headers = {"Idempotency-Key": "one", "Content-Type": "image/jpeg"}
        again = client.post("/v1/classifications", data=PICTURE, headers=headers)
    assert again.status_code == 422
    assert json.loads(again.data)["code"] == "idempotency_key_reused"
    assert jobs_stored(app) == 1


def test_a_repeated_classification_makes_one_job(app: LookbookApp, client: FlaskClient) -> None:
    headers = {"Idempotency-Key": "one", "Content-Type": "image/jpeg", "Prefer": "wait=0"}
    first, second = (client.post("/v1/classifications", data=PICTURE, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert body_of(second) == body_of(first)
    assert jobs_stored(app) == 1


def test_a_repeated_request_is_told_to_wait_while_the_first_runs(app: LookbookApp, client: FlaskClient) -> None:
    with services_of(app).database.writing() as session:
        assert idempotency.begin(session, KEY, utc_now()) is None
    answer = submit(client)
    assert answer.status_code == 409
    assert json.loads(answer.data)["code"] == "request_in_progress"
    assert answer.headers["Retry-After"] == "1"
    assert jobs_stored(app) == 0


def test_a_request_that_broke_off_after_storing_its_job_is_answered_with_that_job(
    app: LookbookApp, client: FlaskClient
) -> None:
    first = submit(client)
    change_request(app, status=None, headers=None, body=None, due_at=utc_now())
    again = submit(client)
    assert (again.status_code, body_of(again)["id"]) == (202, body_of(first)["id"])
    assert again.headers["Location"] == first.headers["Location"]
    assert jobs_stored(app) == 1


def test_a_request_that_broke_off_before_storing_anything_can_be_repeated(
    app: LookbookApp, client: FlaskClient
) -> None:
    with services_of(app).database.writing() as session:
        assert idempotency.begin(session, KEY, utc_now() - BROKEN_OFF_AFTER) is None
    assert submit(client).status_code == 202
    assert submit(client).headers["Idempotency-Replayed"] == "true"
    assert jobs_stored(app) == 1


def test_a_refused_request_leaves_its_key_free(app: LookbookApp, client: FlaskClient) -> None:
    assert submit(client, model="nosuch").status_code == 422
    assert submit(client).status_code == 202
    assert jobs_stored(app) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "l\u00e4nge"])
def test_an_invalid_idempotency_key_is_refused(client: FlaskClient, key: str) -> None:
    answer = client.post("/v1/jobs", data=b"", headers=[("Idempotency-Key", key)])
    assert answer.status_code == 400


def test_an_answer_is_kept_for_a_day(database: Database) -> None:
    def begin(now: datetime) -> bool:
        with database.writing() as session:
            return idempotency.begin(session, KEY, now) is None

    assert begin(NOW)
    with database.writing() as session:
        idempotency.store_answer(session, KEY, "f" * 64, (202, {"Location": "/x"}, "{}"), NOW)
    assert not begin(NOW + ANSWER_RETENTION - timedelta(seconds=1))
    assert begin(NOW + ANSWER_RETENTION)


def test_expired_requests_are_removed(database: Database) -> None:
    with database.writing() as session:
        idempotency.begin(session, KEY, NOW)
        idempotency.store_answer(session, KEY, "f" * 64, (202, {}, "{}"), NOW)
        idempotency.begin(session, RequestKey("", "broken off"), NOW)
    for moment, left in (
        (NOW + ANSWER_RETENTION - timedelta(seconds=1), 2),
        (NOW + ANSWER_RETENTION, 1),
        (NOW + ANSWER_RETENTION + BROKEN_OFF_AFTER, 0),
    ):
        with database.writing() as session:
            idempotency.delete_expired(session, moment)
            assert session.scalar(select(func.count()).select_from(IdempotentRequest)) == left


def test_only_one_of_several_concurrent_requests_is_the_first(database: Database) -> None:
    turns: list[str] = []
    together = threading.Barrier(8)

    def begin() -> None:
        together.wait()
        try:
            with database.writing() as session:
                idempotency.begin(session, KEY, NOW)
            turns.append("first")
        except RequestInProgress:
            turns.append("told to wait")

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns) == ["first", *["told to wait"] * 7]
