"""Webhooks in the API: how they are accepted, listed and replayed.

The courier runs in this process, and the receiver is a server on loopback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from api.app import LookbookApp
from core.clock import utc_now
from core.fetching import Fetcher
from core.settings import Settings
from db.tables import Delivery
from tests.answering import Reply
from tests.conftest import RunningRedis
from tests.integration.apps import prepare, services_of, serving
from tests.receiver import Receiver, receiver
from worker.maintenance.courier import Courier

__all__ = ["receiver"]


@pytest.fixture
def app(settings: Settings) -> Iterator[LookbookApp]:
    prepare(settings)
    with serving(settings.with_changes(fetch_allow="127.0.0.0/8")) as made:
        yield made


@pytest.fixture
def courier(app: LookbookApp) -> Iterator[Courier]:
    with Fetcher(allow=[ip_network("127.0.0.0/8")]) as fetcher:
        yield Courier(services_of(app).database, fetcher)


def submit(client: FlaskClient, webhook: str | None = None, content: bytes = b"") -> TestResponse:
    """Submit a job of one file. An empty file is refused, so that the job ends at once."""
    form = "" if webhook is None else _part('name="webhook"', webhook.encode())
    body = form + _part('name="images"; filename="a.jpg"', content) + "--x--\r\n"
    return client.post("/v1/jobs", data=body.encode(), content_type="multipart/form-data; boundary=x")


def _part(disposition: str, content: bytes) -> str:
    return f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content.decode()}\r\n"


def submitted(client: FlaskClient, receiver: Receiver) -> dict[str, Any]:
    answer = submit(client, json.dumps({"url": receiver.url}))
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.get_json()
    return job


def test_the_body_of_a_webhook_contains_the_job_as_the_api_shows_it(
    client: FlaskClient, courier: Courier, receiver: Receiver
) -> None:
    job = submitted(client, receiver)
    assert courier.run_pending() == 1
    body = json.loads(receiver.received[0].body)
    assert body["data"] == client.get(job["links"]["self"]).get_json()
    assert (body["type"], body["timestamp"]) == ("job.completed", body["data"]["finished_at"])


def test_a_webhook_whose_job_ended_while_a_clock_was_ahead_is_sent_at_once(
    app: LookbookApp, client: FlaskClient, courier: Courier, receiver: Receiver
) -> None:
    submitted(client, receiver)
    with services_of(app).database.writing() as session:
        session.execute(update(Delivery).values(next_attempt_at=utc_now() + timedelta(hours=4)))
    assert courier.run_pending() == 1
    assert len(receiver.received) == 1


def test_deliveries_are_listed_with_their_outcome(client: FlaskClient, courier: Courier, receiver: Receiver) -> None:
    receiver.replies = [Reply(503)]
    job = submitted(client, receiver)
    courier.run_pending()
    (row,) = client.get(job["links"]["deliveries"]).get_json()["data"]
    assert row["next_attempt_at"] > row["created_at"]
    fixed = {name: row[name] for name in row if not name.endswith("_at")}
    assert fixed == {
        "id": receiver.ids[0],
        "job_id": job["id"],
        "event": "job.completed",
        "url": receiver.url,
        "status": "pending",
        "attempts": 1,
        "last_status": 503,
        "last_error": "expected a 2xx, got 503",
    }
    assert row["delivered_at"] is None


def test_a_replay_sends_the_same_message_again(client: FlaskClient, courier: Courier, receiver: Receiver) -> None:
    job = submitted(client, receiver)
    courier.run_pending()
    path = f"{job['links']['deliveries']}/{receiver.ids[0]}/replay"
    answer = client.post(path)
    assert (answer.status_code, answer.get_json()["status"]) == (202, "pending")
    assert courier.run_pending() == 1
    first, second = receiver.received
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    (row,) = client.get(job["links"]["deliveries"]).get_json()["data"]
    assert (row["status"], row["attempts"]) == ("delivered", 1)


def test_the_end_of_a_job_and_a_replay_queue_a_delivery_at_once(
    settings: Settings, redis: RunningRedis, app: LookbookApp, receiver: Receiver
) -> None:
    with serving(settings.with_changes(redis_url=redis.url, fetch_allow="127.0.0.0/8")) as made:
        client = made.test_client()
        job = submitted(client, receiver)
        assert redis.connection.llen("maintenance") == 1
        (row,) = client.get(job["links"]["deliveries"]).get_json()["data"]
        client.post(f"{job['links']['deliveries']}/{row['id']}/replay")
        assert redis.connection.llen("maintenance") == 2


def test_deliveries_are_listed_in_pages(client: FlaskClient, app: LookbookApp, receiver: Receiver) -> None:
    job = submitted(client, receiver)
    with services_of(app).database.writing() as session:
        first = session.scalars(select(Delivery)).one()
        shared = {"job_id": job["id"], "event": first.event, "url": first.url, "body": "{}"}
        times = {"created_at": first.created_at, "next_attempt_at": first.next_attempt_at}
        session.add_all(Delivery(id=f"dlv_{n}", **shared, **times) for n in range(4))
    path = f"{job['links']['deliveries']}?limit=2"
    seen, cursor = [], ""
    for _ in range(3):
        page = client.get(path + cursor)
        seen += [row["id"] for row in page.get_json()["data"]]
        cursor = f"&cursor={page.get_json()['next_cursor']}"
    assert page.get_json()["next_cursor"] is None
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 5


@pytest.mark.parametrize(
    ("webhook", "pointer", "code", "says"),
    [
        (
            "http://example.com/",
            "/webhook",
            "invalid_request",
            "expected a JSON object with `url` and, optionally, `events`",
        ),
        ("{}", "/webhook/url", "invalid_request", "Field required"),
        ('{"url": "ftp://example.com/"}', "/webhook/url", "fetch_forbidden", "http:// or https://"),
        ('{"url": "http://user:password@example.com/"}', "/webhook/url", "fetch_forbidden", "without a user name"),
        ('{"url": "http://10.0.0.1/"}', "/webhook/url", "blocked_address", "a public IP address"),
        ('{"url": "http://[::ffff:10.0.0.1]/"}', "/webhook/url", "blocked_address", "a public IP address"),
        ('{"url": "http://0x0a000001/"}', "/webhook/url", "blocked_address", "a public IP address"),
        ('{"url": "http://169.254.169.254/latest"}', "/webhook/url", "blocked_address", "a public IP address"),
        ('{"url": "https://example.com/", "events": []}', "/webhook/events", "invalid_request", "at least 1 item"),
        ('{"url": "https://example.com/", "events": ["job.born"]}', "/webhook/events/0", "invalid_request", "job.born"),
        ('{"url": "https://example.com/", "secret": "x"}', "/webhook/secret", "invalid_request", "not permitted"),
    ],
)
def test_a_wrong_webhook_is_answered_with_422_and_a_pointer(
    client: FlaskClient, webhook: str, pointer: str, code: str, says: str
) -> None:
    answer = submit(client, webhook)
    body = json.loads(answer.data)
    assert (answer.status_code, body["code"], body["errors"][0]["pointer"]) == (422, code, pointer)
    assert says in body["detail"]
    assert client.get("/v1/jobs").get_json()["data"] == []


def test_the_host_of_a_webhook_is_not_resolved_at_submission(client: FlaskClient) -> None:
    assert submit(client, '{"url": "https://nowhere.invalid/hook"}').status_code == 202


def test_unknown_jobs_and_deliveries_are_answered_with_404(client: FlaskClient, receiver: Receiver) -> None:
    job, other = submitted(client, receiver), submitted(client, receiver)
    assert client.get("/v1/jobs/job_x/deliveries").get_json()["code"] == "unknown_job"
    assert client.post(f"{job['links']['deliveries']}/dlv_x/replay").get_json()["code"] == "unknown_delivery"
    (row,) = client.get(job["links"]["deliveries"]).get_json()["data"]
    assert client.post(f"{other['links']['deliveries']}/{row['id']}/replay").status_code == 404


def test_a_job_without_a_webhook_has_no_deliveries(client: FlaskClient) -> None:
    job = submit(client).get_json()
    assert client.get(job["links"]["deliveries"]).get_json() == {"data": [], "next_cursor": None}
