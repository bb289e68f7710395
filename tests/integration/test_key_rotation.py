"""Owners with several keys, and the replacement of a key by a new one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from core.clock import utc_now
from core.errors import BadOwner, QuotaExceeded
from core.settings import Settings
from db.access import keys, usage
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import ApiKey, JobSource, Scope
from db.tables.shadows import SHADOW_OWNER
from tests.integration.apps import bearer, body_of, refused, services_of, serving, upload_with
from tests.integration.builders import NOW, a_blob, a_key, a_model

DAY = timedelta(days=1)


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with database.writing() as session:
        a_model(session)
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def admin(database: Database, app: LookbookApp) -> str:
    return a_key(database, Scope.ADMIN, name="operator")[1]


def made(client: FlaskClient, admin: str, **options: Any) -> dict[str, Any]:
    answer = client.post("/v1/keys", json={"name": "test", **options}, headers=bearer(admin))
    assert answer.status_code == 201, answer.text
    return body_of(answer)


def rotated(client: FlaskClient, admin: str, key_id: str, **options: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/keys/{key_id}/rotate", json=options, headers=bearer(admin))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store"), answer.text
    return body_of(answer)


def expire(app: LookbookApp, key_id: str) -> None:
    """Make the overlap of a rotated key end now."""
    with services_of(app).database.writing() as session:
        session.get_one(ApiKey, key_id).expires_at = utc_now()
    services_of(app).callers.clear()


def test_a_rotated_key_and_the_new_one_see_the_same_jobs_until_the_overlap_ends(
    app: LookbookApp, client: FlaskClient, admin: str
) -> None:
    old = made(client, admin, name="import", scopes=["submit", "read"], rate_limit=50, quota=100)
    job = body_of(upload_with(client, old["key"]))
    new = rotated(client, admin, old["id"], overlap_days=2)
    kept = ("name", "owner", "scopes", "rate_limit", "quota")
    assert {name: new[name] for name in kept} == {name: old[name] for name in kept}
    assert (new["owner"], new["expires_at"]) == (old["id"], None)
    for key in (old["key"], new["key"]):
        for path in ("", "/items", "/export", "/summary"):
            assert client.get(f"/v1/jobs/{job['id']}{path}", headers=bearer(key)).status_code == 200
        assert [row["id"] for row in body_of(client.get("/v1/jobs", headers=bearer(key)))["data"]] == [job["id"]]
    later = body_of(upload_with(client, new["key"]))
    assert client.get(f"/v1/jobs/{later['id']}", headers=bearer(old["key"])).status_code == 200
    assert later["owner"] == job["owner"] == {"id": old["id"], "name": "import"}

    expire(app, old["id"])
    refused(client.get("/v1/jobs", headers=bearer(old["key"])), 401, "invalid_key")
    assert client.get(f"/v1/jobs/{job['id']}", headers=bearer(new["key"])).status_code == 200
    # The owner still has a key, so that the administrator inherits nothing.
    refused(client.get(f"/v1/jobs/{job['id']}", headers=bearer(admin)), 404, "unknown_job")


def test_administrators_inherit_the_jobs_of_an_owner_whose_last_key_has_ended(
    app: LookbookApp, client: FlaskClient, admin: str
) -> None:
    old = made(client, admin)
    job = body_of(upload_with(client, old["key"]))
    new = rotated(client, admin, old["id"], overlap_days=0)
    services_of(app).callers.clear()
    refused(client.get("/v1/jobs", headers=bearer(old["key"])), 401, "invalid_key")
    refused(client.get(f"/v1/jobs/{job['id']}", headers=bearer(admin)), 404, "unknown_job")
    assert client.delete(f"/v1/keys/{new['id']}", headers=bearer(admin)).status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}", headers=bearer(admin)).status_code == 200
    assert [row["id"] for row in body_of(client.get("/v1/jobs", headers=bearer(admin)))["data"]] == [job["id"]]


def test_a_key_with_a_named_owner_shares_jobs_reuse_and_idempotency_with_its_others(
    client: FlaskClient, admin: str
) -> None:
    first, second, other = (made(client, admin, owner=owner) for owner in ("shop-team", "shop-team", "other-team"))
    job = body_of(upload_with(client, first["key"], idempotency_key="once"))
    assert job["owner"] == {"id": "shop-team", "name": "shop-team"}
    assert body_of(upload_with(client, second["key"], idempotency_key="once"))["id"] == job["id"]
    assert body_of(upload_with(client, other["key"], idempotency_key="once"))["id"] != job["id"]
    path = f"/v1/jobs/{job['id']}"
    assert client.patch(path, json={"name": "renamed"}, headers=bearer(second["key"])).status_code == 200
    share = body_of(client.post(f"{path}/shares", json={}, headers=bearer(second["key"])))
    assert share["by"] == second["id"]
    listed = body_of(client.get(f"{path}/shares", headers=bearer(first["key"])))["data"]
    assert [row["id"] for row in listed] == [share["id"]]
    refused(client.get(path, headers=bearer(other["key"])), 404, "unknown_job")


def test_a_session_ends_with_its_key_and_a_session_of_the_new_key_shows_the_same(
    app: LookbookApp, client: FlaskClient, admin: str
) -> None:
    old = made(client, admin, name="import", owner="shop-team")
    upload_with(client, old["key"], pictures=2)
    browser = app.test_client()
    assert browser.post("/session", json={"key": old["key"]}).status_code == 204
    new = rotated(client, admin, old["id"])
    expire(app, old["id"])
    assert body_of(browser.get("/session"))["signed_in"] is False
    assert browser.post("/session", json={"key": new["key"]}).status_code == 204
    shown = body_of(browser.get("/session"))["key"]
    assert (shown["id"], shown["owner"], shown["used"]) == (new["id"], "shop-team", 2)


def test_all_keys_of_an_owner_use_one_quota_and_each_has_its_own_rate_limit(client: FlaskClient, admin: str) -> None:
    first = made(client, admin, owner="shop-team", quota=3, rate_limit=20)
    second = made(client, admin, owner="shop-team")
    assert (second["quota"], second["rate_limit"]) == (3, None)
    assert upload_with(client, first["key"], pictures=2).status_code == 202
    refused(upload_with(client, second["key"], pictures=2), 429, "quota_exceeded")
    used = body_of(client.get("/v1/usage", headers=bearer(second["key"])))
    assert (used["key_id"], used["owner"], used["left"]) == (second["id"], "shop-team", 1)
    limits = [client.get("/v1/jobs", headers=bearer(key["key"])).headers["RateLimit-Limit"] for key in (first, second)]
    assert limits == ["20", "6000"]
    third = made(client, admin, owner="shop-team", quota=10)
    for key in (first, second, third):
        assert body_of(client.get("/v1/usage", headers=bearer(key["key"])))["left"] == 8
    assert client.delete(f"/v1/keys/{third['id']}", headers=bearer(admin)).status_code == 204
    assert body_of(client.get("/v1/usage", headers=bearer(first["key"])))["left"] == 1


def test_keys_that_cannot_be_rotated_and_wrong_options_are_refused(
    app: LookbookApp, client: FlaskClient, admin: str
) -> None:
    ended = made(client, admin)
    client.delete(f"/v1/keys/{ended['id']}", headers=bearer(admin))
    path = f"/v1/keys/{ended['id']}/rotate"
    refused(client.post(path, json={}, headers=bearer(admin)), 409, "key_ended")
    refused(client.post("/v1/keys/key_x/rotate", json={}, headers=bearer(admin)), 404, "unknown_key")
    reader = made(client, admin, scopes=["submit", "read"])
    refused(
        client.post(f"/v1/keys/{reader['id']}/rotate", json={}, headers=bearer(reader["key"])),
        403,
        "insufficient_scope",
    )
    for days in (-1, 366, "x", None):
        answer = client.post(f"/v1/keys/{reader['id']}/rotate", json={"overlap_days": days}, headers=bearer(admin))
        refused(answer, 422, "invalid_request")
    for owner in ("", "two words", "a" * 41, "../x", 7):
        answer = client.post("/v1/keys", json={"name": "x", "owner": owner}, headers=bearer(admin))
        refused(answer, 422, "invalid_request")
    refused(client.post("/v1/keys", json={"name": "x", "owner": SHADOW_OWNER}, headers=bearer(admin)), 422, "bad_owner")


def test_a_second_rotation_does_not_lengthen_the_life_of_the_old_key(database: Database) -> None:
    key_id, _ = a_key(database)
    with database.writing() as session:
        for days in (1, 30):
            keys.rotate(session, key_id, timedelta(days=days), NOW)
        old = keys.get(session, key_id)
        assert old is not None
        assert old.expires_at == NOW + DAY
        assert (old.works(NOW), old.works(NOW + DAY)) == (True, False)
        assert len({key.owner for key in keys.list_newest(session)}) == 1


def test_an_owner_without_a_key_that_works_keeps_the_quota_of_its_newest_key(database: Database) -> None:
    key_id, _ = a_key(database, quota=1)
    with database.writing() as session:
        keys.revoke(session, key_id, NOW)
        new = NewJob("test", JobSource.UPLOADS, a_model(session), key_id=key_id)
        submitting.create(session, new, [NewItem("a.jpg", a_blob("a"))], NOW)
        with pytest.raises(QuotaExceeded):
            usage.check_quota(session, key_id, NOW)


def test_the_commands_refuse_owners_that_the_service_uses_itself(database: Database) -> None:
    for owner in (SHADOW_OWNER, "", "a b", "é"):
        with pytest.raises(BadOwner), database.writing() as session:
            keys.create(session, "x", [Scope.READ], NOW, owner=owner)
