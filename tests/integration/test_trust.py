"""Trust and policies over HTTP, on both databases: thresholds, acceptance, its filters and exports, and undoing it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from api.app import LookbookApp
from core.clock import utc_now
from core.settings import Settings
from core.trust import BINS, bin_of
from db.database import Database
from db.steps import purging, submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Acceptance, Item, Job, JobSource, ModelVersion, Review, Scope
from tests.integration.apps import bearer, serving
from tests.integration.builders import POLICY, a_blob, a_key, a_model, finish, review, scored

VALIDATION = {
    "shirt": [[bin_of(0.6), 20, 10], [bin_of(0.9), 60, 60]],
    "dress": [[bin_of(0.6), 30, 15], [bin_of(0.9), 40, 39]],
}
"""The model is always right at 0.9 (but for one dress), and as often wrong as right at 0.6."""
TARGET = 0.95


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


def a_scored_job(
    database: Database, *parts: tuple[str, float, int], key_id: str | None = None, validation: Any = VALIDATION
) -> str:
    """Create a finished job with so many pictures of each label and confidence, in this order."""
    with database.writing() as session:
        model = a_model(session)
        session.execute(update(ModelVersion).values(validation=validation))
        names = [f"{label} {confidence} {n}" for label, confidence, count in parts for n in range(count)]
        new_items = [NewItem(f"{name}.jpg", a_blob(f"trust {name}")) for name in names]
        new = NewJob("trust", JobSource.UPLOADS, model, key_id=key_id)
        job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, utc_now())
    outcomes = [(label, confidence) for label, confidence, count in parts for _ in range(count)]
    while messages:
        message = messages.pop(0)
        with database.reading() as session:
            position = session.scalar(
                select(Item.position).where(Item.chunk_id == message.chunk_id).order_by(Item.position).limit(1)
            )
        messages += finish(database, message, scored(*outcomes[position or 0]), utc_now()).next_chunks
    return job.id


PARTS = (("shirt", 0.9, 40), ("dress", 0.9, 20), ("shirt", 0.6, 8), ("dress", 0.6, 12))
"""Multiples of the size of a chunk, because all pictures of a chunk get the same outcome."""


def trust_of(client: FlaskClient, job_id: str, target: float = TARGET, **headers: str) -> dict[str, Any]:
    answer = client.get(f"/v1/jobs/{job_id}/trust?target={target}", headers=headers)
    assert answer.status_code == 200, answer.get_json()
    return dict(answer.get_json())


def accept(client: FlaskClient, job_id: str, **policy: Any) -> dict[str, Any]:
    answer = client.post(f"/v1/jobs/{job_id}/acceptance", json=policy)
    assert answer.status_code == 200, answer.get_json()
    return dict(answer.get_json())


def positions(client: FlaskClient, job_id: str, query: str) -> list[int]:
    items = client.get(f"/v1/jobs/{job_id}/items?limit=200&{query}").get_json()["data"]
    assert client.get(f"/v1/jobs/{job_id}/marks?{query}").get_json()["total"] == len(items)
    return [item["position"] for item in items]


def test_the_validation_pictures_give_a_threshold_overall_and_for_each_label(
    client: FlaskClient, database: Database
) -> None:
    job_id = a_scored_job(database, *PARTS)
    found = trust_of(client, job_id)
    assert (found["model"], found["validation"], found["reviews"], found["waiting"]) == ("test@1", 150, 0, 80)
    estimate = found["estimate"]
    assert estimate["threshold"] == bin_of(0.9) / BINS
    assert (estimate["judged"], estimate["accepted"]) == (100, 60)
    assert estimate["precision"] == pytest.approx(0.99)
    assert estimate["low"] == pytest.approx(0.9455, abs=1e-4)
    shirt, dress = found["labels"]
    assert (shirt["id"], shirt["waiting"], shirt["estimate"]["accepted"]) == ("shirt", 48, 40)
    assert (dress["estimate"]["accepted"], dress["estimate"]["judged"]) == (20, 40)
    assert found["accepted_by_label"] == 60
    assert sum(row["waiting"] for row in found["strata"]) == 80
    assert not any(row["by_reviews"] for row in found["strata"])
    # Nearly all the doubt is in the dresses and shirts at 0.9, whose reviews are therefore proposed.
    assert len(found["next_reviews"]) == 60
    assert trust_of(client, job_id, 0.995)["estimate"] is None


def test_fifty_reviews_of_the_catalog_outweigh_the_validation(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, ("shirt", 0.9, 400), ("dress", 0.6, 40))
    # The reviewer looks at the doubtful pictures first, and finds the catalog easier than the validation.
    review(database, job_id, {**dict.fromkeys(range(400, 438), "dress"), **dict.fromkeys(range(11), "shirt")})
    found = trust_of(client, job_id)
    assert not any(row["by_reviews"] for row in found["strata"])
    assert found["estimate"]["precision"] == pytest.approx((389 * 0.99 + 2 * 0.5) / 391)
    review(database, job_id, {11: "shirt"})
    found = trust_of(client, job_id)
    assert found["reviews"] == 50
    assert [row["reviews"] for row in found["strata"] if row["by_reviews"] and row["waiting"]] == [38, 12]
    # All is right, so everything is accepted. The twelve reviews at 0.9 stand for 388 pictures.
    assert (found["estimate"]["accepted"], found["estimate"]["precision"]) == (390, 1.0)
    assert found["estimate"]["low"] < 0.8
    review(database, job_id, {400: "shirt", 401: None, 402: "shirt"})
    assert trust_of(client, job_id)["estimate"]["precision"] < 1


def test_a_policy_accepts_without_a_review_and_is_undone(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, *PARTS)
    review(database, job_id, {0: "shirt", 1: "dress", 79: "dress"})
    path = f"/v1/jobs/{job_id}/acceptance"
    before = client.get(f"/v1/jobs/{job_id}").headers["ETag"]
    policy = accept(client, job_id, threshold=trust_of(client, job_id)["estimate"]["threshold"], target=TARGET)
    assert (policy["items"], policy["accepted"], policy["target"], policy["model"]) == (58, 58, TARGET, "test@1")
    assert client.get(f"/v1/jobs/{job_id}").headers["ETag"] != before
    assert positions(client, job_id, "accepted=true") == list(range(2, 60))
    assert positions(client, job_id, "accepted=false") == [0, 1, *range(60, 80)]
    assert positions(client, job_id, "accepted=false&reviewed=false&sort=confidence") == list(range(60, 79))
    items = client.get(f"/v1/jobs/{job_id}/items?limit=3").get_json()["data"]
    assert [item["accepted"] and item["accepted"]["threshold"] for item in items] == [None, None, policy["threshold"]]
    assert client.get(f"/v1/items/{items[2]['id']}").get_json()["accepted"] == items[2]["accepted"]
    assert client.get(f"/v1/jobs/{job_id}/summary").get_json()["reviewed"] == 3
    with database.reading() as session:
        assert len(session.scalars(select(Review)).all()) == 3
    assert trust_of(client, job_id)["acceptance"] == policy

    # A review wins over the policy, and without it the policy counts again.
    review(database, job_id, {5: "dress"})
    assert trust_of(client, job_id)["acceptance"]["accepted"] == 57
    assert 5 not in positions(client, job_id, "accepted=true")
    assert client.delete(f"/v1/items/{items[0]['id']}/review").status_code == 204
    assert trust_of(client, job_id)["acceptance"]["accepted"] == 58

    assert client.delete(path).status_code == 204
    assert positions(client, job_id, "accepted=true") == []
    assert len(positions(client, job_id, "accepted=false")) == 80
    assert trust_of(client, job_id)["acceptance"] is None
    again = client.delete(path)
    assert (again.status_code, again.get_json()["code"]) == (404, "unknown_acceptance")


def test_each_label_may_have_its_own_threshold(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, *PARTS)
    assert accept(client, job_id, thresholds={"dress": 0.5})["items"] == 32
    assert positions(client, job_id, "accepted=true") == [*range(40, 60), *range(68, 80)]
    # The newer policy replaces the earlier one.
    assert accept(client, job_id, thresholds={"dress": 0.8, "shirt": 0.95})["items"] == 20
    assert positions(client, job_id, "accepted=true") == list(range(40, 60))


def test_what_succeeds_after_the_policy_is_not_accepted_by_it(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, ("shirt", 0.9, 8))
    accept(client, job_id, threshold=0.5)
    with database.writing() as session:
        later = utc_now() + timedelta(seconds=1)
        session.execute(update(Item).where(Item.position >= 6).values(finished_at=later))
    assert positions(client, job_id, "accepted=true") == list(range(6))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_exports_say_what_was_accepted_how_by_whom_and_when(client: FlaskClient, database: Database, kind: str) -> None:
    key_id, written = a_key(database, Scope.SUBMIT, Scope.READ)
    job_id = a_scored_job(database, ("shirt", 0.9, 4), ("dress", 0.6, 4), key_id=key_id)
    review(database, job_id, {0: "dress"})
    posted = client.post(f"/v1/jobs/{job_id}/acceptance", json={"threshold": 0.75}, headers=bearer(written))
    text = client.get(f"/v1/jobs/{job_id}/export?format={kind}", headers=bearer(written)).text
    names = ("accepted", "accepted_threshold", "accepted_by", "accepted_at")
    rows: list[tuple[Any, ...]]
    yes: tuple[Any, ...]
    no: tuple[Any, ...]
    if kind == "csv":
        rows = [tuple(row[name] for name in names) for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff")))]
        yes, no = ("true", "0.75", key_id, posted.get_json()["at"]), ("false", "", "", "")
    else:
        lines = [line for line in text.splitlines() if line]
        rows = [tuple(row[name] for name in names) for row in map(json.loads, lines)]
        yes, no = (True, 0.75, key_id, posted.get_json()["at"]), (False, None, None, None)
    assert rows == [no, yes, yes, yes, no, no, no, no]


def test_the_reviews_that_narrow_the_estimate_are_a_filter(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, ("shirt", 0.9, 160), ("dress", 0.6, 40))
    review(database, job_id, {3: "shirt"})
    found = trust_of(client, job_id)
    assert len(found["next_reviews"]) == 100
    listed = client.get(f"/v1/jobs/{job_id}/items?limit=200&narrows={TARGET}").get_json()["data"]
    assert {item["id"] for item in listed} == set(found["next_reviews"])
    assert all(item["review"] is None and item["prediction"]["confidence"] == 0.9 for item in listed)
    assert positions(client, job_id, f"narrows={TARGET}&label=dress") == []


def test_a_model_without_validation_scores_is_judged_by_reviews_alone(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, ("shirt", 0.9, 120), validation=None)
    found = trust_of(client, job_id)
    assert (found["validation"], found["estimate"], found["min_reviews"]) == (0, None, 50)
    assert len(found["next_reviews"]) == 100
    review(database, job_id, dict.fromkeys(range(50), "shirt"))
    assert trust_of(client, job_id)["estimate"]["accepted"] == 70


def test_an_unchanged_job_is_answered_with_304(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, *PARTS)
    path = f"/v1/jobs/{job_id}/trust?target=0.9"
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    accept(client, job_id, threshold=0.9)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "expected either `threshold` or `thresholds`"),
        ({"threshold": 0.9, "thresholds": {"shirt": 0.9}}, "expected either `threshold` or `thresholds`"),
        ({"threshold": 1.2}, "less than or equal to 1, got 1.2"),
        ({"thresholds": {}}, "at least 1 item"),
        ({"thresholds": {"socks": 0.9}}, "expected labels among shirt, dress; got 'socks'"),
        ({"threshold": 0.9, "target": 98}, "less than 1, got 98"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(
    client: FlaskClient, database: Database, body: dict[str, Any], words: str
) -> None:
    job_id = a_scored_job(database, ("shirt", 0.9, 4))
    answer = client.post(f"/v1/jobs/{job_id}/acceptance", json=body)
    assert answer.status_code == 422
    assert words in answer.get_json()["detail"]
    assert client.get(f"/v1/jobs/{job_id}/trust?target=2").status_code == 422


def test_the_policy_of_another_key_is_out_of_reach(client: FlaskClient, database: Database) -> None:
    owner, _ = a_key(database, Scope.SUBMIT, Scope.READ)
    _, other = a_key(database, Scope.SUBMIT, Scope.READ, name="other")
    _, reader = a_key(database, Scope.READ, name="reader")
    job_id = a_scored_job(database, ("shirt", 0.9, 4), key_id=owner)
    path = f"/v1/jobs/{job_id}"
    assert client.get(f"{path}/trust", headers=bearer(other)).status_code == 404
    assert client.post(f"{path}/acceptance", json={"threshold": 0.5}, headers=bearer(other)).status_code == 404
    assert client.delete(f"{path}/acceptance", headers=bearer(other)).status_code == 404
    assert client.post(f"{path}/acceptance", json={"threshold": 0.5}, headers=bearer(reader)).status_code == 403
    assert client.get(f"/v1/jobs/{job_id}/items?narrows=0.9", headers=bearer(other)).status_code == 404


def test_the_policy_is_removed_with_its_job(client: FlaskClient, database: Database) -> None:
    job_id = a_scored_job(database, ("shirt", 0.9, 4))
    accept(client, job_id, threshold=0.5)
    with database.writing() as session:
        session.execute(update(Job).where(Job.id == job_id).values(expires_at=utc_now()))
        purging.remove_items(session, job_id)
        purging.finish_purge(session, job_id, utc_now())
    with database.reading() as session:
        assert session.scalars(select(Acceptance)).all() == []
