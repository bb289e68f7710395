"""Deliveries of ended jobs in the database: stored with the job's end, leased, recorded, and replayed.

No test here sends a request.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from core.clock import rfc3339
from core.item_errors import DecodeFailed
from db.database import Database
from db.steps import lifecycle, submitting, webhooks
from db.steps.submitting import NewItem, NewJob
from db.steps.webhooks import LEASE, Answer, Attempt, signing_secret
from db.tables import Delivery, DeliveryStatus, Job, JobEvent, JobSource
from db.views.job import job_out
from tests.integration.builders import (
    EVENTS,
    FAILED,
    NOW,
    POLICY,
    a_blob,
    a_model,
    deliveries,
    delivery,
    end_again,
    end_job,
    finish,
    together,
)

URL = "https://shop.example/hook"


def take(database: Database, after: timedelta = timedelta()) -> Attempt | None:
    with database.writing() as session:
        return webhooks.take(session, NOW + after)


def record_answer(database: Database, attempt: Attempt, answer: Answer, after: timedelta = timedelta()) -> str | None:
    with database.writing() as session:
        return webhooks.record_attempt(session, attempt, answer, NOW + after)


def test_the_body_contains_the_job_as_it_was_when_it_ended(database: Database) -> None:
    job_id = end_job(database, URL, outcome=FAILED)
    with database.reading() as session:
        data = job_out(session.get_one(Job, job_id)).model_dump(mode="json")
    attempt = take(database)
    assert attempt is not None
    assert json.loads(attempt.body) == {"type": "job.completed", "timestamp": rfc3339(NOW), "data": data}
    end_again(database, job_id, now=NOW + timedelta(hours=1))
    with database.reading() as session:
        first, second = session.scalars(select(Delivery.body).order_by(Delivery.id))
    assert first == attempt.body
    assert json.loads(second)["data"]["counts"]["succeeded"] == 1


def test_only_requested_events_are_delivered(database: Database) -> None:
    end_job(database, URL, events=["job.failed", "job.canceled"])
    with database.writing() as session:
        new = NewJob("nobody asked", JobSource.UPLOADS, a_model(session))
        _, messages = submitting.create_with_chunks(session, new, [NewItem("a.jpg", a_blob("b"))], POLICY, NOW)
    finish(database, messages[0])
    assert deliveries(database) == []


def test_every_kind_of_end_is_delivered(database: Database) -> None:
    end_job(database, URL)
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), webhook={"url": URL, "events": EVENTS})
        submitting.create(session, new, [NewItem("refused.jpg", None, error=DecodeFailed("broken"))], NOW)
        waiting = submitting.create(session, new, [NewItem("a.jpg", a_blob("a"))], NOW)
        lifecycle.request_cancel(session, waiting, NOW)
    events = sorted(stored.event for stored in deliveries(database))
    assert events == [JobEvent.CANCELED, JobEvent.COMPLETED, JobEvent.COMPLETED]


def test_an_event_that_is_rolled_back_is_not_delivered(database: Database) -> None:
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), webhook={"url": URL, "events": EVENTS})
        submitting.create(session, new, [NewItem("a.jpg", None, error=DecodeFailed("broken"))], NOW)
        assert session.scalars(select(Delivery)).one().event == JobEvent.COMPLETED
        session.rollback()
    assert deliveries(database) == []


def test_a_leased_delivery_cannot_be_leased_again_until_its_lease_ends(database: Database) -> None:
    end_job(database, URL)
    first = take(database)
    assert first is not None
    assert take(database, LEASE - timedelta(milliseconds=1)) is None
    second = take(database, LEASE)
    assert second is not None
    assert (second.delivery_id, second.body, second.number) == (first.delivery_id, first.body, 2)
    assert record_answer(database, first, Answer(410), LEASE) is None
    assert record_answer(database, second, Answer(200), LEASE) == DeliveryStatus.DELIVERED
    assert record_answer(database, second, Answer(500), LEASE) is None
    assert delivery(database).status == DeliveryStatus.DELIVERED


def test_concurrent_couriers_lease_each_delivery_once(database: Database) -> None:
    for _ in range(6):
        end_job(database, URL)
    leased: list[str] = []

    def take_all() -> None:
        while (attempt := take(database)) is not None:
            leased.append(attempt.delivery_id)

    together([take_all] * 4)
    assert sorted(leased) == [stored.id for stored in deliveries(database)]


def test_deliveries_with_fewer_failures_come_first(database: Database) -> None:
    end_job(database, URL)
    failed = take(database)
    assert failed is not None
    record_answer(database, failed, Answer(500))
    end_job(database, URL, now=NOW + timedelta(hours=1))
    first = take(database, timedelta(hours=2))
    second = take(database, timedelta(hours=2))
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (1, 2)


@pytest.mark.parametrize("status", [*range(200, 600, 100), 410])
def test_a_late_answer_does_not_change_a_replayed_delivery(database: Database, status: int) -> None:
    job_id = end_job(database, URL)
    slow = take(database)
    assert slow is not None
    with database.writing() as session:
        webhooks.replay(session, job_id, slow.delivery_id, NOW + timedelta(seconds=1))
    assert record_answer(database, slow, Answer(status)) is None
    assert delivery(database).status == DeliveryStatus.PENDING


def test_a_delivery_can_be_replayed_only_under_its_own_job(database: Database) -> None:
    job_id, other = end_job(database, URL), end_job(database, URL)
    (own,) = (stored for stored in deliveries(database) if stored.job_id == job_id)
    with database.writing() as session:
        assert webhooks.replay(session, other, own.id, NOW) is None
        assert webhooks.replay(session, job_id, "dlv_nobody", NOW) is None
        assert webhooks.replay(session, job_id, own.id, NOW) is not None


def test_deliveries_are_deleted_with_their_job(database: Database) -> None:
    job_id = end_job(database, URL)
    attempt = take(database)
    assert attempt is not None
    with database.writing() as session:
        session.delete(session.get_one(Job, job_id))
    assert deliveries(database) == []
    assert record_answer(database, attempt, Answer(200)) is None


def test_the_signing_secret_is_created_once_and_a_setting_takes_precedence(database: Database) -> None:
    secrets: list[str] = []
    together([lambda: secrets.append(signing_secret(database, ""))] * 4)
    assert len(secrets) == 4
    (secret,) = set(secrets)
    assert secret.startswith("whsec_")
    assert signing_secret(database, "whsec_abc") == "whsec_abc"
