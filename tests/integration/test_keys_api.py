"""API keys over HTTP: when they are needed, how they and their usage are shown, and where the API may listen."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from api.exposure import check_exposure
from api.identity.callers import Callers
from core.clock import utc_now
from core.errors import SettingsError
from core.settings import Settings
from db.access import keys, usage
from db.database import Database
from db.migrate import upgrade
from tests.integration.apps import bearer, blobs_on_disk, body_of, refused, services_of, serving, upload_with
from tests.integration.builders import NOW, a_key


def submitted(client: FlaskClient, key: str, pictures: int = 1) -> dict[str, Any]:
    response = upload_with(client, key, pictures)
    assert response.status_code == 202, response.text
    return body_of(response)


def make(client: FlaskClient, key: str | None = None, **options: Any) -> dict[str, Any]:
    response = client.post("/v1/keys", json={"name": "test", **options}, headers=bearer(key) if key else {})
    assert response.status_code == 201
    return body_of(response)


def test_the_service_is_open_until_the_first_key_is_created(client: FlaskClient) -> None:
    assert client.get("/v1/jobs").status_code == 200
    key = make(client, scopes=["admin"])["key"]
    answer = client.get("/v1/jobs")
    refused(answer, 401, "key_required")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200


def test_a_key_created_by_another_process_closes_the_service(app: LookbookApp, client: FlaskClient) -> None:
    assert client.get("/v1/jobs").status_code == 200
    a_key(services_of(app).database)
    services_of(app).callers.clear()
    refused(client.get("/v1/jobs"), 401, "key_required")


def test_a_wrong_key_is_refused_even_if_no_key_is_needed(client: FlaskClient) -> None:
    answer = client.get("/v1/jobs", headers=bearer("lb_1_2"))
    refused(answer, 401, "invalid_key")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("host", ["shop.example", "shop.example:8000", "127.0.0.1.shop.example", "10.0.0.1:8000"])
def test_an_open_service_demands_a_key_under_another_host_name(client: FlaskClient, host: str) -> None:
    refused(client.get("/v1/jobs", headers={"Host": host}), 401, "key_required")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.1.2.3"])
def test_an_open_service_accepts_the_names_of_this_machine(client: FlaskClient, host: str) -> None:
    assert client.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_with_no_auth_every_client_is_served_and_jobs_still_belong_to_their_keys(
    settings: Settings, app: LookbookApp
) -> None:
    _, key = a_key(services_of(app).database)
    with serving(settings.with_changes(no_auth=True, host="0.0.0.0")) as other:
        client = other.test_client()
        job = submitted(client, key)
        assert body_of(client.get("/v1/jobs", headers={"Host": "shop.example"}))["data"][0]["id"] == job["id"]


def test_a_key_is_shown_once(client: FlaskClient) -> None:
    made = make(client, name="first", scopes=["admin"], rate_limit=10, quota=20)
    key = made.pop("key")
    answer = client.get("/v1/keys", headers=bearer(key))
    assert body_of(answer) == {"data": [made], "next_cursor": None}
    assert key.rpartition("_")[2] not in answer.text
    assert (made["rate_limit"], made["quota"], made["last_used_at"]) == (10, 20, None)


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "a\nb"}, {"scopes": []}, {"scopes": ["all"]}, {"rate_limit": 0}, {"quota": -1}, {"x": 1}],
)
def test_invalid_options_of_keys_are_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    refused(client.post("/v1/keys", json={"name": "test", **wrong}), 422, "invalid_request")


def test_keys_are_listed_in_pages(client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    made = {make(client, admin)["id"] for _ in range(4)}
    path, found = "/v1/keys?limit=2", []
    while path:
        page = client.get(path, headers=bearer(admin))
        found += [row["id"] for row in body_of(page)["data"]]
        match = re.match("<(.*)>", page.headers.get("Link", ""))
        path = match[1] if match else ""
    assert len(found) == 5
    assert made < set(found)


def test_a_revoked_key_is_refused(client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    other = make(client, admin)
    assert client.get("/v1/jobs", headers=bearer(other["key"])).status_code == 200
    assert client.delete(f"/v1/keys/{other['id']}", headers=bearer(admin)).status_code == 204
    refused(client.get("/v1/jobs", headers=bearer(other["key"])), 401, "invalid_key")
    assert client.delete(f"/v1/keys/{other['id']}", headers=bearer(admin)).status_code == 204
    refused(client.delete("/v1/keys/key_unknown", headers=bearer(admin)), 404, "unknown_key")


def test_the_last_use_of_a_key_is_shown(app: LookbookApp, client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    before = utc_now()
    client.get("/v1/jobs", headers=bearer(admin)).close()
    key = body_of(client.get("/v1/keys", headers=bearer(admin)))["data"][0]
    assert datetime.fromisoformat(key["last_used_at"]) >= before - timedelta(milliseconds=1)


def test_each_owner_has_its_own_idempotency_keys(app: LookbookApp, client: FlaskClient) -> None:
    made = [a_key(services_of(app).database)[1] for _ in range(2)]
    first, second = (upload_with(client, key, idempotency_key="the same") for key in made)
    assert body_of(first)["id"] != body_of(second)["id"]
    again = upload_with(client, made[0], idempotency_key="the same")
    assert (body_of(again)["id"], again.headers["Idempotency-Replayed"]) == (body_of(first)["id"], "true")


def test_usage_shows_a_key_its_own_figures(client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    made = make(client, admin, scopes=["submit"], quota=5)
    submitted(client, made["key"], 3)
    body = body_of(client.get("/v1/usage", headers=bearer(made["key"])))
    assert (body["key_id"], body["quota"], body["left"]) == (made["id"], 5, 2)
    assert body["today"] == {"jobs": 1, "pictures": 3}
    assert len(body["days"]) == 30
    assert body["days"][-1]["pictures"] == 3
    assert body_of(client.get("/v1/usage", headers=bearer(admin)))["month"] == {"jobs": 0, "pictures": 0}


def test_usage_without_keys_is_that_of_all_clients(client: FlaskClient) -> None:
    body = body_of(client.get("/v1/usage"))
    assert (body["key_id"], body["quota"], body["left"], body["rate_limit"]) == (None, None, None, None)


def test_a_submission_beyond_the_quota_stores_nothing_and_says_when_to_retry(
    app: LookbookApp, client: FlaskClient, settings: Settings
) -> None:
    _, key = a_key(services_of(app).database, quota=2)
    submitted(client, key, 1)
    stored = blobs_on_disk(settings)
    answer = upload_with(client, key, 2)
    assert "may submit 1 more" in refused(answer, 429, "quota_exceeded")["detail"]
    now = utc_now()
    assert abs(int(answer.headers["Retry-After"]) - (usage.next_month_start(now) - now).total_seconds()) < 60
    assert blobs_on_disk(settings) == stored
    assert len(body_of(client.get("/v1/jobs", headers=bearer(key)))["data"]) == 1


def test_a_cached_key_is_read_again_after_two_seconds(
    settings: Settings, app: LookbookApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("api.identity.callers.time.monotonic", lambda: now)
    database = services_of(app).database
    callers = Callers(database, settings)
    key_id, written = a_key(database)
    assert callers.find_by_key(written) is not None
    with database.writing() as session:
        keys.revoke(session, key_id, NOW)
    assert callers.find_by_key(written) is not None
    now += 2.0
    assert callers.find_by_key(written) is None


def test_the_service_listens_on_other_ip_addresses_only_if_a_key_exists(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, host="0.0.0.0")
    with pytest.raises(SettingsError, match="lookbook keys create"):
        check_exposure(settings)
    assert list(tmp_path.iterdir()) == []
    check_exposure(settings.with_changes(no_auth=True))
    check_exposure(settings.with_changes(host="127.0.0.1"))
    database = Database(settings.resolved_database_url)
    upgrade(database)
    with pytest.raises(SettingsError):
        check_exposure(settings)
    a_key(database)
    check_exposure(settings)
    database.close()
