"""Webhooks from the end of a job to a receiver on loopback, which checks signatures with the standard's own library."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from typing import Any

import pytest
from standardwebhooks import Webhook

from core.clock import rfc3339, utc_now
from core.fetching import Fetcher
from db.database import Database
from db.steps import webhooks
from db.steps.webhooks import BACKOFF, JITTER, LEASE, MAX_RETRY_AFTER, Answer, signing_secret
from db.tables import Blob, DeliveryStatus, Job
from db.views.job import job_out
from tests.answering import ReceivedRequest, Reply
from tests.clocks import ManualClock
from tests.integration.builders import (
    FAILED,
    NOW,
    deliveries,
    delivery,
    end_again,
    end_job,
    together,
)
from tests.receiver import Receiver, receiver
from worker.maintenance.courier import Courier

__all__ = ["receiver"]


@pytest.fixture
def clock() -> ManualClock[datetime]:
    return ManualClock(NOW)


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher(allow=[ip_network("127.0.0.0/8")]) as made:
        yield made


@pytest.fixture
def courier(database: Database, fetcher: Fetcher, clock: ManualClock[datetime]) -> Iterator[Courier]:
    made = Courier(database, fetcher, clock=clock)
    yield made
    made.close()


def verified(database: Database, received: ReceivedRequest) -> Any:
    """Check the signature of a request for its own timestamp, and return the body."""
    secret = Webhook(signing_secret(database, ""))
    signed_at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
    signed = secret.sign(received.headers["webhook-id"], signed_at, received.body.decode())
    assert received.headers["webhook-signature"] == signed
    return json.loads(received.body)


def test_the_end_of_a_job_is_delivered_once_and_signed(
    database: Database, fetcher: Fetcher, receiver: Receiver
) -> None:
    job_id = end_job(database, receiver.url, now=utc_now())
    courier = Courier(database, fetcher)
    assert courier.run_pending() == 1
    assert courier.run_pending() == 0
    (received,) = receiver.received
    body = Webhook(signing_secret(database, "")).verify(received.body, received.headers)
    with database.reading() as session:
        job = session.get_one(Job, job_id)
        data = job_out(job).model_dump(mode="json")
        assert job.finished_at is not None
    assert body == {"type": "job.completed", "timestamp": rfc3339(job.finished_at), "data": data}
    assert received.headers["content-type"] == "application/json"
    stored = delivery(database)
    assert (stored.id, stored.status, stored.attempts) == (receiver.ids[0], DeliveryStatus.DELIVERED, 1)
    assert (stored.last_status, stored.last_error, stored.next_attempt_at) == (204, None, None)
    assert stored.delivered_at is not None


def test_a_failed_delivery_is_repeated_with_the_same_id_and_body_and_a_new_timestamp(
    database: Database, courier: Courier, receiver: Receiver, clock: ManualClock[datetime]
) -> None:
    receiver.replies = [Reply(500, body=b"oops" * 100_000)]
    end_job(database, receiver.url)
    assert courier.run_pending() == 1
    stored = delivery(database)
    assert (stored.status, stored.last_status) == (DeliveryStatus.PENDING, 500)
    assert stored.last_error == "expected a 2xx, got 500"
    clock.now += BACKOFF[0] * (1 - JITTER) - timedelta(milliseconds=1)
    assert courier.run_pending() == 0
    clock.now += BACKOFF[0] * 2 * JITTER + timedelta(milliseconds=2)
    assert courier.run_pending() == 1
    first, second = receiver.received
    assert verified(database, first) == verified(database, second)
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert int(second.headers["webhook-timestamp"]) > int(first.headers["webhook-timestamp"])
    assert delivery(database).status == DeliveryStatus.DELIVERED


def test_a_delivery_fails_after_a_day_of_attempts(
    database: Database, courier: Courier, receiver: Receiver, clock: ManualClock[datetime]
) -> None:
    receiver.replies = [Reply(404)] * 20
    end_job(database, receiver.url)
    for pause in BACKOFF:
        assert courier.run_pending() == 1
        due_at = delivery(database).next_attempt_at
        assert due_at is not None
        assert pause * (1 - JITTER) <= due_at - clock.now <= pause * (1 + JITTER)
        clock.now = due_at
    assert courier.run_pending() == 1
    stored = delivery(database)
    assert (stored.status, stored.attempts, stored.next_attempt_at) == (DeliveryStatus.FAILED, 8, None)
    assert timedelta(hours=18) < clock.now - NOW < timedelta(hours=30)
    assert len(receiver.received) == 8


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [
        ("1", BACKOFF[0]),
        ("600", timedelta(minutes=10)),
        (format_datetime(NOW + timedelta(minutes=20), usegmt=True), timedelta(minutes=20)),
        ("99999999999999999999", MAX_RETRY_AFTER),
        ("soon", BACKOFF[0]),
        ("-5", BACKOFF[0]),
    ],
)
def test_retry_after_of_a_receiver_is_obeyed_up_to_a_limit(
    database: Database,
    courier: Courier,
    receiver: Receiver,
    clock: ManualClock[datetime],
    retry_after: str,
    expected: timedelta,
) -> None:
    receiver.replies = [Reply(503, headers={"Retry-After": retry_after})]
    end_job(database, receiver.url)
    courier.run_pending()
    due_at = delivery(database).next_attempt_at
    assert due_at is not None
    assert expected * (1 - JITTER) <= due_at - clock.now <= expected * (1 + JITTER)


def test_410_disables_the_webhook_of_the_job_and_a_replay_enables_it_again(
    database: Database, courier: Courier, receiver: Receiver
) -> None:
    receiver.replies = [Reply(410)]
    job_id = end_job(database, receiver.url, outcome=FAILED)
    courier.run_pending()
    assert delivery(database).status == DeliveryStatus.DISABLED
    end_again(database, job_id, FAILED)
    assert courier.run_pending() == 0
    first, second = deliveries(database)
    assert (second.status, second.attempts) == (DeliveryStatus.DISABLED, 0)
    # Other jobs with the same receiver are still delivered.
    end_job(database, receiver.url)
    assert courier.run_pending() == 1
    with database.writing() as session:
        assert webhooks.replay(session, job_id, second.id, NOW) is not None
    assert courier.run_pending() == 1
    end_again(database, job_id)
    assert courier.run_pending() == 1
    assert first.id in receiver.ids
    assert len(receiver.ids) == len(set(receiver.ids)) == 4


def test_410_also_disables_pending_deliveries_of_the_job(
    database: Database, courier: Courier, receiver: Receiver
) -> None:
    receiver.replies = [Reply(500), Reply(410)]
    job_id = end_job(database, receiver.url, outcome=FAILED)
    courier.run_pending()
    end_again(database, job_id)
    courier.run_pending()
    assert [stored.status for stored in deliveries(database)] == [DeliveryStatus.DISABLED] * 2


def test_a_redirect_is_not_followed(database: Database, courier: Courier, receiver: Receiver) -> None:
    receiver.replies = [Reply(307, headers={"Location": receiver.url + "/elsewhere"})]
    end_job(database, receiver.url)
    courier.run_pending()
    assert [received.path for received in receiver.received] == ["/hook"]
    stored = delivery(database)
    assert (stored.status, stored.last_status) == (DeliveryStatus.PENDING, 307)
    assert "not followed" in str(stored.last_error)


def test_a_receiver_with_a_private_ip_address_is_never_connected_to(database: Database, receiver: Receiver) -> None:
    end_job(database, receiver.url)
    connections: list[str] = []
    receiver.on_request = lambda received: connections.append(received.path)
    with Fetcher() as guarded:
        assert Courier(database, guarded).run_pending() == 1
    assert connections == []
    stored = delivery(database)
    assert (stored.status, stored.last_status, stored.next_attempt_at) == (DeliveryStatus.FAILED, None, None)
    assert str(stored.last_error).startswith("blocked_address: ")


def test_a_receiver_that_is_down_is_retried(database: Database, courier: Courier) -> None:
    with socket.socket() as bound:
        # The port is bound but not listening, so no other process can answer there.
        bound.bind(("127.0.0.1", 0))
        end_job(database, f"http://127.0.0.1:{bound.getsockname()[1]}/")
        courier.run_pending()
    stored = delivery(database)
    assert (stored.status, stored.last_status, stored.attempts) == (DeliveryStatus.PENDING, None, 1)
    assert str(stored.last_error).startswith("fetch_failed: ")


def test_a_delivery_of_a_killed_worker_is_delivered_after_its_lease(
    database: Database, courier: Courier, receiver: Receiver, clock: ManualClock[datetime]
) -> None:
    end_job(database, receiver.url)
    with database.writing() as session:
        killed = webhooks.take(session, clock.now)
    assert killed is not None
    clock.now += LEASE - timedelta(milliseconds=1)
    assert courier.run_pending() == 0
    clock.now += timedelta(milliseconds=1)
    assert courier.run_pending() == 1
    assert receiver.ids == [killed.delivery_id]
    with database.writing() as session:
        # The worker was not killed but stopped, and its late answer is ignored.
        assert webhooks.record_attempt(session, killed, Answer(500), clock.now) is None
    assert delivery(database).status == DeliveryStatus.DELIVERED


def test_a_replay_has_the_same_id_and_the_same_body(database: Database, courier: Courier, receiver: Receiver) -> None:
    job_id = end_job(database, receiver.url, outcome=FAILED)
    courier.run_pending()
    end_again(database, job_id)
    first = deliveries(database)[0]
    with database.writing() as session:
        assert webhooks.replay(session, job_id, first.id, NOW) is not None
    assert courier.run_pending() == 2
    original, replayed = (received for received in receiver.received if received.headers["webhook-id"] == first.id)
    assert original.body == replayed.body


def test_a_job_that_ends_twice_is_delivered_twice_under_two_ids(
    database: Database, courier: Courier, receiver: Receiver
) -> None:
    job_id = end_job(database, receiver.url, outcome=FAILED)
    courier.run_pending()
    end_again(database, job_id)
    courier.run_pending()
    bodies = [verified(database, received)["data"] for received in receiver.received]
    assert [(body["id"], body["counts"]["failed"], body["counts"]["succeeded"]) for body in bodies] == [
        (job_id, 1, 0),
        (job_id, 0, 1),
    ]
    assert len(set(receiver.ids)) == 2


def test_no_transaction_is_open_while_the_courier_waits_for_the_receiver(
    database: Database, courier: Courier, receiver: Receiver
) -> None:
    def write(_: ReceivedRequest) -> None:
        with database.writing() as session:
            session.add(Blob(sha256="e" * 64, bytes=1, created_at=NOW))

    receiver.on_request = write
    end_job(database, receiver.url)
    assert courier.run_pending() == 1
    assert delivery(database).status == DeliveryStatus.DELIVERED
    with database.reading() as session:
        assert session.get(Blob, "e" * 64) is not None


def test_a_receiver_that_does_not_answer_does_not_delay_others(
    database: Database, courier: Courier, receiver: Receiver
) -> None:
    other_came = threading.Event()

    def wait_for_other(received: ReceivedRequest) -> None:
        if received.headers["webhook-id"] == receiver.ids[0]:
            assert other_came.wait(10)
        else:
            other_came.set()

    receiver.on_request = wait_for_other
    for _ in range(2):
        end_job(database, receiver.url)
    courier.wake()
    assert other_came.wait(10)
    courier.close()
    assert {stored.status for stored in deliveries(database)} == {DeliveryStatus.DELIVERED}


def test_concurrent_couriers_deliver_everything_once(
    database: Database, fetcher: Fetcher, receiver: Receiver, clock: ManualClock[datetime]
) -> None:
    for _ in range(12):
        end_job(database, receiver.url)
    couriers = [Courier(database, fetcher, clock=clock) for _ in range(3)]
    together([courier.run_pending for courier in couriers])
    assert sorted(receiver.ids) == [stored.id for stored in deliveries(database)]
    assert {stored.status for stored in deliveries(database)} == {DeliveryStatus.DELIVERED}
