"""Shadow runs on both databases, from the request to the comparison."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from api.app import LookbookApp
from broker.client import Broker
from core.clock import utc_now
from core.item_errors import NotAnImage
from core.messages import ChunkMessage, Queue
from core.settings import Settings
from core.types import PictureKey
from db import model_versions
from db.blobs.local import LocalBlobStore
from db.database import Database
from db.steps import shadowing
from db.steps.recording import Outcome
from db.tables import Item, Job, Prediction, Priority, Scope, ShadowPicture
from db.tables.shadows import SHADOW_OWNER
from db.views import items
from tests.integration.apps import bearer, serving
from tests.integration.builders import (
    POLICY,
    a_blob,
    a_key,
    a_model,
    a_queued_job,
    finish,
    record_chunk,
    review,
    scored,
)
from worker.maintenance.purger import purge
from worker.maintenance.shadows import run_shadows

PATH = "/v1/models/test/2/shadow"
PICTURES = [f"picture {n}" for n in range(60)]


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with database.writing() as session:
        a_model(session)
        a_model(session, "2")
    with serving(settings, database) as made:
        yield made


def classified(database: Database, pictures: list[str], label: str = "shirt") -> str:
    """Classify the pictures of a job with `production`."""
    job_id, messages = a_queued_job(database, pictures)
    while messages:
        messages += finish(database, messages.pop(0), scored(label), utc_now()).next_chunks
    return job_id


class Shadows:
    """The background part of shadow runs, just late enough to see everything that was recorded before."""

    def __init__(self, database: Database, broker: Broker) -> None:
        self._database, self._broker = database, broker

    def run(self) -> None:
        # Identifiers have milliseconds.
        late_enough = utc_now() + shadowing.SETTLED + timedelta(milliseconds=1)
        run_shadows(self._database, self._broker, POLICY, lambda: late_enough)

    def sample(self) -> Job | None:
        with self._database.reading() as session:
            query = select(Job).where(Job.key_id == SHADOW_OWNER, Job.deleted_at.is_(None))
            return session.scalar(query)

    def classify(self, outcomes: dict[str, Outcome]) -> None:
        """Record the outcomes of the candidate for the sample, by content of the picture (default: shirt)."""
        job = self.sample()
        assert job is not None
        by_key = {sha256_of(content): outcome for content, outcome in outcomes.items()}
        with self._database.reading() as session:
            chunk_ids = set(session.scalars(select(Item.chunk_id).where(Item.job_id == job.id)))
        pending = [message_of(chunk_id, job.id) for chunk_id in chunk_ids if chunk_id]
        while pending:
            message = pending.pop()
            with self._database.writing() as session:
                pictures: list[PictureKey] = items.list_pending_pictures(session, message.chunk_id)
                found = {picture: by_key.get(picture[0], scored()) for picture in pictures}
                pending += record_chunk(session, message, found, utc_now()).next_chunks


@pytest.fixture
def shadows(database: Database, broker: Broker) -> Shadows:
    return Shadows(database, broker)


def sha256_of(content: str) -> str:
    return a_blob(content).sha256


def message_of(chunk_id: str, job_id: str) -> ChunkMessage:
    return ChunkMessage(chunk_id, job_id, Queue.LOW)


def started(client: FlaskClient, share: float = 1.0, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = client.post(PATH, json={"share": share}, headers=headers)
    assert answer.status_code == 200, answer.get_json()
    return dict(answer.get_json())


def newest(client: FlaskClient) -> dict[str, Any]:
    return dict(client.get(PATH).get_json()["data"][0])


def test_a_candidate_is_compared_on_new_pictures_which_nobody_sees(
    client: FlaskClient, database: Database, shadows: Shadows
) -> None:
    classified(database, ["from before"])
    run = started(client)
    assert (run["model"], run["against"], run["pictures"], run["ended_at"]) == ("test@2", "test@1", 0, None)
    job_id = classified(database, PICTURES[:10])
    shadows.run()
    sample = shadows.sample()
    assert sample is not None
    assert (sample.total, sample.priority, sample.model_version.ref) == (10, Priority.LOW, "test@2")
    assert client.get(f"/v1/jobs/{sample.id}").status_code == 404
    assert sample.id not in {job["id"] for job in client.get("/v1/jobs").get_json()["data"]}

    shadows.classify({PICTURES[0]: scored("dress", 0.7), PICTURES[1]: Outcome(error=NotAnImage("broken"))})
    review(database, job_id, {0: "dress", 2: "shirt", 3: None})
    shadows.run()
    found = newest(client)
    assert (found["pictures"], found["same"], found["failed"]) == (9, 8, 1)
    assert found["flips"] == [{"shown": "shirt", "candidate": "dress", "count": 1}]
    assert (found["reviewed"], found["shown_right"], found["candidate_right"]) == (2, 1, 2)
    assert (found["shown_confidence"], found["candidate_confidence"]) == (0.9, pytest.approx(0.8778, abs=1e-4))
    assert shadows.sample() is None
    assert client.get(f"/v1/jobs/{job_id}/items").get_json()["data"][0]["prediction"]["model"] == "test@1"


def test_a_share_takes_the_same_pictures_each_time(client: FlaskClient, database: Database, shadows: Shadows) -> None:
    started(client, 0.25)
    classified(database, PICTURES)
    shadows.run()
    first = shadows.sample()
    assert first is not None
    assert first.total == sum(int(sha256_of(content)[:8], 16) < 2**30 for content in PICTURES)
    assert 0 < first.total < 30


def test_a_sample_waits_for_the_one_before_and_a_stopped_run_takes_none(
    client: FlaskClient, database: Database, shadows: Shadows
) -> None:
    started(client)
    classified(database, PICTURES[:2])
    shadows.run()
    classified(database, PICTURES[2:5])
    shadows.run()
    first = shadows.sample()
    assert first is not None
    assert first.total == 2
    shadows.classify({})
    shadows.run()
    second = shadows.sample()
    assert second is not None
    assert second.total == 3
    assert client.delete(PATH).get_json()["ended_at"] is not None
    classified(database, PICTURES[5:9])
    shadows.classify({})
    shadows.run()
    assert shadows.sample() is None
    assert newest(client)["pictures"] == 5


def test_a_new_run_ends_the_one_before(client: FlaskClient, database: Database) -> None:
    started(client)
    with database.writing() as session:
        a_model(session, "3")
    assert client.post("/v1/models/test/3/shadow", json={}).get_json()["share"] == 0.05
    assert newest(client)["ended_at"] is not None


def test_a_promotion_ends_the_run(client: FlaskClient, database: Database) -> None:
    started(client)
    with database.writing() as session:
        model_versions.promote(session, model_versions.resolve(session, "test@1"))
    assert newest(client)["ended_at"] is None
    with database.writing() as session:
        model_versions.promote(session, model_versions.resolve(session, "test@2"))
    assert newest(client)["ended_at"] is not None


def test_what_a_deleted_job_showed_leaves_the_comparison(
    client: FlaskClient, database: Database, shadows: Shadows, settings: Settings
) -> None:
    started(client)
    job_id = classified(database, PICTURES[:3])
    shadows.run()
    shadows.classify({})
    shadows.run()
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    purge(database, LocalBlobStore(settings.home / "blobs"), lambda: utc_now() + timedelta(minutes=1))
    with database.reading() as session:
        counts = [session.scalar(select(func.count()).select_from(kind)) for kind in (ShadowPicture, Prediction, Job)]
    assert counts == [0, 0, 0]
    assert newest(client)["pictures"] == 0


def test_only_administrators_start_and_see_a_run(client: FlaskClient, database: Database) -> None:
    _, written = a_key(database, Scope.SUBMIT, Scope.READ)
    _, administrator = a_key(database, Scope.ADMIN)
    for method in ("post", "get", "delete"):
        answer = getattr(client, method)(PATH, json={} if method == "post" else None, headers=bearer(written))
        assert answer.get_json()["code"] == "insufficient_scope"
    started(client, headers=bearer(administrator))


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/models/test/1/shadow", {}, 409, "already_production"),
        ("/v1/models/test/9/shadow", {}, 404, "unknown_model"),
        (PATH, {"share": 0}, 422, "invalid_request"),
        (PATH, {"share": 1.5}, 422, "invalid_request"),
        (PATH, {"share": "much"}, 422, "invalid_request"),
    ],
)
def test_wrong_requests_are_refused(client: FlaskClient, path: str, body: Any, status: int, code: str) -> None:
    answer = client.post(path, json=body)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code)
    assert client.get(path).get_json().get("data", []) == []
    assert client.delete(path).status_code == 404


def test_the_jobs_of_a_run_are_hidden_from_administrators(
    client: FlaskClient, database: Database, shadows: Shadows
) -> None:
    _, administrator = a_key(database, Scope.ADMIN)
    started(client, headers=bearer(administrator))
    classified(database, PICTURES[:3])
    shadows.run()
    sample = shadows.sample()
    assert sample is not None
    assert client.get(f"/v1/jobs/{sample.id}", headers=bearer(administrator)).status_code == 404
