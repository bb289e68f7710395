"""Who may ask what: every route of the application, without a key, with another's, and with one that is not for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from api.app import LookbookApp
from core.clock import utc_now
from core.errors import NotAnImage
from core.settings import Settings
from db.access import keys
from db.blobs.opening import open_blob_store
from db.database import Database
from db.migrate import upgrade
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import Item, JobSource, Scope
from tests.conftest import SAMPLES
from tests.integration.apps import bearer, body_of, services_of, serving
from tests.integration.builders import POLICY, a_model, deliveries, finish

PUBLIC = {
    "/docs",
    "/healthz",
    "/login",
    "/openapi.json",
    "/readyz",
    "/samples/<name>",
    "/samples/index.json",
    "/static/<path:filename>",
}
"""What needs no key. Whoever adds a route here has thought about what it tells strangers."""
PAGES = {"/", "/jobs/<job_id>"}
"""What leads to where one signs in."""
SIGNING = {"/session"}
"""Where one signs in and out: see test_sessions.py."""
OWNED = {"job_id", "item_id", "delivery_id"}
"""Parts of paths that name something of an owner's."""
SHARED = {"name", "version", "key_id", "filename"}
"""Parts of paths that do not."""
BODIES: dict[str, Any] = {"reviews.put_review": {"label": "dress"}}
"""JSON that a route accepts, by endpoint, where it wants any."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class House:
    """A service with a job of one owner's, and keys of everyone's."""

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
        with self.client.open(path, method=method, headers=headers, json=BODIES.get(rule.endpoint)) as response:
            return response.status_code


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    database = Database(settings.resolved_database_url)
    upgrade(database)
    data = (SAMPLES / "t-shirt-red.jpg").read_bytes()
    blob = StoredBlob(open_blob_store(settings).put(data), len(data))
    made = {}
    with database.writing() as session:
        model = a_model(session)
        for name, scopes in {
            "owner": [Scope.SUBMIT, Scope.READ],
            "stranger": [Scope.SUBMIT, Scope.READ],
            "reader": [Scope.READ],
            "submitter": [Scope.SUBMIT],
            "admin": [Scope.ADMIN],
        }.items():
            made[name] = keys.create(session, name, scopes, utc_now())
        new = NewJob(
            "hers", JobSource.UPLOADS, model, webhook={"url": "https://a.example", "events": ["job.completed"]}
        )
        mine = replace(new, key_id=made["owner"][0].id)
        items = [NewItem("a.jpg", blob)]
        job, messages = submitting.create_with_chunks(session, mine, items, POLICY, utc_now())
    for message in messages:
        finish(database, message)
    with database.reading() as session:
        item_id = session.scalars(select(Item.id)).one()
    ids = {"job_id": job.id, "item_id": item_id, "delivery_id": deliveries(database)[0].id}
    with serving(settings) as app:
        yield House(app, ids=ids, **{name: written for name, (_, written) in made.items()})
    database.close()


def rules(app: LookbookApp) -> list[tuple[Rule, str]]:
    found = [
        (rule, method) for rule in app.url_map.iter_rules() for method in METHODS if method in (rule.methods or ())
    ]
    # What deletes comes last, and parts before the whole, for those who may do it.
    return sorted(found, key=lambda pair: (pair[1] == "DELETE", -pair[0].rule.count("/")))


def test_every_route_except_public_ones_needs_a_key(house: House) -> None:
    answered = {
        (rule.rule, method): house.call(rule, method, None)
        for rule, method in rules(house.app)
        if rule.rule not in PAGES | SIGNING
    }
    assert {rule for (rule, _), status in answered.items() if status != 401} <= PUBLIC
    assert {rule for (rule, _), status in answered.items() if status == 401}.isdisjoint(PUBLIC)


def test_every_route_answers_404_for_resources_of_another_owner(house: House) -> None:
    for rule, method in rules(house.app):
        assert rule.arguments <= OWNED | SHARED, f"say in this test whether the parts of {rule} belong to someone"
        if rule.arguments & OWNED:
            for name, key in (("stranger", house.stranger), ("admin", house.admin)):
                assert house.call(rule, method, key) == 404, f"{method} {rule} shows {name} what is another's"


def test_every_route_finds_resources_of_the_owner(house: House) -> None:
    # Without this, the test above would hold of routes that it calls wrongly. No worker explains anything here.
    for rule, method in rules(house.app):
        if rule.arguments & OWNED:
            assert house.call(rule, method, house.owner) not in {401, 403, 404}, f"{method} {rule}"


def test_every_route_refuses_a_key_without_its_scope(house: House) -> None:
    for rule, method in rules(house.app):
        if rule.rule in PUBLIC | PAGES | SIGNING | {"/v1/usage"}:
            continue
        wrong = house.submitter if method == "GET" else house.reader
        assert house.call(rule, method, wrong) == 403, f"{method} {rule}"


def test_only_admin_keys_can_manage_keys_and_promote_models(house: House) -> None:
    statuses = {
        rule.rule: house.call(rule, method, house.owner)
        for rule, method in rules(house.app)
        if rule.rule.startswith("/v1/keys") or rule.rule.endswith("/promote")
    }
    assert set(statuses.values()) == {403}
    assert len(statuses) == 3


def listed(house: House, key: str) -> list[str]:
    body = body_of(house.client.get("/v1/jobs", headers=bearer(key)))
    return [job["id"] for job in body["data"]]


def test_lists_contain_only_the_owners_jobs(house: House) -> None:
    assert listed(house, house.owner) == [house.ids["job_id"]]
    assert listed(house, house.stranger) == []
    assert listed(house, house.admin) == []


def test_admin_keys_see_jobs_without_a_key_and_of_revoked_keys(house: House) -> None:
    services = services_of(house.app)
    with services.database.writing() as session:
        new = NewJob("nobody's", JobSource.UPLOADS, a_model(session))
        nobodys = submitting.create(session, new, [NewItem("b.jpg", None, error=NotAnImage())], utc_now())
        session.flush()
    assert listed(house, house.admin) == [nobodys.id]
    assert listed(house, house.stranger) == []
    with services.database.writing() as session:
        owner = next(key for key in keys.list_newest(session) if key.name == "owner")
        keys.revoke(session, owner.id, utc_now())
    services.callers.clear()
    assert listed(house, house.admin) == [nobodys.id, house.ids["job_id"]]
    assert house.client.get(f"/v1/jobs/{house.ids['job_id']}", headers=bearer(house.admin)).status_code == 200
    assert listed(house, house.stranger) == []


def test_a_poll_of_another_owners_job_is_never_answered_with_304(house: House) -> None:
    path = f"/v1/jobs/{house.ids['job_id']}"
    etag = house.client.get(path, headers=bearer(house.owner)).headers["ETag"]
    conditional = {"If-None-Match": etag}
    assert house.client.get(path, headers=bearer(house.owner) | conditional).status_code == 304
    assert house.client.get(path, headers=bearer(house.stranger) | conditional).status_code == 404
