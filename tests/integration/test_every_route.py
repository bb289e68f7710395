"""All routes of the application: the headers that protect browsers, and changes that other sites make browsers send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from api.app import LookbookApp
from api.identity.sessions import TOKEN_COOKIE, TOKEN_HEADER
from db.tables import Scope
from tests.integration.apps import bearer, refused, services_of
from tests.integration.builders import a_key

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
OTHER_SITES = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://[::1"},
    {"Sec-Fetch-Site": "cross-site", "Authorization": "Basic YTpi"},
]


@pytest.fixture
def key(app: LookbookApp) -> str:
    return a_key(services_of(app).database, Scope.ADMIN)[1]


@pytest.fixture
def browser(app: LookbookApp, key: str) -> FlaskClient:
    """A browser that has signed in."""
    client = app.test_client()
    assert client.post("/session", json={"key": key}).status_code == 204
    return client


def routes(app: LookbookApp, methods: tuple[str, ...]) -> Iterator[tuple[Rule, str, str]]:
    """Yield each rule, each of its methods, and a path that names nothing that exists."""
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            _, path = rule.build(dict.fromkeys(rule.arguments, "unknown"), append_unknown=False) or ("", "")
            for method in methods:
                if method in (rule.methods or ()):
                    yield rule, method, path


def check_headers(answer: Response) -> None:
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    # No cache may use an answer without asking: after a sign-out, or for somebody else.
    assert answer.cache_control.no_store or answer.cache_control.no_cache
    assert not answer.cache_control.public


def test_every_answer_of_every_route_has_the_headers_that_protect_browsers(
    app: LookbookApp, browser: FlaskClient, key: str
) -> None:
    program, methods = app.test_client(), ("GET", "HEAD", "OPTIONS", "TRACE", *UNSAFE)
    walked = 0
    for rule, _, path in list(routes(app, ("OPTIONS",))):
        for method in methods:
            for client, headers in (
                (program, {}),
                (program, bearer("lb_wrong")),
                (program, bearer(key)),
                (browser, {"Accept": "text/html"}),
            ):
                with client.open(path, method=method, headers=headers) as answer:
                    try:
                        check_headers(answer)
                    except (AssertionError, KeyError) as error:
                        raise AssertionError(f"{method} {rule} {headers}: {answer.status} {answer.headers}") from error
                    walked += 1
    assert walked > 1000


def test_no_other_site_can_make_a_browser_change_anything(app: LookbookApp, browser: FlaskClient) -> None:
    cookie = browser.get_cookie(TOKEN_COOKIE)
    assert cookie is not None
    valid = {TOKEN_HEADER: cookie.value}
    changing = list(routes(app, UNSAFE))
    assert len(changing) > 15
    for rule, method, path in changing:
        for headers in OTHER_SITES:
            # Not even with the token, which another site cannot know.
            answer = browser.open(path, method=method, headers=headers | valid, json={})
            assert refused(answer, 403, "cross_site"), f"{method} {rule}"
        if rule.endpoint.startswith("signing."):
            # Signing in and out need no token. Other sites cannot send them, as above.
            continue
        for token in ({}, {TOKEN_HEADER: ""}, {TOKEN_HEADER: "wrong"}, {TOKEN_HEADER: "é"}):
            answer = browser.open(path, method=method, headers=token, json={})
            assert refused(answer, 403, "csrf_token_missing"), f"{method} {rule}"
    # The session has lasted.
    assert browser.get("/v1/jobs").status_code == 200


def test_a_browser_can_sign_out_without_its_token(browser: FlaskClient) -> None:
    assert browser.delete("/session").status_code == 204
    assert browser.get("/v1/jobs").status_code == 401
