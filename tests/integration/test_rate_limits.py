"""Rate limits of keys, and of IP addresses that guess keys."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from api.app import LookbookApp
from api.door.limits import REDIS_PAUSE_SECONDS, RateLimit, RequestCounter
from core.settings import Settings
from tests.conftest import RunningRedis
from tests.integration.apps import bearer, blobs_on_disk, body_of, refused, services_of, serving, upload_with
from tests.integration.builders import a_key


def statuses(client: FlaskClient, key: str, times: int, path: str = "/v1/jobs") -> list[int]:
    return [client.get(path, headers=bearer(key)).status_code for _ in range(times)]


def test_all_processes_share_the_rate_limit_of_a_key(settings: Settings, redis: RunningRedis, app: LookbookApp) -> None:
    _, key = a_key(services_of(app).database, rate_limit=5)
    _, other = a_key(services_of(app).database)
    shared = settings.with_changes(redis_url=redis.url)
    with serving(shared) as first_app, serving(shared) as second_app:
        first, second = first_app.test_client(), second_app.test_client()
        assert statuses(first, key, 3) + statuses(second, key, 3) == [200] * 5 + [429]
        answer = first.get("/v1/jobs", headers=bearer(key))
        refused(answer, 429, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["RateLimit-Remaining"] == "0"
        assert statuses(first, other, 1) == [200]


def test_answers_contain_the_remaining_requests(settings: Settings, redis: RunningRedis, app: LookbookApp) -> None:
    _, key = a_key(services_of(app).database)
    with serving(settings.with_changes(redis_url=redis.url, rate_limit=70)) as made:
        client = made.test_client()
        left = [client.get("/v1/models", headers=bearer(key)).headers["RateLimit-Remaining"] for _ in range(3)]
        assert left == ["69", "68", "67"]
        answer = client.get("/v1/models", headers=bearer(key))
        assert answer.headers["RateLimit-Limit"] == "70"
        assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60
        assert body_of(client.get("/v1/usage", headers=bearer(key)))["rate_limit"] == 70


def test_each_process_counts_requests_itself_without_redis(app: LookbookApp, client: FlaskClient) -> None:
    _, key = a_key(services_of(app).database, rate_limit=3)
    assert statuses(client, key, 4) == [200, 200, 200, 429]


def test_requests_are_counted_locally_when_redis_ends(
    settings: Settings, redis: RunningRedis, app: LookbookApp
) -> None:
    _, key = a_key(services_of(app).database, rate_limit=2)
    with serving(settings.with_changes(redis_url=redis.url)) as made:
        client = made.test_client()
        assert statuses(client, key, 1) == [200]
        redis.stop()
        assert statuses(client, key, 3) == [200, 200, 429]


def test_requests_are_counted_in_redis_again_once_it_answers(
    redis: RunningRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("api.door.limits.time.monotonic", lambda: now)
    counter, limit = RequestCounter(redis.url), RateLimit("key_1", 2)
    assert counter.allow(limit)
    redis.connection.client_pause(60_000, all=False)
    assert [counter.allow(limit) for _ in range(3)] == [True, True, False]
    redis.connection.client_unpause()
    now += REDIS_PAUSE_SECONDS
    assert [counter.allow(limit) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("unlimited", ["open", "setting"])
def test_requests_without_a_limit_are_not_counted(settings: Settings, app: LookbookApp, unlimited: str) -> None:
    key = None if unlimited == "open" else a_key(services_of(app).database)[1]
    with serving(settings.with_changes(rate_limit=0 if unlimited == "setting" else 1)) as made:
        client = made.test_client()
        for _ in range(3):
            answer = client.get("/v1/jobs", headers=bearer(key) if key else {})
            assert answer.status_code == 200
            assert "RateLimit-Limit" not in answer.headers


def guess(client: FlaskClient, address: str, times: int = 1, key: str = "lb_wrong") -> list[int]:
    """Send a key from an address that a trusted proxy reports, and return the statuses."""
    headers = bearer(key) | {"X-Forwarded-For": address}
    return [client.get("/v1/jobs", headers=headers).status_code for _ in range(times)]


def test_guessing_keys_is_slowed_for_each_address_and_never_locks_out_a_valid_key(
    settings: Settings, redis: RunningRedis, app: LookbookApp
) -> None:
    _, key = a_key(services_of(app).database)
    shared = settings.with_changes(redis_url=redis.url, proxies=1, wrong_keys=4)
    with serving(shared) as first_app, serving(shared) as second_app:
        first, second = first_app.test_client(), second_app.test_client()
        # Both processes count together.
        assert guess(first, "192.0.2.1", 2) + guess(second, "192.0.2.1", 3) == [401] * 4 + [429]
        answer = first.get("/v1/jobs", headers=bearer("lb_wrong") | {"X-Forwarded-For": "192.0.2.1"})
        refused(answer, 429, "rate_limited")
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        # A client chooses freely among the addresses of its IPv6 network. Only the last proxy's word counts.
        assert guess(first, "2001:db8::1", 2) + guess(second, "2001:db8::ffff:2", 3) == [401] * 4 + [429]
        assert guess(first, "198.51.100.7, 192.0.2.1") == guess(first, "::ffff:192.0.2.1") == [429]
        # Others, and everyone with a valid key, are not affected.
        assert guess(first, "2001:db8:0:1::1") == guess(second, "192.0.2.2") == [401]
        assert guess(first, "192.0.2.1", key=key) == guess(second, "192.0.2.2", key=key) == [200]


def test_a_key_without_quota_is_refused_before_its_pictures_are_stored(
    app: LookbookApp, client: FlaskClient, settings: Settings
) -> None:
    _, key = a_key(services_of(app).database, quota=0)
    refused(upload_with(client, key), 429, "quota_exceeded")
    single = client.post("/v1/classifications", data=b"x", content_type="image/jpeg", headers=bearer(key))
    refused(single, 429, "quota_exceeded")
    assert blobs_on_disk(settings) == []
