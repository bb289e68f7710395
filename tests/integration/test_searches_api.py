"""Searches for look-alikes in the API. Threads of the tests do the work of the workers, with given vectors."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from api.app import LookbookApp
from broker.client import Broker
from broker.dispatch import announce_end
from core.messages import Queue
from core.settings import Settings
from core.vectors import encode
from db.database import Database
from db.model_versions import promote
from db.tables import Item, Job, Scope
from db.views import items
from tests.conftest import SAMPLES, RunningRedis
from tests.integration.apps import bearer, body_of, picture, prepare, refused, services_of, serving
from tests.integration.builders import (
    FAILED,
    a_job,
    a_key,
    an_embedding_model,
    next_message,
    next_raw_message,
    record_chunk,
    scored,
)
from tests.integration.catalogs import a_catalog, angle, job_of
from worker.searching.searcher import Searcher


class Workers:
    """Answers the searches and classifies the single pictures that wait in Redis, until the end of the test."""

    def __init__(self, database: Database, broker: Broker, redis: RunningRedis, settings: Settings) -> None:
        self.vector: Sequence[float] | None = angle(0)
        """The vector of every picture that is classified. None: it fails."""
        self._database, self._broker, self._redis = database, broker, redis
        self._searcher = Searcher(database, broker, settings.home / "vectors")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def running(self) -> Iterator[Workers]:
        self._thread.start()
        yield self
        self._stopping.set()
        self._thread.join()
        self._searcher.close()

    def _run(self) -> None:
        while not self._stopping.wait(0.01):
            self._search()
            self._classify()

    def _search(self) -> None:
        raw = next_raw_message(self._redis, Queue.SEARCH)
        if raw is not None:
            _, arguments, _ = json.loads(base64.b64decode(json.loads(raw)["body"]))
            self._searcher.answer(**arguments)

    def _classify(self) -> None:
        message = next_message(self._redis, Queue.INTERACTIVE)
        if message is None:
            return
        with self._database.writing() as session:
            pictures = items.list_pending_pictures(session, message.chunk_id)
            vector = None if self.vector is None else encode(np.array(self.vector, np.float32))
            outcome = FAILED if vector is None else scored(vector=vector)
            record_chunk(session, message, dict.fromkeys(pictures, outcome))
        announce_end(self._broker, message.job_id, webhook=False, has_several_items=False)


@pytest.fixture
def searching_app(settings: Settings, redis: RunningRedis) -> Iterator[LookbookApp]:
    prepare(settings)
    with serving(settings.with_changes(redis_url=redis.url)) as app:
        with services_of(app).database.writing() as session:
            promote(session, an_embedding_model(session))
        yield app


@pytest.fixture
def client(searching_app: LookbookApp) -> FlaskClient:
    return searching_app.test_client()


@pytest.fixture
def database(searching_app: LookbookApp) -> Database:
    return services_of(searching_app).database


@pytest.fixture
def workers(searching_app: LookbookApp, redis: RunningRedis) -> Iterator[Workers]:
    services = services_of(searching_app)
    with Workers(services.database, services.broker, redis, services.settings).running() as made:
        yield made


def found_names(body: dict[str, object]) -> list[str]:
    data = body["data"]
    assert isinstance(data, list)
    return [row["item"]["source"]["name"] for row in data]


def test_similar_items_of_the_job_of_named_jobs_and_of_all(
    client: FlaskClient, database: Database, workers: Workers
) -> None:
    first = a_catalog(database, {"a": angle(0), "b": angle(20)})
    second = a_catalog(database, {"c": angle(10)})
    a_catalog(database, {"d": angle(5)})
    path = f"/v1/items/{first['a']}/similar"
    body = body_of(client.get(path))
    assert found_names(body) == ["b.jpg"]
    assert body["data"][0]["similarity"] == pytest.approx(np.cos(np.radians(20)), abs=2e-3)
    assert body["data"][0]["relation"] is None
    assert (body["model"], body["exact"], body["searched"]) == ("embedding@1", True, 1)
    jobs = f"{job_of(database, first['a'])},{job_of(database, second['c'])}"
    assert found_names(body_of(client.get(f"{path}?jobs={jobs}"))) == ["c.jpg", "b.jpg"]
    assert found_names(body_of(client.get(f"{path}?jobs=all"))) == ["d.jpg", "c.jpg", "b.jpg"]
    assert found_names(body_of(client.get(f"{path}?jobs=all&limit=1"))) == ["d.jpg"]


def test_a_search_with_a_picture_finds_look_alikes_and_removes_the_picture(
    client: FlaskClient, database: Database, workers: Workers
) -> None:
    a_catalog(database, {"a": angle(30), "b": angle(10)})
    body = body_of(client.post("/v1/search", data=picture(), content_type="image/jpeg"))
    assert found_names(body) == ["b.jpg", "a.jpg"]
    assert body["asked"]["prediction"]["label"]["id"] == "shirt"
    asked = body["asked"]["id"]
    assert client.get(f"/v1/items/{asked}").status_code == 404
    with database.reading() as session:
        job = session.get_one(Job, session.get_one(Item, asked).job_id)
        assert job.deleted_at is not None
    # The next search does not find it, although the purger has not run yet.
    body = body_of(client.post("/v1/search", data=picture("dress-green.jpg"), content_type="image/jpeg"))
    assert found_names(body) == ["b.jpg", "a.jpg"]


def test_a_search_keeps_its_picture_if_it_is_asked_to(
    client: FlaskClient, database: Database, workers: Workers
) -> None:
    a_catalog(database, {"a": angle(30)})
    answer = client.post("/v1/search?keep=true&limit=5", data=picture(), content_type="image/jpeg")
    asked = body_of(answer)["asked"]["id"]
    assert body_of(client.get(f"/v1/items/{asked}"))["status"] == "succeeded"
    assert found_names(body_of(client.get(f"/v1/items/{asked}/similar?jobs=all"))) == ["a.jpg"]


@pytest.mark.parametrize("form", ["json", "form"])
def test_a_search_takes_pictures_in_all_forms(
    client: FlaskClient, database: Database, workers: Workers, form: str
) -> None:
    job_id = job_of(database, a_catalog(database, {"a": angle(30)})["a"])
    a_catalog(database, {"b": angle(0)})
    if form == "json":
        encoded = base64.b64encode(picture()).decode()
        answer = client.post("/v1/search", json={"image": encoded, "jobs": job_id, "limit": 3})
    else:
        with (SAMPLES / "t-shirt-red.jpg").open("rb") as file:
            answer = client.post("/v1/search/uploads", data={"image": file, "jobs": job_id})
    assert found_names(body_of(answer)) == ["a.jpg"]


def test_another_key_finds_nothing_of_mine(
    searching_app: LookbookApp, client: FlaskClient, database: Database, workers: Workers
) -> None:
    mine, my_key = a_key(database)
    _, their_key = a_key(database, name="theirs")
    catalog = a_catalog(database, {"a": angle(0), "b": angle(1)}, owner=mine)
    a_catalog(database, {"unowned": angle(0)})
    image = {"data": picture(), "content_type": "image/jpeg"}
    assert found_names(body_of(client.post("/v1/search", headers=bearer(my_key), **image))) == ["a.jpg", "b.jpg"]
    assert found_names(body_of(client.post("/v1/search", headers=bearer(their_key), **image))) == []
    assert refused(client.get(f"/v1/items/{catalog['a']}/similar", headers=bearer(their_key)), 404, "unknown_item")
    job_id = job_of(database, catalog["a"])
    named = client.post(f"/v1/search?jobs={job_id}", headers=bearer(their_key), **image)
    assert refused(named, 404, "unknown_job")


def test_a_search_needs_both_scopes(client: FlaskClient, database: Database) -> None:
    _, submitter = a_key(database, Scope.SUBMIT)
    answer = client.post("/v1/search", headers=bearer(submitter), data=picture(), content_type="image/jpeg")
    assert "`submit` and `read`" in refused(answer, 403, "insufficient_scope")["detail"]


def test_items_without_a_vector_are_refused_with_the_reason(
    client: FlaskClient, database: Database, workers: Workers
) -> None:
    item_id = a_catalog(database, {"without": None})["without"]
    detail = refused(client.get(f"/v1/items/{item_id}/similar"), 409, "no_vector")["detail"]
    assert "turned off" in detail
    with database.writing() as session:
        job = a_job(session, ["x"])
        session.flush()
        pending = session.scalars(select(Item.id).where(Item.job_id == job.id)).one()
    assert "pending" in refused(client.get(f"/v1/items/{pending}/similar"), 409, "no_vector")["detail"]
    answer = client.post("/v1/search?model=test", data=picture(), content_type="image/jpeg")
    assert "test@1 has no embedding output" in refused(answer, 409, "no_vector")["detail"]


def test_a_search_that_cannot_be_made_says_why(client: FlaskClient, database: Database, workers: Workers) -> None:
    workers.vector = None
    answer = client.post("/v1/search", data=picture(), content_type="image/jpeg")
    assert refused(answer, 500, "model_error")
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Job).where(Job.deleted_at.is_(None))) == 0
    assert refused(client.post("/v1/search", data=b"text", content_type="text/plain"), 415, "unsupported_media_type")
    for wrong in ("limit=0", "limit=201", "jobs=,", "keep=perhaps", "crop={}"):
        assert client.post(f"/v1/search?{wrong}", data=picture(), content_type="image/jpeg").status_code == 422, wrong


def test_a_search_without_a_worker_asks_to_try_again(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.searches.SEARCH_SECONDS", 0.05)
    item_id = a_catalog(database, {"a": angle(0)})["a"]
    answer = client.get(f"/v1/items/{item_id}/similar")
    assert refused(answer, 503, "search_late")
    assert answer.headers["Retry-After"] == "2"
    late = client.post("/v1/search", data=picture(), content_type="image/jpeg", headers={"Prefer": "wait=0"})
    assert refused(late, 503, "search_late")
