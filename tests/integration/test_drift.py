"""Drift over HTTP, on both databases: weeks of a model version, and a job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from api.app import LookbookApp
from core.clock import utc_now
from core.settings import Settings
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import Job, JobSource, ModelVersion, Scope
from tests.integration.apps import bearer, serving
from tests.integration.builders import POLICY, a_blob, a_key, a_model, finish, review, scored

TUESDAY = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)
CONFUSION = [[70, 10], [10, 10]]
"""Rows: true, columns: predicted. The model predicts shirt for 80 of the 100 validation pictures, and dress for 20."""


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[LookbookApp]:
    with serving(settings, database) as made:
        yield made


def measured(database: Database, **metrics: Any) -> None:
    with database.writing() as session:
        a_model(session)
        session.execute(update(ModelVersion).values(metrics={"accuracy": 0.8, **metrics}))


def a_finished_job(database: Database, at: datetime, shirts: int, dresses: int, key_id: str | None = None) -> str:
    """Create a job whose pictures are all predicted as shirt with 0.9, or as dress with 0.6."""
    found = ""
    for label, confidence, count in (("shirt", 0.9, shirts), ("dress", 0.6, dresses)):
        with database.writing() as session:
            new_items = [NewItem(f"{n}.jpg", a_blob(f"{at} {label} {n}")) for n in range(count)]
            new = NewJob(label, JobSource.UPLOADS, a_model(session), key_id=key_id)
            job, messages = submitting.create_with_chunks(session, new, new_items, POLICY, at)
        while messages:
            messages += finish(database, messages.pop(0), scored(label, confidence)).next_chunks
        found = job.id
    return found


def weeks(client: FlaskClient, **headers: str) -> list[dict[str, Any]]:
    answer = client.get("/v1/models/test/1/drift?weeks=104", headers=headers)
    assert answer.status_code == 200
    return [week for week in answer.get_json()["weeks"] if week["pictures"]]


def test_a_week_is_compared_with_the_validation(client: FlaskClient, database: Database) -> None:
    measured(database, confusion=CONFUSION, confidences=[0] * 10 + [0, 0, 20, 0, 0, 0, 0, 0, 80, 0])
    a_finished_job(database, TUESDAY, shirts=48, dresses=12)
    a_finished_job(database, TUESDAY + timedelta(weeks=1), shirts=6, dresses=54)
    a_finished_job(database, TUESDAY + timedelta(weeks=2), shirts=1, dresses=9)
    as_expected, drifted, small = weeks(client)

    assert as_expected["starts_at"] == "2026-03-02T00:00:00.000Z"
    assert (as_expected["pictures"], as_expected["labels"]) == (60, {"shirt": 48, "dress": 12})
    assert as_expected["mean_confidence"] == pytest.approx((48 * 0.9 + 12 * 0.6) / 60)
    assert (as_expected["label_drift"], as_expected["confidence_drift"]) == ("none", "none")
    assert as_expected["label_index"] < 0.01
    assert (drifted["label_drift"], drifted["confidence_drift"]) == ("strong", "strong")
    assert drifted["label_index"] > 1
    assert (small["label_drift"], small["confidence_drift"]) == (None, None)
    assert small["label_index"] > 1
    expected = client.get("/v1/models/test/1/drift").get_json()["expected"]
    assert expected["labels"] == {"shirt": 80, "dress": 20}


def test_a_job_is_compared_with_the_validation_and_reviews_count(client: FlaskClient, database: Database) -> None:
    measured(database, confusion=CONFUSION)
    job_id = a_finished_job(database, TUESDAY, shirts=0, dresses=60)
    found = client.get(f"/v1/jobs/{job_id}/drift").get_json()
    assert (found["model"], found["pictures"], found["labels"]) == ("test@1", 60, {"dress": 60})
    assert (found["label_drift"], found["confidence_index"], found["confidence_drift"]) == ("strong", None, None)
    review(database, job_id, dict.fromkeys(range(48), "shirt") | {48: None})
    found = client.get(f"/v1/jobs/{job_id}/drift").get_json()
    assert (found["pictures"], found["labels"]) == (60, {"shirt": 48, "dress": 11})
    assert found["label_drift"] == "none"


def test_a_model_without_a_matrix_has_weeks_and_no_index(client: FlaskClient, database: Database) -> None:
    measured(database)
    job_id = a_finished_job(database, TUESDAY, shirts=60, dresses=0)
    (week,) = weeks(client)
    assert (week["pictures"], week["label_index"], week["label_drift"]) == (60, None, None)
    assert client.get("/v1/models/test/1/drift").get_json()["expected"] is None
    assert client.get(f"/v1/jobs/{job_id}/drift").get_json()["expected"] is None


def test_the_jobs_of_others_and_deleted_jobs_do_not_count(client: FlaskClient, database: Database) -> None:
    measured(database, confusion=CONFUSION)
    own, written = a_key(database, Scope.READ)
    a_finished_job(database, TUESDAY, shirts=3, dresses=0)
    job_id = a_finished_job(database, TUESDAY, shirts=0, dresses=5, key_id=own)
    assert [week["labels"] for week in weeks(client, **bearer(written))] == [{"dress": 5}]
    with database.writing() as session:
        job = session.scalars(select(Job).where(Job.id == job_id)).one()
        job.deleted_at = TUESDAY
    assert weeks(client, **bearer(written)) == []


def test_the_metrics_have_the_index_of_the_last_days(client: FlaskClient, database: Database) -> None:
    measured(database, confusion=CONFUSION)
    a_finished_job(database, utc_now() - timedelta(days=8), shirts=0, dresses=60)
    a_finished_job(database, utc_now(), shirts=48, dresses=12)
    (line,) = [line for line in client.get("/metrics").text.splitlines() if line.startswith("lookbook_drift_index{")]
    name, value = line.split()
    assert name == 'lookbook_drift_index{of="labels"}'
    assert float(value) < 0.01


@pytest.mark.parametrize(
    "path", ["/v1/models/test/9/drift", "/v1/jobs/job_none/drift", "/v1/models/test/1/drift?weeks=0"]
)
def test_unknown_names_and_bad_numbers_are_refused(client: FlaskClient, database: Database, path: str) -> None:
    measured(database)
    assert client.get(path).status_code in (404, 422)
