"""Links that share a job: what a visitor may read, what stays closed, and how a link ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from api.door.visitors import SHARE_COOKIE
from core.clock import rfc3339, utc_now
from core.settings import Settings
from db.blobs.opening import open_blob_store
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Item, Job, JobSource, Scope, Share
from tests.integration.apps import bearer, body_of, picture, refused, services_of, serving
from tests.integration.builders import NOW, POLICY, a_key, a_model, delete_job, finish

WRONG_KEYS = Settings().wrong_keys
READABLE = {
    ("GET", "/jobs/<job_id>"),
    ("GET", "/session"),
    ("GET", "/v1/jobs/<job_id>"),
    ("GET", "/v1/jobs/<job_id>/summary"),
    ("GET", "/v1/jobs/<job_id>/items"),
    ("GET", "/v1/jobs/<job_id>/marks"),
    ("GET", "/v1/jobs/<job_id>/products"),
    ("GET", "/v1/jobs/<job_id>/products/export"),
    ("GET", "/v1/jobs/<job_id>/export"),
    ("POST", "/v1/jobs/<job_id>/export"),
    ("GET", "/v1/items/<item_id>"),
    ("GET", "/v1/items/<item_id>/thumbnail"),
    ("GET", "/v1/items/<item_id>/explanation"),
    ("GET", "/v1/items/<item_id>/image"),
    ("GET", "/v1/labels"),
}
"""The calls that a visitor may make. Before you add a route, check that it shows only the shared job."""


PUBLIC = ("/docs", "/login", "/samples", "/static", "/shared", "/healthz", "/readyz", "/openapi.json", "/session")
"""The beginnings of paths that everyone may call."""


@dataclass
class Shop:
    """A service with two jobs of one owner, each with one item."""

    app: LookbookApp
    owner: str
    job_id: str
    item_id: str
    other_job_id: str
    other_item_id: str

    def visitor(self, token: str | None = None) -> FlaskClient:
        """Return a browser that has opened a link to the first job."""
        client = self.app.test_client()
        answer = client.get(token or self.share())
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/jobs/{self.job_id}")
        return client

    def share(self, **options: Any) -> str:
        return str(self.created(**options)["url"])

    def created(self, **options: Any) -> dict[str, Any]:
        answer = self.app.test_client().post(self.shares, json=options, headers=bearer(self.owner))
        assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store"), answer.text
        return body_of(answer)

    @property
    def shares(self) -> str:
        return f"/v1/jobs/{self.job_id}/shares"

    @property
    def database(self) -> Database:
        return services_of(self.app).database


@pytest.fixture
def shop(settings: Settings, database: Database) -> Iterator[Shop]:
    key_id, owner = a_key(database, name="owner")
    blob = StoredBlob(open_blob_store(settings).put(picture()), len(picture()))
    made = []
    for name in ("shared", "other"):
        with database.writing() as session:
            new = NewJob(name, JobSource.UPLOADS, a_model(session), key_id=key_id)
            job, (message,) = submitting.create_with_chunks(session, new, [NewItem("a.jpg", blob)], POLICY, NOW)
        finish(database, message)
        with database.reading() as session:
            (item,) = session.query(Item).where(Item.job_id == job.id)
        made += [job.id, item.id]
    with serving(settings, database) as app:
        yield Shop(app, owner, *made)


def test_a_visitor_may_read_the_shared_job_and_nothing_else(shop: Shop) -> None:
    visitor = shop.visitor()
    names = {"job_id": shop.job_id, "item_id": shop.item_id, "name": "test", "version": "1"}
    answered: dict[tuple[str, str], int] = {}
    for rule in shop.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            with shop.app.test_request_context():
                values = dict.fromkeys(rule.arguments, "x") | names
                _, path = rule.build({name: values[name] for name in rule.arguments}, append_unknown=False) or ("", "")
            chosen = {"format": "csv", "items": [shop.item_id]} if rule.endpoint == "exports.export_items" else {}
            with visitor.open(path, method=method, json=chosen if method != "GET" else None) as answer:
                answered[method, rule.rule] = answer.status_code
    public = {call for call in answered if call[1].startswith(PUBLIC)} - {("GET", "/session")}
    # The heat map needs a worker and so answers 503 here.
    assert {call for call, status in answered.items() if status in {200, 503}} - public == READABLE
    closed = {status for call, status in answered.items() if call not in READABLE | public}
    assert closed == {303, 401}
    with shop.database.reading() as session:
        assert session.query(Job).count() == 2


def test_a_visitor_sees_no_other_job(shop: Shop) -> None:
    visitor = shop.visitor()
    for path in (
        f"/v1/jobs/{shop.other_job_id}",
        f"/v1/jobs/{shop.other_job_id}/items",
        f"/v1/jobs/{shop.other_job_id}/export",
        f"/v1/items/{shop.other_item_id}",
        f"/v1/items/{shop.other_item_id}/image",
        f"/v1/items/{shop.other_item_id}/thumbnail",
        f"/jobs/{shop.other_job_id}",
    ):
        assert visitor.get(path).status_code == 404, path
    etag = visitor.get(f"/v1/jobs/{shop.job_id}").headers["ETag"]
    unchanged = {"If-None-Match": etag}
    assert visitor.get(f"/v1/jobs/{shop.job_id}", headers=unchanged).status_code == 304
    assert visitor.get(f"/v1/jobs/{shop.other_job_id}", headers=unchanged).status_code == 404
    assert visitor.get("/v1/jobs").status_code == 401


def test_a_visitor_sees_the_pictures_and_labels_of_the_job(shop: Shop) -> None:
    visitor = shop.visitor()
    with visitor.get(f"/v1/items/{shop.item_id}/image") as image:
        assert image.data == picture()
    assert b"a.jpg" in visitor.get(f"/v1/jobs/{shop.job_id}/export").data
    assert body_of(visitor.get("/v1/labels?model=test@1"))["model"] == "test@1"
    with shop.database.writing() as session:
        a_model(session, "2")
    refused(visitor.get("/v1/labels?model=test@2"), 404, "unknown_model")


def test_jobs_without_an_owner_stay_hidden_from_visitors(shop: Shop) -> None:
    with shop.database.writing() as session:
        unowned = submitting.create(session, NewJob("x", JobSource.UPLOADS, a_model(session)), [], NOW).id
    assert shop.visitor().get(f"/v1/jobs/{unowned}").status_code == 404


def test_the_session_names_the_shared_job(shop: Shop) -> None:
    expected: dict[str, Any] = {
        "signed_in": False,
        "open": False,
        "key": None,
        "shared_job": shop.job_id,
        "share_ended": False,
        "may": [],
    }
    assert body_of(shop.visitor().get("/session")) == expected


def test_a_link_adds_the_job_to_the_rights_of_a_session(shop: Shop) -> None:
    _, stranger = a_key(shop.database, name="stranger")
    visitor = shop.visitor()
    assert visitor.post("/session", json={"key": stranger}).status_code == 204
    token = visitor.get_cookie("lookbook_csrf")
    assert token is not None
    headers = {"X-CSRF-Token": token.value}
    session = body_of(visitor.get("/session"))
    assert (session["key"]["name"], session["shared_job"], session["may"]) == (
        "stranger",
        shop.job_id,
        ["submit", "read"],
    )
    assert visitor.get(f"/v1/jobs/{shop.job_id}/items").status_code == 200
    assert body_of(visitor.get("/v1/jobs"))["data"] == []
    # The job can be read, but not changed.
    for method, path in (
        ("PATCH", f"/v1/jobs/{shop.job_id}"),
        ("DELETE", f"/v1/jobs/{shop.job_id}"),
        ("POST", shop.shares),
        ("GET", shop.shares),
        ("PUT", f"/v1/items/{shop.item_id}/review"),
    ):
        body = {"label": "dress"} if method == "PUT" else {"name": "mine"} if method == "PATCH" else {}
        assert visitor.open(path, method=method, json=body, headers=headers).status_code == 404, (method, path)
    assert visitor.get(f"/v1/jobs/{shop.job_id}", headers=bearer(stranger)).status_code == 404


def test_a_link_to_an_own_job_takes_nothing_from_the_session_of_its_owner(shop: Shop) -> None:
    visitor = shop.visitor()
    assert visitor.post("/session", json={"key": shop.owner}).status_code == 204
    session = body_of(visitor.get("/session"))
    assert (session["shared_job"], session["may"]) == (None, ["submit", "read"])


def test_a_browser_sees_a_page_that_says_why_a_link_does_not_work(shop: Shop) -> None:
    browser = {"Accept": "text/html,*/*;q=0.8"}
    made = shop.created()
    shop.app.test_client().delete(f"{shop.shares}/{made['id']}", headers=bearer(shop.owner))
    for path, status, code in (
        (made["url"], 410, "share_ended"),
        ("/shared/wrong", 404, "unknown_share"),
    ):
        page = shop.app.test_client().get(path, headers=browser)
        assert (page.status_code, page.mimetype) == (status, "text/html")
        assert f'data-problem="{code}"' in page.text
        refused(shop.app.test_client().get(path), status, code)


def test_only_a_digest_of_a_link_is_stored_and_its_cookie_is_closed_to_scripts(shop: Shop) -> None:
    made = shop.created()
    token = made["url"].rpartition("/")[2]
    answer = shop.app.test_client().get(made["url"], base_url="https://lookbook.example")
    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{SHARE_COOKIE}={token};")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age="))
    assert answer.headers["Cache-Control"] == "no-store"
    with shop.database.reading() as session:
        (share,) = session.query(Share)
        assert token not in str(vars(share))
    lasts = share.expires_at - share.created_at
    assert lasts == timedelta(days=7)
    (listed,) = body_of(shop.app.test_client().get(shop.shares, headers=bearer(shop.owner)))["data"]
    assert listed == {name: value for name, value in made.items() if name != "url"}


def test_a_revoked_link_stops_working(shop: Shop) -> None:
    made = shop.created()
    visitor, path = shop.visitor(made["url"]), f"/v1/jobs/{shop.job_id}"
    assert visitor.get(path).status_code == 200
    owner = shop.app.test_client()
    assert owner.delete(f"{shop.shares}/{made['id']}", headers=bearer(shop.owner)).status_code == 204
    assert owner.delete(f"{shop.shares}/{made['id']}", headers=bearer(shop.owner)).status_code == 204
    refused(visitor.get(path), 401, "share_ended")
    refused(visitor.get(made["url"]), 410, "share_ended")
    session = body_of(visitor.get("/session"))
    assert (session["shared_job"], session["share_ended"], session["may"]) == (None, True, [])
    assert visitor.get(f"/jobs/{shop.job_id}").headers["Location"] == f"/login?next=/jobs/{shop.job_id}"
    (listed,) = body_of(owner.get(shop.shares, headers=bearer(shop.owner)))["data"]
    assert listed["revoked_at"] is not None
    # Another link still works.
    shop.visitor()


def test_an_expired_link_stops_working(shop: Shop) -> None:
    made = shop.created(expires_at=rfc3339(utc_now() + timedelta(hours=1)))
    visitor = shop.visitor(made["url"])
    with shop.database.writing() as session:
        share = session.get(Share, made["id"])
        assert share is not None
        share.expires_at = utc_now()
    services_of(shop.app).callers.clear()
    refused(visitor.get(f"/v1/jobs/{shop.job_id}"), 401, "share_ended")
    refused(visitor.get(made["url"]), 410, "share_ended")


def test_a_link_ends_with_its_job(shop: Shop) -> None:
    url = shop.share()
    delete_job(shop.database, shop.job_id)
    services_of(shop.app).callers.clear()
    refused(shop.app.test_client().get(url), 410, "share_ended")


def test_wrong_links_are_refused_and_counted(shop: Shop) -> None:
    client = shop.app.test_client()
    answers = [client.get(f"/shared/wrong{n}") for n in range(WRONG_KEYS + 1)]
    refused(answers[0], 404, "unknown_share")
    assert [answer.status_code for answer in answers] == [404] * WRONG_KEYS + [429]
    client.set_cookie(SHARE_COOKIE, "forged")
    assert client.get(f"/v1/jobs/{shop.job_id}").status_code == 429


def test_requests_of_a_visitor_are_limited(shop: Shop, settings: Settings, database: Database) -> None:
    url = shop.share()
    with serving(settings.with_changes(rate_limit=3), database) as strict:
        visitor = strict.test_client()
        visitor.get(url)
        statuses = [visitor.get(f"/v1/jobs/{shop.job_id}").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("options", [{"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "soon"}, {"days": 3}])
def test_a_link_needs_a_valid_end(shop: Shop, options: dict[str, str]) -> None:
    answer = shop.app.test_client().post(shop.shares, json=options, headers=bearer(shop.owner))
    refused(answer, 422, "invalid_request")


def test_only_the_owner_makes_and_ends_links(shop: Shop) -> None:
    made = shop.created()
    _, stranger = a_key(shop.database)
    _, reader = a_key(shop.database, Scope.READ)
    client = shop.app.test_client()
    assert client.post(shop.shares, json={}, headers=bearer(stranger)).status_code == 404
    assert client.get(shop.shares, headers=bearer(stranger)).status_code == 404
    assert client.delete(f"{shop.shares}/{made['id']}", headers=bearer(stranger)).status_code == 404
    assert client.post(shop.shares, json={}, headers=bearer(reader)).status_code == 403
    other = f"/v1/jobs/{shop.other_job_id}/shares/{made['id']}"
    refused(client.delete(other, headers=bearer(shop.owner)), 404, "unknown_share")
