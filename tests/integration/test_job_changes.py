"""Renaming a job, changing when it expires, and its owner in answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from core.clock import rfc3339, utc_now
from core.settings import Settings
from tests.integration.apps import bearer, body_of, picture, refused, services_of, serving, upload, upload_with
from tests.integration.builders import a_key, cancel_job


@pytest.fixture
def path(client: FlaskClient) -> str:
    return str(body_of(upload(client, [(picture(), "a.jpg")], name="first"))["links"]["self"])


def change(client: FlaskClient, path: str, **members: Any) -> dict[str, Any]:
    answer = client.patch(path, json=members)
    assert answer.status_code == 200, answer.text
    return body_of(answer)


def test_a_job_can_be_renamed_at_any_time(client: FlaskClient, app: LookbookApp, path: str) -> None:
    before = client.get(path).headers["ETag"]
    assert change(client, path, name="가을 <b>catalog</b>")["name"] == "가을 <b>catalog</b>"
    assert client.get(path, headers={"If-None-Match": before}).status_code == 200
    cancel_job(services_of(app).database, path.rpartition("/")[2], utc_now())
    assert change(client, path, name="later")["expires_at"] is None
    assert [job["name"] for job in body_of(client.get("/v1/jobs?q=LATER"))["data"]] == ["later"]


def test_the_expiry_of_a_job_can_be_moved_and_removed(client: FlaskClient, path: str) -> None:
    later = rfc3339(utc_now() + timedelta(days=90))
    assert change(client, path, expires_at=later)["expires_at"] == later
    assert change(client, path, name="kept")["expires_at"] == later
    assert change(client, path, expires_at=None)["expires_at"] is None


def test_without_an_expiry_a_job_is_kept_as_long_as_the_service_keeps_jobs(
    app: LookbookApp, settings: Settings, path: str
) -> None:
    with serving(settings.with_changes(retention_days=30)) as keeping:
        expires_at = change(keeping.test_client(), path, expires_at=None)["expires_at"]
    assert rfc3339(utc_now() + timedelta(days=29)) < expires_at < rfc3339(utc_now() + timedelta(days=31))


@pytest.mark.parametrize(
    "members", [{}, {"name": ""}, {"name": None}, {"name": "x" * 201}, {"name": "a\0"}, {"colour": "red"}, {"name": 5}]
)
def test_a_change_needs_a_valid_name_or_expiry(client: FlaskClient, path: str, members: dict[str, Any]) -> None:
    refused(client.patch(path, json=members), 422, "invalid_request")
    assert body_of(client.get(path))["name"] == "first"


def test_a_job_cannot_expire_in_the_past(client: FlaskClient, path: str) -> None:
    for wrong in (rfc3339(utc_now() - timedelta(seconds=5)), "tomorrow", "2030-01-01T00:00:00"):
        refused(client.patch(path, json={"expires_at": wrong}), 422, "invalid_request")


def test_a_job_names_its_owner(app: LookbookApp, client: FlaskClient, path: str) -> None:
    assert body_of(client.get(path))["owner"] is None
    key_id, key = a_key(services_of(app).database, name="catalog import")
    services_of(app).callers.clear()
    owner = {"id": key_id, "name": "catalog import"}
    assert body_of(upload_with(client, key))["owner"] == owner
    assert [job["owner"] for job in body_of(client.get("/v1/jobs", headers=bearer(key)))["data"]] == [owner]
