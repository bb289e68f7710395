"""Keys and usage: what the database keeps of them, and how the API asks for them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import LookbookApp, create_app
from api.callers import Callers
from api.limits import FAILURES
from api.server import check_exposure
from api.services import EXTENSION, Services
from core.clock import utc_now
from core.errors import QuotaExceeded, SettingsError
from core.settings import Settings
from db import jobs, keys, usage
from db.engine import Database
from db.jobs import NewItem, NewJob
from db.migrate import upgrade
from db.models import JobSource, Scope
from tests.conftest import SAMPLES, RunningRedis
from tests.integration.builders import NOW, a_blob, a_model, together

READER = [Scope.READ]


def a_key(database: Database, *scopes: Scope, name: str = "test", **limits: int) -> tuple[str, str]:
    """A new key's id, and how it is written."""
    with database.writing() as session:
        key, written = keys.create(session, name, scopes or [Scope.SUBMIT, Scope.READ], NOW, **limits)
        return key.id, written


def test_a_key_is_known_by_its_secret_and_only_a_digest_is_kept(database: Database) -> None:
    key_id, written = a_key(database, Scope.READ, rate_limit=7)
    assert re.fullmatch(r"lb_[0-9a-z]{26}_[2-7a-z]{52}", written)
    with database.reading() as session:
        caller = keys.caller_of(session, written)
        row = keys.get(session, key_id)
    assert caller is not None
    assert (caller.key_id, caller.scopes, caller.rate_limit) == (key_id, {Scope.READ}, 7)
    assert row is not None
    assert written.rpartition("_")[2] not in str(vars(row))


@pytest.mark.parametrize("change", ["secret", "id", "cut", "prefix", "empty", "nul"])
def test_a_key_that_is_not_quite_right_is_nobodys(database: Database, change: str) -> None:
    _, written = a_key(database)
    _, other = a_key(database)
    prefix, id_part, secret = written.split("_")
    wrong = {
        "secret": f"{prefix}_{id_part}_{other.rpartition('_')[2]}",
        "id": f"{prefix}_{'0' * 26}_{secret}",
        "cut": written[:-1],
        "prefix": f"sk_{id_part}_{secret}",
        "empty": "",
        "nul": f"{prefix}_\0_{secret}",
    }[change]
    with database.reading() as session:
        assert keys.caller_of(session, wrong) is None


def test_a_revoked_key_is_nobodys_and_stays_in_the_list(database: Database) -> None:
    key_id, written = a_key(database)
    with database.writing() as session:
        assert keys.revoke(session, key_id, NOW)
        assert keys.revoke(session, key_id, NOW + timedelta(days=1))
        assert not keys.revoke(session, "key_unknown", NOW)
    with database.reading() as session:
        assert keys.caller_of(session, written) is None
        assert keys.caller_of_id(session, key_id) is None
        assert [key.revoked_at for key in keys.list_newest(session)] == [NOW]
        assert keys.any_exist(session)


def test_the_use_of_a_key_is_noted_once_a_minute(database: Database) -> None:
    key_id, _ = a_key(database)
    noted = []
    for seconds in (0, 30, 60, 90):
        with database.writing() as session:
            keys.note_use(session, key_id, NOW + timedelta(seconds=seconds))
        with database.reading() as session:
            row = keys.get(session, key_id)
            assert row is not None
            noted.append(row.last_used_at)
    assert noted == [NOW, NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=60)]


def submit(database: Database, key_id: str | None, pictures: int, now: datetime = NOW) -> str:
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), key_id=key_id)
        return jobs.create(session, new, [NewItem("a.jpg", a_blob("a"))] * pictures, now).id


def used(database: Database, key_id: str | None, now: datetime = NOW) -> tuple[tuple[int, int], tuple[int, int]]:
    """(jobs, pictures) of the day, and of the month."""
    with database.reading() as session:
        day, month = usage.of_day(session, key_id, now), usage.of_month(session, key_id, now)
    return (day.jobs, day.items), (month.jobs, month.items)


def test_usage_is_counted_by_owner_and_day(database: Database) -> None:
    key_id, _ = a_key(database)
    yesterday = NOW - timedelta(days=1)
    submit(database, key_id, 3, yesterday)
    submit(database, key_id, 2)
    submit(database, key_id, 1)
    submit(database, None, 5)
    assert used(database, key_id) == ((2, 3), (3, 6))
    assert used(database, None) == ((1, 5), (1, 5))
    next_month = datetime(2026, 2, 1, tzinfo=UTC)
    assert used(database, key_id, next_month) == ((0, 0), (0, 0))
    with database.reading() as session:
        rows = usage.by_day(session, key_id, NOW, 30)
    assert [(row.day, row.items) for row in rows] == [(yesterday.date(), 3), (NOW.date(), 3)]


def test_what_is_withdrawn_does_not_count(database: Database) -> None:
    key_id, _ = a_key(database)
    job_id = submit(database, key_id, 3)
    with database.writing() as session:
        jobs.withdraw(session, job_id)
    assert used(database, key_id) == ((0, 0), (0, 0))


def test_more_than_the_quota_is_refused_whole_and_what_fits_is_not(database: Database) -> None:
    key_id, _ = a_key(database, quota=5)
    submit(database, key_id, 3)
    with pytest.raises(QuotaExceeded, match="at most 2 more"):
        submit(database, key_id, 3)
    submit(database, key_id, 2)
    with pytest.raises(QuotaExceeded), database.reading() as session:
        usage.check(session, key_id, NOW)
    assert used(database, key_id) == ((2, 5), (2, 5))
    submit(database, key_id, 5, datetime(2026, 2, 1, tzinfo=UTC))


def test_submissions_at_the_same_time_do_not_pass_the_quota_together(database: Database) -> None:
    key_id, _ = a_key(database, quota=5)
    refused = []

    def one() -> None:
        try:
            submit(database, key_id, 2)
        except QuotaExceeded as error:
            refused.append(error)

    submit(database, None, 1)
    together([one] * 6)
    assert len(refused) == 4
    assert used(database, key_id)[0] == (2, 4)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_month_ends_where_the_next_begins(moment: datetime, end: datetime) -> None:
    assert usage.month_end(moment) == end


# The API


@pytest.fixture
def app(settings: Settings) -> Iterator[LookbookApp]:
    database = Database(settings.resolved_database_url)
    upgrade(database)
    with database.writing() as session:
        a_model(session)
    database.close()
    made = create_app(settings)
    yield made
    close(made)


def services_of(app: LookbookApp) -> Services:
    found: Services = app.extensions[EXTENSION]
    return found


def close(app: LookbookApp) -> None:
    services_of(app).database.close()
    services_of(app).broker.close()


@pytest.fixture
def client(app: LookbookApp) -> FlaskClient:
    return app.test_client()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def make(client: FlaskClient, key: str | None = None, **wanted: Any) -> dict[str, Any]:
    response = client.post("/v1/keys", json={"name": "test", **wanted}, headers=bearer(key) if key else {})
    assert response.status_code == 201
    body: dict[str, Any] = response.json
    return body


def refused(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = response.get_json(force=True)
    assert (response.status_code, body["code"]) == (status, code)
    return body


def test_the_service_is_open_until_the_first_key_is_made(client: FlaskClient) -> None:
    assert client.get("/v1/jobs").status_code == 200
    key = make(client, scopes=["admin"])["key"]
    answer = client.get("/v1/jobs")
    refused(answer, 401, "key_required")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    assert client.get("/v1/jobs", headers=bearer(key)).status_code == 200


def test_a_key_that_is_made_elsewhere_closes_the_service_within_a_second(app: LookbookApp, client: FlaskClient) -> None:
    assert client.get("/v1/jobs").status_code == 200
    a_key(services_of(app).database)
    services_of(app).callers.forget()
    refused(client.get("/v1/jobs"), 401, "key_required")


def test_a_bad_key_is_refused_even_where_none_is_needed(client: FlaskClient) -> None:
    answer = client.get("/v1/jobs", headers=bearer("lb_1_2"))
    refused(answer, 401, "invalid_key")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("host", ["shop.example", "shop.example:8000", "127.0.0.1.shop.example", "10.0.0.1:8000"])
def test_an_open_service_that_is_asked_by_another_name_wants_a_key(client: FlaskClient, host: str) -> None:
    refused(client.get("/v1/jobs", headers={"Host": host}), 401, "key_required")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "127.1.2.3"])
def test_an_open_service_knows_the_names_of_this_machine(client: FlaskClient, host: str) -> None:
    assert client.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_told_so_it_serves_anyone_and_keys_still_own_what_they_make(settings: Settings, app: LookbookApp) -> None:
    _, key = a_key(services_of(app).database)
    other = create_app(settings.having(no_auth=True, host="0.0.0.0"))
    client = other.test_client()
    job = submitted(client, key)
    assert client.get("/v1/jobs", headers={"Host": "shop.example"}).json["data"][0]["id"] == job["id"]
    close(other)


def submitted(client: FlaskClient, key: str, pictures: int = 1) -> dict[str, Any]:
    response = upload(client, key, pictures)
    assert response.status_code == 202, response.text
    body: dict[str, Any] = response.json
    return body


def upload(client: FlaskClient, key: str, pictures: int = 1, **headers: str) -> TestResponse:
    data = (SAMPLES / "t-shirt-red.jpg").read_bytes()
    files = [(io.BytesIO(data), f"{n}.jpg") for n in range(pictures)]
    return client.post("/v1/jobs", data={"images": files}, headers=bearer(key) | headers)


def test_a_key_is_shown_once(client: FlaskClient) -> None:
    made = make(client, name="first", scopes=["admin"], rate_limit=10, quota=20)
    key = made.pop("key")
    answer = client.get("/v1/keys", headers=bearer(key))
    assert answer.json == {"data": [made], "next_cursor": None}
    assert key.rpartition("_")[2] not in answer.text
    assert (made["rate_limit"], made["quota"], made["last_used_at"]) == (10, 20, None)


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "a\nb"}, {"scopes": []}, {"scopes": ["all"]}, {"rate_limit": 0}, {"quota": -1}, {"x": 1}],
)
def test_keys_that_make_no_sense_are_refused(client: FlaskClient, wrong: dict[str, Any]) -> None:
    refused(client.post("/v1/keys", json={"name": "test", **wrong}), 422, "invalid_request")


def test_keys_are_listed_page_by_page(client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    made = {make(client, admin)["id"] for _ in range(4)}
    path, found = "/v1/keys?limit=2", []
    while path:
        page = client.get(path, headers=bearer(admin))
        found += [row["id"] for row in page.json["data"]]
        match = re.match("<(.*)>", page.headers.get("Link", ""))
        path = match[1] if match else ""
    assert len(found) == 5
    assert made < set(found)


def test_a_revoked_key_is_refused(client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    other = make(client, admin)
    assert client.get("/v1/jobs", headers=bearer(other["key"])).status_code == 200
    assert client.delete(f"/v1/keys/{other['id']}", headers=bearer(admin)).status_code == 204
    refused(client.get("/v1/jobs", headers=bearer(other["key"])), 401, "invalid_key")
    assert client.delete(f"/v1/keys/{other['id']}", headers=bearer(admin)).status_code == 204
    refused(client.delete("/v1/keys/key_unknown", headers=bearer(admin)), 404, "unknown_key")


def test_the_last_use_of_a_key_is_shown(app: LookbookApp, client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    before = utc_now()
    client.get("/v1/jobs", headers=bearer(admin)).close()
    key = client.get("/v1/keys", headers=bearer(admin)).json["data"][0]
    assert datetime.fromisoformat(key["last_used_at"]) >= before - timedelta(milliseconds=1)


def test_each_owner_has_idempotency_keys_of_its_own(app: LookbookApp, client: FlaskClient) -> None:
    made = [a_key(services_of(app).database)[1] for _ in range(2)]
    first, second = (upload(client, key, **{"Idempotency-Key": "the same"}) for key in made)
    assert first.json["id"] != second.json["id"]
    again = upload(client, made[0], **{"Idempotency-Key": "the same"})
    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (first.json["id"], "true")


def test_usage_tells_a_key_of_itself(client: FlaskClient) -> None:
    admin = make(client, scopes=["admin"])["key"]
    made = make(client, admin, scopes=["submit"], quota=5)
    submitted(client, made["key"], 3)
    body = client.get("/v1/usage", headers=bearer(made["key"])).json
    assert (body["key_id"], body["quota"], body["left"]) == (made["id"], 5, 2)
    assert body["today"] == {"jobs": 1, "pictures": 3}
    assert len(body["days"]) == 30
    assert body["days"][-1]["pictures"] == 3
    assert client.get("/v1/usage", headers=bearer(admin)).json["month"] == {"jobs": 0, "pictures": 0}


def test_without_keys_usage_is_everyones(client: FlaskClient) -> None:
    body = client.get("/v1/usage").json
    assert (body["key_id"], body["quota"], body["left"], body["rate_limit"]) == (None, None, None, None)


def test_above_the_quota_nothing_is_stored_and_the_answer_says_until_when(
    app: LookbookApp, client: FlaskClient, settings: Settings
) -> None:
    _, key = a_key(services_of(app).database, quota=2)
    submitted(client, key, 1)
    stored = [path for path in settings.blobs_folder.rglob("*") if path.is_file()]
    answer = upload(client, key, 2)
    assert "at most 1 more" in refused(answer, 429, "quota_exceeded")["detail"]
    now = utc_now()
    assert abs(int(answer.headers["Retry-After"]) - (usage.month_end(now) - now).total_seconds()) < 60
    assert [path for path in settings.blobs_folder.rglob("*") if path.is_file()] == stored
    assert len(client.get("/v1/jobs", headers=bearer(key)).json["data"]) == 1


def test_a_key_that_was_found_good_is_read_again_after_a_moment(
    settings: Settings, app: LookbookApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("api.callers.time.monotonic", lambda: now)
    database = services_of(app).database
    callers = Callers(database, settings)
    key_id, written = a_key(database)
    assert callers.of_key(written) is not None
    with database.writing() as session:
        keys.revoke(session, key_id, NOW)
    assert callers.of_key(written) is not None
    now += 2.0
    assert callers.of_key(written) is None


# Where it may listen


def test_other_addresses_are_served_only_once_there_is_a_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, host="0.0.0.0")
    with pytest.raises(SettingsError, match="lookbook keys create"):
        check_exposure(settings)
    assert list(tmp_path.iterdir()) == []
    check_exposure(settings.having(no_auth=True))
    check_exposure(settings.having(host="127.0.0.1"))
    database = Database(settings.resolved_database_url)
    upgrade(database)
    with pytest.raises(SettingsError):
        check_exposure(settings)
    a_key(database)
    check_exposure(settings)
    database.close()


# How often


def statuses(client: FlaskClient, key: str, times: int, path: str = "/v1/jobs") -> list[int]:
    return [client.get(path, headers=bearer(key)).status_code for _ in range(times)]


def test_a_key_may_make_so_many_requests_a_minute_in_all_processes_together(
    settings: Settings, redis: RunningRedis, app: LookbookApp
) -> None:
    _, key = a_key(services_of(app).database, rate_limit=5)
    _, other = a_key(services_of(app).database)
    processes = [create_app(settings.having(redis_url=redis.url)) for _ in range(2)]
    first, second = (process.test_client() for process in processes)
    assert statuses(first, key, 3) + statuses(second, key, 3) == [200] * 5 + [429]
    answer = first.get("/v1/jobs", headers=bearer(key))
    refused(answer, 429, "rate_limited")
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert statuses(first, other, 1) == [200]
    for process in processes:
        close(process)


def test_answers_say_how_much_is_left(settings: Settings, redis: RunningRedis, app: LookbookApp) -> None:
    _, key = a_key(services_of(app).database)
    made = create_app(settings.having(redis_url=redis.url, rate_limit=70))
    client = made.test_client()
    left = [client.get("/v1/models", headers=bearer(key)).headers["RateLimit-Remaining"] for _ in range(3)]
    assert left == ["69", "68", "67"]
    answer = client.get("/v1/models", headers=bearer(key))
    assert answer.headers["RateLimit-Limit"] == "70"
    assert 0 < int(answer.headers["RateLimit-Reset"]) <= 60
    assert client.get("/v1/usage", headers=bearer(key)).json["rate_limit"] == 70
    close(made)


def test_without_redis_every_process_counts_for_itself(app: LookbookApp, client: FlaskClient) -> None:
    _, key = a_key(services_of(app).database, rate_limit=3)
    assert statuses(client, key, 4) == [200, 200, 200, 429]


def test_a_redis_that_goes_away_and_comes_back_is_noticed(
    settings: Settings, redis: RunningRedis, app: LookbookApp
) -> None:
    _, key = a_key(services_of(app).database, rate_limit=2)
    made = create_app(settings.having(redis_url=redis.url))
    client = made.test_client()
    assert statuses(client, key, 1) == [200]
    redis.stop()
    assert statuses(client, key, 3) == [200, 200, 429]
    close(made)


@pytest.mark.parametrize("unlimited", ["open", "setting"])
def test_where_there_is_no_limit_nothing_is_counted(settings: Settings, app: LookbookApp, unlimited: str) -> None:
    key = None if unlimited == "open" else a_key(services_of(app).database)[1]
    made = create_app(settings.having(rate_limit=0 if unlimited == "setting" else 1))
    client = made.test_client()
    for _ in range(3):
        answer = client.get("/v1/jobs", headers=bearer(key) if key else {})
        assert answer.status_code == 200
        assert "RateLimit-Limit" not in answer.headers
    close(made)


def test_an_address_that_tries_keys_is_slowed_down_and_good_keys_are_not(app: LookbookApp, client: FlaskClient) -> None:
    _, key = a_key(services_of(app).database)
    guesses = statuses(client, "lb_wrong", FAILURES + 1)
    assert guesses == [401] * FAILURES + [429]
    answer = client.get("/v1/jobs", headers=bearer("lb_wrong"))
    refused(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) > 0
    assert statuses(client, key, 1) == [200]


def test_a_key_without_quota_is_refused_before_its_pictures_are_taken_in(
    app: LookbookApp, client: FlaskClient, settings: Settings
) -> None:
    _, key = a_key(services_of(app).database, quota=0)
    refused(upload(client, key), 429, "quota_exceeded")
    single = client.post("/v1/classifications", data=b"x", content_type="image/jpeg", headers=bearer(key))
    refused(single, 429, "quota_exceeded")
    assert not any(path.is_file() for path in settings.blobs_folder.rglob("*"))
