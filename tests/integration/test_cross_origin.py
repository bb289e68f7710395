"""Pages of other origins: what the setting allows them, and that nothing changes without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from api.app import LookbookApp
from api.identity.sessions import TOKEN_COOKIE, TOKEN_HEADER
from core.errors import SettingsError
from core.settings import Settings
from db.tables import Scope
from tests.integration.apps import bearer, prepare, refused, services_of, serving
from tests.integration.builders import a_key

SHOP = "https://shop.example"
OTHERS = [
    "https://evil.example",
    "https://shop.example.evil",
    "http://shop.example",
    "https://shop.example:84",
    "null",
]
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture
def app(settings: Settings) -> Iterator[LookbookApp]:
    prepare(settings)
    with serving(settings.with_changes(cors_origins=f"{SHOP}, http://localhost:3000")) as made:
        yield made


@pytest.fixture
def key(app: LookbookApp) -> str:
    return a_key(services_of(app).database, Scope.ADMIN)[1]


def api_routes(app: LookbookApp) -> list[tuple[Rule, str]]:
    """Return every route of the API, with a path that names nothing that exists."""
    with app.test_request_context():
        built = [
            (rule, rule.build(dict.fromkeys(rule.arguments, "x"), append_unknown=False))
            for rule in app.url_map.iter_rules()
        ]
    paths = [(rule, path[1]) for rule, path in built if path is not None]
    return [(rule, path) for rule, path in paths if path.startswith(("/v1/", "/openapi.json", "/healthz", "/readyz"))]


def test_the_preflight_request_of_every_route_of_the_api_is_answered_without_a_key(app: LookbookApp, key: str) -> None:
    routes = api_routes(app)
    assert len(routes) > 50
    for rule, path in routes:
        answer = app.test_client().options(path, headers={"Origin": SHOP, **PREFLIGHT})
        assert answer.status_code == 204, rule
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP, rule
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"], rule
        allowed = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
        assert (rule.methods or set()) - {"OPTIONS"} <= allowed, rule
        assert "Access-Control-Allow-Credentials" not in answer.headers, rule
        assert "Origin" in answer.vary, rule


def test_answers_and_errors_name_the_origin(client: FlaskClient, key: str) -> None:
    calls = [
        client.get("/v1/jobs", headers={"Origin": SHOP, **bearer(key)}),
        client.get("/v1/jobs", headers={"Origin": SHOP}),
        client.get("/v1/jobs", headers={"Origin": SHOP, **bearer("lb_wrong")}),
        client.get("/v1/jobs/job_x", headers={"Origin": SHOP, **bearer(key)}),
        client.get("/v1/nothing", headers={"Origin": SHOP}),
        client.delete("/v1/jobs", headers={"Origin": SHOP}),
        client.get("/v1/jobs?limit=x", headers={"Origin": SHOP, **bearer(key)}),
        client.post("/v1/jobs", data=b"{", content_type="application/json", headers={"Origin": SHOP, **bearer(key)}),
    ]
    assert [answer.status_code for answer in calls] == [200, 401, 401, 404, 404, 405, 422, 400]
    for answer in calls:
        assert answer.headers["Access-Control-Allow-Origin"] == SHOP
        assert "X-Request-ID" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.vary


@pytest.mark.parametrize("origin", OTHERS)
def test_other_origins_are_not_named(client: FlaskClient, key: str, origin: str) -> None:
    answers = [
        client.get("/v1/jobs", headers={"Origin": origin, **bearer(key)}),
        client.options("/v1/jobs", headers={"Origin": origin, **PREFLIGHT}),
        client.get("/v1/jobs"),
    ]
    for answer in answers:
        assert "Access-Control-Allow-Origin" not in answer.headers
        # A cache must not give this answer to the page of an origin that is allowed.
        assert "Origin" in answer.vary


@pytest.mark.parametrize("path", ["/", "/login", "/session", "/account", "/static/js/shared/api.js"])
def test_pages_and_sessions_are_closed_to_other_origins(client: FlaskClient, path: str) -> None:
    for method in ("GET", "OPTIONS"):
        with client.open(path, method=method, headers={"Origin": SHOP, **PREFLIGHT}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert client.post("/session", json={"key": "x"}, headers={"Origin": SHOP}).status_code == 403


def test_a_page_of_another_origin_never_acts_with_the_session_of_its_visitor(client: FlaskClient, key: str) -> None:
    assert client.post("/session", json={"key": key}).status_code == 204
    cookie = client.get_cookie(TOKEN_COOKIE)
    assert cookie is not None
    assert client.get("/v1/jobs").status_code == 200
    refused(client.get("/v1/jobs", headers={"Origin": SHOP}), 401, "key_required")
    changing = {"Origin": SHOP, TOKEN_HEADER: cookie.value}
    refused(client.post("/v1/keys", json={"name": "x"}, headers=changing), 401, "key_required")


def test_the_pages_keep_their_session_if_their_own_origin_is_in_the_list(settings: Settings) -> None:
    prepare(settings)
    with serving(settings.with_changes(cors_origins="http://localhost")) as app:
        key = a_key(services_of(app).database, Scope.ADMIN)[1]
        browser = app.test_client()
        browser.post("/session", json={"key": key})
        cookie = browser.get_cookie(TOKEN_COOKIE)
        assert cookie is not None
        headers = {"Origin": "http://localhost", TOKEN_HEADER: cookie.value}
        assert browser.post("/v1/keys", json={"name": "x"}, headers=headers).status_code == 201


def test_an_open_service_takes_changes_only_from_the_origins_of_the_list(client: FlaskClient) -> None:
    cross_site = {"Sec-Fetch-Site": "cross-site"}
    refused(client.post("/v1/jobs", headers={"Origin": OTHERS[0], **cross_site}), 403, "cross_site")
    answer = client.post("/v1/jobs", json={"items": []}, headers={"Origin": SHOP, **cross_site})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (422, SHOP)


def test_without_the_setting_no_origin_is_named(settings: Settings) -> None:
    prepare(settings)
    with serving(settings) as app:
        client = app.test_client()
        for answer in (
            client.get("/v1/jobs", headers={"Origin": SHOP}),
            client.options("/v1/jobs", headers={"Origin": SHOP, **PREFLIGHT}),
        ):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    "written",
    [
        *("*", "null", "shop.example", "https://shop.example/", "https://shop.example/x", "https://*.example"),
        *("HTTPS://A.b", "https://a@shop.example", "https://shop.example:443", "http://shop.example:80", "ftp://a.b"),
    ],
)
def test_what_is_no_origin_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("LOOKBOOK_CORS_ORIGINS", f"{SHOP},{written}")
    with pytest.raises(SettingsError, match="LOOKBOOK_CORS_ORIGINS"):
        Settings.read()
