"""Access to every route of the application: without a key, with another owner's key, and without the scope."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from api.app import LookbookApp
from core.clock import utc_now
from core.item_errors import NotAnImage
from core.maps import Points
from core.settings import Settings
from db.access import keys, shares
from db.blobs.opening import open_blob_store
from db.database import Database
from db.steps import lessons, mapping, submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Item, Job, JobSource, LessonKind, Scope
from tests.conftest import SAMPLES
from tests.databases import make_sqlite
from tests.integration.apps import bearer, body_of, services_of, serving, upload_with
from tests.integration.builders import POLICY, a_model, deliveries, finish

PUBLIC = {
    "/docs",
    "/healthz",
    "/login",
    "/openapi.json",
    "/readyz",
    "/samples/<name>",
    "/samples/index.json",
    "/samples/thumbnails/<name>",
    "/shared/<token>",
    "/static/<path:filename>",
}
"""Routes that need no key. Before you add one, check what it tells strangers."""
PAGES = {
    "/",
    "/account",
    "/compare",
    "/jobs",
    "/jobs/<job_id>",
    "/jobs/<job_id>/deliveries",
    "/models",
    "/models/<name>/<version>",
    "/new",
    "/teach",
}
"""Pages that redirect signed-out visitors to the sign-in page."""
SIGNING = {"/session"}
"""The route for signing in and out; test_sessions.py tests it."""
OWNED = {"job_id", "item_id", "delivery_id", "share_id", "lesson_id"}
"""Path parameters that name a resource of an owner."""
SHARED = {"name", "version", "key_id", "filename", "token"}
"""Path parameters that name a resource without an owner."""
IN_REDIS = {"preview_id"}
"""Path parameters that name what only Redis keeps, for its owner; test_previews.py tests it."""
BODIES: dict[str, Any] = {
    "reviews.put_review": {"label": "dress"},
    "job_changes.change_job": {"name": "new"},
    "reviews.change_reviews": {"reviews": [{"item": "itm_unknown", "label": "dress"}]},
    "shares.create_share": {},
    "review_imports.import_reviews": {"labels": {"itm_unknown": "dress"}},
    "keys.rotate_key": {},
    "trust.accept_predictions": {"threshold": 0.9},
    "exports.export_items": {"format": "csv", "items": ["x"]},
    "taxonomies.put_taxonomy": {"labels": []},
}
"""A valid JSON body, by endpoint, for the routes that need one."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class OwnedService:
    """A service with one owner's job, and the keys of different callers."""

    app: LookbookApp
    owner: str
    stranger: str
    reader: str
    submitter: str
    admin: str
    ids: dict[str, str]

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def call(self, rule: Rule, method: str, key: str | None, **names: str) -> int:
        values = dict.fromkeys(rule.arguments, "x") | self.ids | names
        with self.app.test_request_context():
            _, path = rule.build({name: values[name] for name in rule.arguments}, append_unknown=False) or ("", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        body = BODIES.get(rule.endpoint)
        query = {"with": self.ids["job_id"]} if rule.endpoint.startswith("comparisons.") else None
        with self.client.open(path, method=method, headers=headers, json=body, query_string=query) as response:
            return response.status_code


@pytest.fixture
def owned(settings: Settings) -> Iterator[OwnedService]:
    make_sqlite(settings.home / "lookbook.db")
    database = Database(settings.resolved_database_url)
    data = (SAMPLES / "t-shirt-red.jpg").read_bytes()
    blob = StoredBlob(open_blob_store(settings).put(data), len(data))
    created = {}
    with database.writing() as session:
        model = a_model(session)
        for name, scopes in {
            "owner": [Scope.SUBMIT, Scope.READ],
            "stranger": [Scope.SUBMIT, Scope.READ],
            "reader": [Scope.READ],
            "submitter": [Scope.SUBMIT],
            "admin": [Scope.ADMIN],
        }.items():
            created[name] = keys.create(session, name, scopes, utc_now())
        new = NewJob(
            "hers", JobSource.UPLOADS, model, webhook={"url": "https://a.example", "events": ["job.completed"]}
        )
        owned_job = replace(new, key_id=created["owner"][0].id)
        items = [NewItem("a.jpg", blob)]
        job, messages = submitting.create_with_chunks(session, owned_job, items, POLICY, utc_now())
    for message in messages:
        finish(database, message)
    with database.writing() as session:
        share_id = shares.create(session, job, job.key_id, utc_now(), utc_now() + timedelta(days=1))[0].id
        item_id = session.scalars(select(Item.id)).one()
        lesson = lessons.create(session, job.key_id, LessonKind.CALIBRATE, model, [job.id], {}, utc_now())
        draw_map(session, session.get_one(Job, job.id))
    ids = {
        "job_id": job.id,
        "item_id": item_id,
        "delivery_id": deliveries(database)[0].id,
        "share_id": share_id,
        "lesson_id": lesson.id,
    }
    with serving(settings) as app:
        yield OwnedService(app, ids=ids, **{name: written for name, (_, written) in created.items()})
    database.close()


def draw_map(session: Session, job: Job) -> None:
    """Give the only item of a job a place on its map."""
    mapping.request(session, job, utc_now())
    work = mapping.take(session, utc_now())
    assert work is not None
    mapping.store(session, work, Points(np.zeros(1, np.int32), np.zeros((1, 2), np.uint16)), 1, utc_now())


def rules(app: LookbookApp) -> list[tuple[Rule, str]]:
    found = [
        (rule, method) for rule in app.url_map.iter_rules() for method in METHODS if method in (rule.methods or ())
    ]
    # Routes that delete come last, and parts before the whole, because a permitted call really deletes.
    return sorted(found, key=lambda pair: (pair[1] == "DELETE", -pair[0].rule.count("/")))


def test_every_route_except_public_ones_needs_a_key(owned: OwnedService) -> None:
    answered = {
        (rule.rule, method): owned.call(rule, method, None)
        for rule, method in rules(owned.app)
        if rule.rule not in PAGES | SIGNING
    }
    assert {rule for (rule, _), status in answered.items() if status != 401} <= PUBLIC
    assert {rule for (rule, _), status in answered.items() if status == 401}.isdisjoint(PUBLIC)


def test_every_route_answers_404_for_resources_of_another_owner(owned: OwnedService) -> None:
    for rule, method in rules(owned.app):
        assert rule.arguments <= OWNED | SHARED | IN_REDIS, f"add the parameters of {rule} to OWNED or SHARED"
        if rule.arguments & OWNED:
            for name, key in (("stranger", owned.stranger), ("admin", owned.admin)):
                assert owned.call(rule, method, key) == 404, f"{method} {rule} shows {name} another owner's resource"


def test_a_job_of_ones_own_opens_no_part_of_another_owners_job(owned: OwnedService) -> None:
    own = body_of(upload_with(owned.client, owned.stranger))["id"]
    nested = [(rule, method) for rule, method in rules(owned.app) if len(rule.arguments & OWNED) > 1]
    assert len(nested) >= 2
    for rule, method in nested:
        assert owned.call(rule, method, owned.stranger, job_id=own) == 404, f"{method} {rule}"


def test_ids_in_bodies_and_queries_open_nothing_of_another_owner(owned: OwnedService) -> None:
    own = body_of(upload_with(owned.client, owned.stranger))["id"]
    job, item = owned.ids["job_id"], owned.ids["item_id"]
    requests: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "/v1/jobs", {"rerun": {"job": job}}),
        ("POST", "/v1/jobs", {"rerun": {"job": own, "items": [item]}}),
        ("GET", f"/v1/jobs/{own}/compare?with={job}", None),
        ("GET", f"/v1/jobs/{own}/compare/items?with={job}", None),
        ("GET", f"/v1/items/{item}/duplicates", None),
        ("POST", f"/v1/jobs/{own}/reviews", {"reviews": [{"item": item, "label": "dress"}]}),
        ("POST", f"/v1/jobs/{own}/export", {"format": "csv", "items": [item]}),
    ]
    for method, path, body in requests:
        answer = owned.client.open(path, method=method, json=body, headers=bearer(owned.stranger))
        assert 400 <= answer.status_code < 500, (path, answer.status, answer.text)
        assert "a.jpg" not in answer.text
        assert "hers" not in answer.text
    assert owned.client.get(f"/v1/items/{item}", headers=bearer(owned.owner)).get_json()["review"] is None


def test_every_route_finds_resources_of_the_owner(owned: OwnedService) -> None:
    # Without this test, the one above would also pass for routes that it calls wrongly.
    for rule, method in rules(owned.app):
        if rule.arguments & OWNED:
            assert owned.call(rule, method, owned.owner) not in {401, 403, 404}, f"{method} {rule}"


def test_every_route_refuses_a_key_without_its_scope(owned: OwnedService) -> None:
    for rule, method in rules(owned.app):
        if rule.rule in PUBLIC | PAGES | SIGNING | {"/v1/usage"}:
            continue
        reads = method == "GET" or rule.endpoint == "exports.export_items"
        wrong = owned.submitter if reads else owned.reader
        assert owned.call(rule, method, wrong) == 403, f"{method} {rule}"


def test_only_admin_keys_can_manage_keys_and_promote_models(owned: OwnedService) -> None:
    statuses = {
        rule.rule: owned.call(rule, method, owned.owner)
        for rule, method in rules(owned.app)
        if rule.rule.startswith("/v1/keys") or rule.rule.endswith("/promote")
    }
    assert set(statuses.values()) == {403}
    assert len(statuses) == 4


def test_a_metrics_key_reads_the_metrics_and_nothing_else(owned: OwnedService) -> None:
    with services_of(owned.app).database.writing() as session:
        _, key = keys.create(session, "prometheus", [Scope.METRICS], utc_now())
    api = [pair for pair in rules(owned.app) if pair[0].rule.startswith(("/v1/", "/metrics"))]
    allowed = {rule.rule for rule, method in api if owned.call(rule, method, key) != 403}
    assert allowed == {"/metrics", "/v1/usage"}
    (metrics,) = [rule for rule, _ in rules(owned.app) if rule.rule == "/metrics"]
    assert (owned.call(metrics, "GET", owned.admin), owned.call(metrics, "GET", owned.owner)) == (200, 403)


def listed(owned: OwnedService, key: str) -> list[str]:
    body = body_of(owned.client.get("/v1/jobs", headers=bearer(key)))
    return [job["id"] for job in body["data"]]


def test_lists_contain_only_the_owners_jobs(owned: OwnedService) -> None:
    assert listed(owned, owned.owner) == [owned.ids["job_id"]]
    assert listed(owned, owned.stranger) == []
    assert listed(owned, owned.admin) == []


def test_admin_keys_see_jobs_without_a_key_and_of_revoked_keys(owned: OwnedService) -> None:
    services = services_of(owned.app)
    with services.database.writing() as session:
        new = NewJob("nobody's", JobSource.UPLOADS, a_model(session))
        unowned = submitting.create(session, new, [NewItem("b.jpg", None, error=NotAnImage())], utc_now())
        session.flush()
    assert listed(owned, owned.admin) == [unowned.id]
    assert listed(owned, owned.stranger) == []
    with services.database.writing() as session:
        owner = next(key for key in keys.list_newest(session) if key.name == "owner")
        keys.revoke(session, owner.id, utc_now())
    services.callers.clear()
    assert listed(owned, owned.admin) == [unowned.id, owned.ids["job_id"]]
    assert owned.client.get(f"/v1/jobs/{owned.ids['job_id']}", headers=bearer(owned.admin)).status_code == 200
    assert listed(owned, owned.stranger) == []


def test_a_poll_of_another_owners_job_is_never_answered_with_304(owned: OwnedService) -> None:
    path = f"/v1/jobs/{owned.ids['job_id']}"
    etag = owned.client.get(path, headers=bearer(owned.owner)).headers["ETag"]
    conditional = {"If-None-Match": etag}
    assert owned.client.get(path, headers=bearer(owned.owner) | conditional).status_code == 304
    assert owned.client.get(path, headers=bearer(owned.stranger) | conditional).status_code == 404
