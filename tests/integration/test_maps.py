"""Maps of jobs on both databases: requested, computed by the mapper, read, filtered by area, and removed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from api.app import LookbookApp
from core.clock import utc_now
from core.maps import MIN_POINTS, Points
from core.messages import ChunkMessage
from core.settings import Settings
from core.vectors import encode
from db.database import Database
from db.steps import mapping, opening, purging, submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import JobMap, JobSource, Scope
from db.views import items, maps
from tests.conftest import until
from tests.integration.apps import bearer, body_of, refused, serving
from tests.integration.builders import (
    POLICY,
    a_blob,
    a_key,
    a_model,
    an_embedding_model,
    delete_job,
    finish,
    locked_job,
    record_chunk,
    review,
    scored,
)
from worker.maps.mapper import Mapper

PICTURES = 40


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


@pytest.fixture
def mapper(database: Database) -> Mapper:
    return Mapper(database)


def record_all(database: Database, messages: list[ChunkMessage], *, with_vectors: bool = True) -> None:
    """Record pictures whose vectors are near (1, 0, 0, 0) for shirts and near (0, 0, 0, 1) for dresses."""
    random = np.random.default_rng(7)
    while messages:
        message = messages.pop(0)
        with database.writing() as session:
            outcomes = {}
            for number, picture in enumerate(items.list_pending_pictures(session, message.chunk_id)):
                label = "dress" if number % 2 else "shirt"
                vector = random.normal(0, 0.1, 4) + np.eye(4)[0 if label == "shirt" else 3]
                data = encode(vector) if with_vectors else None
                outcomes[picture] = scored(label, 0.9 if number % 2 else 0.6, data)
            messages += record_chunk(session, message, outcomes, utc_now()).next_chunks


def a_job_with_vectors(
    database: Database,
    pictures: int = PICTURES,
    *,
    stores: bool = True,
    key_id: str | None = None,
    is_open: bool = False,
) -> str:
    until = utc_now() + timedelta(hours=1) if is_open else None
    with database.writing() as session:
        model = an_embedding_model(session)
        new = NewJob("vectors", JobSource.UPLOADS, model, vectors=stores, key_id=key_id, open_until=until)
        new_items = [NewItem(f"{n}.jpg", a_blob(f"map {n}")) for n in range(pictures)]
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, utc_now())
    record_all(database, messages, with_vectors=stores)
    return job.id


def path(job_id: str, rest: str = "") -> str:
    return f"/v1/jobs/{job_id}/map{rest}"


def made(client: FlaskClient, database: Database, job_id: str) -> dict[str, Any]:
    """Request a map, store the points of a grid as its layout, and return them. The real layout takes seconds."""
    assert client.post(path(job_id)).status_code == 202
    with database.writing() as session:
        work = mapping.take(session, utc_now())
        assert work is not None
        positions, length = maps.read_shape(session, job_id)
        assert length == 4
        places = np.stack([positions % 2 * 1000, positions * 100], axis=1).astype(np.uint16)
        assert mapping.store(session, work, Points(positions, places), len(positions), utc_now())
    return body_of(client.get(path(job_id, "/points")))


def test_a_map_is_requested_computed_and_read(client: FlaskClient, database: Database, mapper: Mapper) -> None:
    job_id = a_job_with_vectors(database)
    state = body_of(client.get(path(job_id)))
    assert (state["status"], state["revision"], state["unavailable"]) == ("none", 0, None)
    refused(client.get(path(job_id, "/points")), 404, "no_map")
    assert body_of(client.post(path(job_id)))["status"] == "waiting"
    assert body_of(client.post(path(job_id)))["status"] == "waiting"
    assert mapper.run_pending() == 1
    assert mapper.run_pending() == 0

    state = body_of(client.get(path(job_id)))
    assert (state["status"], state["revision"], state["points"], state["pictures"]) == ("ready", 1, PICTURES, PICTURES)
    assert (state["outdated"], state["error"], state["progress"]) == (False, None, None)
    points = body_of(client.get(path(job_id, "/points")))
    assert points["position"] == list(range(PICTURES))
    assert [points["labels"][number] for number in points["label"]] == ["shirt", "dress"] * (PICTURES // 2)
    assert points["confidence"][:2] == [0.6, 0.9]
    first = body_of(client.get(f"/v1/jobs/{job_id}/items?limit=1"))["data"][0]
    assert points["id"][0] == first["id"]
    # A current map is not computed again.
    assert client.post(path(job_id)).status_code == 200
    assert mapper.run_pending() == 0


def test_the_points_know_labels_of_the_owner(client: FlaskClient, database: Database) -> None:
    job_id = a_job_with_vectors(database)
    points = made(client, database, job_id)
    own = {"id": "hoodie", "group": "tops", "name": {"en": "Hoodie"}}
    assert client.put("/v1/taxonomy", json={"groups": [], "labels": [own]}).status_code == 200
    assert client.put(f"/v1/items/{points['id'][0]}/review", json={"label": "hoodie"}).status_code == 200
    points = body_of(client.get(path(job_id, "/points")))
    assert points["labels"][points["label"][0]] == "hoodie"
    assert points["labels"][points["predicted"][0]] == "shirt"


def test_an_unchanged_map_is_answered_with_304(client: FlaskClient, database: Database) -> None:
    job_id = a_job_with_vectors(database)
    made(client, database, job_id)
    answer = client.get(path(job_id, "/points"))
    headers = {"If-None-Match": answer.headers["ETag"]}
    assert client.get(path(job_id, "/points"), headers=headers).status_code == 304
    review(database, job_id, {0: "shirt", 1: "shirt", 2: None})
    changed = client.get(path(job_id, "/points"), headers=headers)
    assert changed.status_code == 200
    assert body_of(changed)["review"][:4] == [1, 2, 3, 0]
    assert body_of(changed)["label"][:4] == [0, 0, -1, 1]
    assert body_of(changed)["predicted"][:4] == [0, 1, 0, 1]


def test_a_map_is_made_again_when_items_were_added(client: FlaskClient, database: Database, mapper: Mapper) -> None:
    job_id = a_job_with_vectors(database, is_open=True)
    made(client, database, job_id)
    with locked_job(database, job_id) as (session, job):
        submitting.store_blobs(session, {a_blob("new").sha256: 3}, utc_now())
        messages = opening.append(session, job, [NewItem("new.jpg", a_blob("new"))], None, POLICY, utc_now())
        opening.close(session, job, utc_now())
    assert mapper.run_pending() == 0, "the job is not finished yet"
    record_all(database, messages)
    assert body_of(client.get(path(job_id)))["outdated"]
    assert mapper.run_pending() == 1
    state = body_of(client.get(path(job_id)))
    assert (state["status"], state["revision"], state["outdated"]) == ("ready", 2, False)
    assert (state["points"], state["pictures"]) == (PICTURES + 1, PICTURES + 1)


def test_an_area_filters_items_and_exports(client: FlaskClient, database: Database) -> None:
    job_id = a_job_with_vectors(database)
    made(client, database, job_id)
    # The dresses are at x = 1000, and those at the odd positions up to 19 are above y = 2000.
    area = "1_900-0_1100-0_1100-2000_900-2000"
    found = body_of(client.get(f"/v1/jobs/{job_id}/items?limit=200&area={area}"))["data"]
    assert [item["position"] for item in found] == list(range(1, 20, 2))
    assert body_of(client.get(f"/v1/jobs/{job_id}/marks?area={area}"))["total"] == 10
    by_doubt = body_of(client.get(f"/v1/jobs/{job_id}/items?area={area}&label=dress&sort=confidence"))["data"]
    assert len(by_doubt) == 10
    assert body_of(client.get(f"/v1/jobs/{job_id}/items?area={area}&label=shirt"))["data"] == []
    lines = client.get(f"/v1/jobs/{job_id}/export?format=jsonl&area={area}").text.splitlines()
    assert len(lines) == 10


@pytest.mark.parametrize(
    ("area", "code"),
    [
        ("1_0-0_9-9", "invalid_request"),
        ("1_0-0_9-9_9-0_x", "invalid_request"),
        ("0-0_9-9_9-0", "invalid_request"),
        ("7_0-0_9-9_9-0", "map_changed"),
    ],
)
def test_an_area_that_is_none_or_of_another_map_is_refused(
    client: FlaskClient, database: Database, area: str, code: str
) -> None:
    job_id = a_job_with_vectors(database)
    refused(client.get(f"/v1/jobs/{job_id}/items?area=1_0-0_9-9_9-0"), 422, "no_map")
    made(client, database, job_id)
    problem = refused(client.get(f"/v1/jobs/{job_id}/items?area={area}"), 422, code)
    assert problem["errors"][0]["pointer"] == "/area"
    assert "expected" in problem["detail"]


def test_jobs_that_cannot_have_a_map_say_why(client: FlaskClient, database: Database) -> None:
    small = a_job_with_vectors(database, MIN_POINTS - 1)
    without = a_job_with_vectors(database, stores=False)
    with database.writing() as session:
        new = NewJob("old", JobSource.UPLOADS, a_model(session))
        job, messages = submitting.create_with_chunks(session, new, [NewItem("a.jpg", a_blob("a"))], POLICY, utc_now())
    for message in messages:
        finish(database, message, scored(), utc_now())
    expected = {job.id: "no_embedding", small: "too_few_pictures", without: "no_vectors"}
    for job_id, code in expected.items():
        assert body_of(client.get(path(job_id)))["unavailable"]["code"] == code
        problem = refused(client.post(path(job_id)), 409, code)
        assert "test@1" in problem["detail"] or f"at least {MIN_POINTS}" in problem["detail"]


def test_no_caller_sees_the_map_of_another_owner(client: FlaskClient, database: Database) -> None:
    own, written = a_key(database)
    _, other = a_key(database)
    job_id = a_job_with_vectors(database, key_id=own)
    assert client.post(path(job_id), headers=bearer(written)).status_code == 202
    for asked in (client.get(path(job_id), headers=bearer(other)), client.post(path(job_id), headers=bearer(other))):
        refused(asked, 404, "unknown_job")
    refused(client.get(path(job_id, "/points"), headers=bearer(other)), 404, "unknown_job")
    _, reader = a_key(database, Scope.READ)
    refused(client.post(path(job_id), headers=bearer(reader)), 403, "insufficient_scope")


def test_a_map_whose_worker_ended_is_taken_up_again_and_fails_at_last(client: FlaskClient, database: Database) -> None:
    job_id = a_job_with_vectors(database)
    client.post(path(job_id))
    now = utc_now()
    for attempt in range(mapping.MAX_ATTEMPTS):
        with database.writing() as session:
            work = mapping.take(session, now + attempt * 2 * mapping.LEASE)
            assert work is not None
            assert mapping.take(session, now + attempt * 2 * mapping.LEASE) is None
            assert mapping.report(session, work, 0.5, now + attempt * 2 * mapping.LEASE)
        assert body_of(client.get(path(job_id)))["progress"] == 0.5
    with database.writing() as session:
        assert mapping.take(session, now + 9 * mapping.LEASE) is None
        assert work is not None
        assert not mapping.report(session, work, 0.6, now)
    state = body_of(client.get(path(job_id)))
    assert state["status"] == "failed"
    assert "3 attempts" in state["error"]
    # Another request tries again.
    assert body_of(client.post(path(job_id)))["status"] == "waiting"


def test_a_stopped_mapper_gives_the_map_back(client: FlaskClient, database: Database, mapper: Mapper) -> None:
    job_id = a_job_with_vectors(database)
    client.post(path(job_id))
    mapper.wake()
    until(lambda: body_of(client.get(path(job_id)))["status"] == "computing")
    mapper.close()
    assert body_of(client.get(path(job_id)))["status"] == "waiting"
    with database.reading() as session:
        assert session.scalars(select(JobMap.attempts)).one() == 0


def test_a_map_is_removed_with_its_job(client: FlaskClient, database: Database) -> None:
    job_ids = [a_job_with_vectors(database) for _ in range(2)]
    for job_id in job_ids:
        made(client, database, job_id)
    delete_job(database, job_ids[0])
    for job_id in job_ids:
        with database.writing() as session:
            while purging.remove_items(session, job_id).items:
                pass
            purging.finish_purge(session, job_id, utc_now() + timedelta(days=1))
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(JobMap)) == 0
