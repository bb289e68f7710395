"""Signing in to the pages, the rights of a session, and what HTTPS and proxies change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from api.app import LookbookApp
from api.identity import sessions
from core.clock import utc_now
from core.settings import Settings
from db.access import keys
from db.tables import EndedSession, Scope
from tests.integration.apps import bearer, body_of, services_of, serving, upload_with
from tests.integration.builders import a_key
from worker.maintenance.purger import purge

WRONG_KEYS = Settings().wrong_keys
HTTPS = "https://lookbook.example"


@pytest.fixture
def key(app: LookbookApp) -> str:
    with services_of(app).database.writing() as session:
        return keys.create(session, "test", [Scope.SUBMIT, Scope.READ], utc_now())[1]


@pytest.fixture
def signed_in(client: FlaskClient, key: str) -> FlaskClient:
    assert sign_in(client, key).status_code == 204
    return client


@pytest.fixture
def second(app: LookbookApp, settings: Settings) -> Iterator[FlaskClient]:
    """Another process of the same installation."""
    with serving(settings) as made:
        yield made.test_client()


def sign_in(client: FlaskClient, key: object, base_url: str | None = None) -> TestResponse:
    return client.post("/session", json={"key": key}, base_url=base_url)


def token(client: FlaskClient) -> dict[str, str]:
    cookie = client.get_cookie(sessions.TOKEN_COOKIE)
    assert cookie is not None
    return {sessions.TOKEN_HEADER: cookie.value}


def visit(client: FlaskClient, path: str) -> tuple[int, str | None]:
    """Return the status and the Location header of a page."""
    with client.get(path) as answer:
        return answer.status_code, answer.headers.get("Location")


def who(client: FlaskClient, **headers: str) -> dict[str, Any]:
    answer = client.get("/session", headers=headers)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    body = body_of(answer)
    assert (body.pop("shared_job"), body.pop("share_ended")) == (None, False)
    return body


def change(client: FlaskClient, **headers: str) -> TestResponse:
    """Send a request that changes something. With a valid session it is answered with 404."""
    return client.delete("/v1/jobs/job_unknown", headers=headers)


def test_pages_need_no_sign_in_without_keys(client: FlaskClient) -> None:
    assert visit(client, "/") == (200, None)
    assert visit(client, "/login") == (303, "/")


@pytest.mark.parametrize("path", ["/", "/jobs/job_1"])
def test_a_signed_out_visitor_is_redirected_to_the_sign_in_page(client: FlaskClient, key: str, path: str) -> None:
    assert visit(client, path) == (303, f"/login?next={path}")
    assert visit(client, f"/login?next={path}") == (200, None)


def test_the_sign_in_page_knows_the_filters_of_the_page_that_led_to_it(client: FlaskClient, key: str) -> None:
    _, location = visit(client, "/jobs/job_1?label=dress&q=a%26b&next=//evil.example")
    assert location is not None
    assert parse_qs(urlsplit(location).query) == {"next": ["/jobs/job_1?label=dress&q=a%26b&next=//evil.example"]}


def test_the_session_says_who_is_signed_in_and_what_they_may_do(app: LookbookApp, client: FlaskClient) -> None:
    assert who(client) == {"signed_in": False, "open": True, "key": None, "may": ["submit", "read", "metrics", "admin"]}
    key_id, key = a_key(services_of(app).database, Scope.READ, Scope.SUBMIT, name="봄 catalog", quota=10, rate_limit=99)
    services_of(app).callers.clear()
    assert who(client) == {"signed_in": False, "open": False, "key": None, "may": []}
    upload_with(client, key, 3)
    whose = {"id": key_id, "name": "봄 catalog", "owner": key_id}
    shown = {**whose, "scopes": ["submit", "read"], "rate_limit": 99, "quota": 10, "used": 3}
    signed_in = {"signed_in": True, "open": False, "key": shown, "may": ["submit", "read"]}
    assert who(client, **bearer(key)) == signed_in
    sign_in(client, key)
    assert who(client) == signed_in
    _, reader = a_key(services_of(app).database, Scope.READ)
    assert who(client, **bearer(reader))["may"] == ["read"]
    _, admin = a_key(services_of(app).database, Scope.ADMIN)
    assert who(client, **bearer(admin))["may"] == ["submit", "read", "metrics", "admin"]
    assert who(client, **bearer("lb_wrong")) == {"signed_in": False, "open": False, "key": None, "may": []}


def test_a_session_replaces_the_key(client: FlaskClient, key: str) -> None:
    assert client.get("/v1/jobs").status_code == 401
    answer = sign_in(client, key)
    assert (answer.status_code, answer.data) == (204, b"")
    cookies = {cookie.partition("=")[0]: cookie for cookie in answer.headers.getlist("Set-Cookie")}
    assert "HttpOnly" in cookies[sessions.SESSION_COOKIE]
    assert "HttpOnly" not in cookies[sessions.TOKEN_COOKIE]
    assert all("SameSite=Lax" in cookie and "Secure" not in cookie for cookie in cookies.values())
    assert key.rpartition("_")[2] not in "".join(cookies.values())
    assert client.get("/v1/jobs").status_code == 200
    assert visit(client, "/") == (200, None)
    assert visit(client, "/login") == (303, "/")


def test_cookies_are_secure_over_https(client: FlaskClient, key: str) -> None:
    cookies = sign_in(client, key, HTTPS).headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all("Secure" in cookie for cookie in cookies)


@pytest.mark.parametrize("wrong", ["", "lb_1_2", None, 5, ["a"]])
def test_a_bad_key_gets_no_session(client: FlaskClient, key: str, wrong: object) -> None:
    answer = sign_in(client, wrong)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (401, "invalid_key")
    assert "Set-Cookie" not in answer.headers


def test_the_body_of_a_sign_in_is_limited(client: FlaskClient, key: str) -> None:
    assert sign_in(client, key + "x" * 5000).status_code == 413


def test_a_form_of_another_site_cannot_sign_in(client: FlaskClient, key: str) -> None:
    assert client.post("/session", data={"key": key}).status_code == 401
    assert client.post("/session", data=f'{{"key": "{key}"}}', content_type="text/plain").status_code == 401


def test_guessing_keys_at_sign_in_is_limited(client: FlaskClient, key: str) -> None:
    answers = [sign_in(client, "lb_wrong").status_code for _ in range(WRONG_KEYS + 1)]
    assert answers == [401] * WRONG_KEYS + [429]
    assert sign_in(client, key).status_code == 204


def test_changes_need_the_csrf_token_of_the_session(signed_in: FlaskClient) -> None:
    answer = change(signed_in)
    assert (answer.status_code, answer.get_json(force=True)["code"]) == (403, "csrf_token_missing")
    assert change(signed_in, **{sessions.TOKEN_HEADER: "wrong"}).status_code == 403
    assert change(signed_in, **token(signed_in)).status_code == 404


def test_a_csrf_token_of_another_session_is_refused(app: LookbookApp, signed_in: FlaskClient, key: str) -> None:
    other = app.test_client()
    sign_in(other, key)
    assert change(signed_in, **token(other)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        # Browsers add this header by themselves after it was entered for a proxy.
        {"Sec-Fetch-Site": "cross-site", "Authorization": "Basic YTpi"},
    ],
)
def test_requests_from_pages_of_other_sites_are_refused(
    app: LookbookApp, client: FlaskClient, headers: dict[str, str]
) -> None:
    for answer in (client.post("/v1/jobs", headers=headers), change(client, **headers)):
        assert (answer.status_code, answer.get_json(force=True)["code"]) == (403, "cross_site")
    assert change(client, **{"Sec-Fetch-Site": "same-origin"}).status_code == 404
    assert change(client, Origin="http://localhost").status_code == 404
    with services_of(app).database.writing() as session:
        key = keys.create(session, "test", [Scope.SUBMIT], utc_now())[1]
    assert client.post("/session", json={"key": key}, headers=headers).status_code == 403
    assert change(client, **headers | {"Authorization": f"Bearer {key}"}).status_code == 404


def test_a_session_ends_with_its_key(app: LookbookApp, signed_in: FlaskClient) -> None:
    with services_of(app).database.writing() as session:
        keys.revoke(session, keys.list_newest(session)[0].id, utc_now())
    services_of(app).callers.clear()
    assert signed_in.get("/v1/jobs").status_code == 401


def test_a_session_ends_after_a_while(signed_in: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSION_SECONDS", -1)
    assert signed_in.get("/v1/jobs").status_code == 401


def test_a_copy_of_the_cookie_opens_nothing_after_signing_out(
    app: LookbookApp, signed_in: FlaskClient, second: FlaskClient, key: str
) -> None:
    cookie = signed_in.get_cookie(sessions.SESSION_COOKIE)
    assert cookie is not None
    other = app.test_client()
    sign_in(other, key)
    assert signed_in.delete("/session").status_code == 204
    for client in (signed_in, second):
        client.set_cookie(sessions.SESSION_COOKIE, cookie.value)
        assert client.get("/v1/jobs").status_code == 401
        assert client.delete("/session").status_code == 204
    # The other sessions of the key go on.
    assert other.get("/v1/jobs").status_code == 200
    services = services_of(app)
    purge(services.database, services.blobs, lambda: utc_now() + timedelta(seconds=sessions.SESSION_SECONDS + 1))
    with services.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(EndedSession)) == 0


def test_a_session_ends_by_signing_out(signed_in: FlaskClient) -> None:
    assert signed_in.delete("/session").status_code == 204
    assert signed_in.get_cookie(sessions.SESSION_COOKIE) is None
    assert signed_in.get_cookie(sessions.TOKEN_COOKIE) is None
    assert visit(signed_in, "/") == (303, "/login?next=/")


def test_a_forged_session_is_refused(client: FlaskClient, key: str) -> None:
    for forged in ("", "x", "WyJrZXlfMSIsICJ0Il0.aSU.c2ln"):
        client.set_cookie(sessions.SESSION_COOKIE, forged)
        assert client.get("/v1/jobs").status_code == 401


def test_a_session_is_valid_in_every_process(signed_in: FlaskClient, second: FlaskClient) -> None:
    cookie = signed_in.get_cookie(sessions.SESSION_COOKIE)
    assert cookie is not None
    second.set_cookie(sessions.SESSION_COOKIE, cookie.value)
    assert second.get("/v1/jobs").status_code == 200


def test_answers_over_https_demand_https_from_then_on(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" in client.get("/healthz", base_url=HTTPS).headers


def test_headers_of_a_proxy_count_only_if_the_setting_says_so(client: FlaskClient, settings: Settings) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost"}
    assert "Strict-Transport-Security" not in client.get("/healthz", headers=forwarded).headers
    with serving(settings.with_changes(proxies=1)) as behind:
        assert "Strict-Transport-Security" in behind.test_client().get("/healthz", headers=forwarded).headers
        # A proxy passes on requests from anywhere, so they need a key even before the first key is created.
        assert behind.test_client().get("/v1/jobs", headers=forwarded).status_code == 401
