"""API keys and their usage in the database."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import QuotaExceeded
from db.access import keys, usage
from db.database import Database
from db.steps import submitting
from db.steps.submitting import NewItem, NewJob
from db.tables import JobSource, Scope
from tests.integration.builders import NOW, a_blob, a_key, a_model, together

READER = [Scope.READ]


def test_a_key_is_recognised_by_its_secret_and_only_a_digest_is_stored(database: Database) -> None:
    key_id, written = a_key(database, Scope.READ, rate_limit=7)
    assert re.fullmatch(r"lb_[0-9a-z]{26}_[2-7a-z]{52}", written)
    with database.reading() as session:
        caller = keys.find_caller(session, written, NOW)
        row = keys.get(session, key_id)
    assert caller is not None
    assert (caller.key_id, caller.scopes, caller.rate_limit) == (key_id, frozenset({Scope.READ}), 7)
    assert row is not None
    assert written.rpartition("_")[2] not in str(vars(row))


@pytest.mark.parametrize("change", ["secret", "id", "cut", "prefix", "empty", "nul"])
def test_a_slightly_wrong_key_is_not_recognised(database: Database, change: str) -> None:
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
        assert keys.find_caller(session, wrong, NOW) is None


def test_a_revoked_key_is_not_recognised_and_stays_listed(database: Database) -> None:
    key_id, written = a_key(database)
    with database.writing() as session:
        assert keys.revoke(session, key_id, NOW)
        assert keys.revoke(session, key_id, NOW + timedelta(days=1))
        assert not keys.revoke(session, "key_unknown", NOW)
    with database.reading() as session:
        assert keys.find_caller(session, written, NOW) is None
        assert keys.find_caller_by_id(session, key_id, NOW) is None
        assert [key.revoked_at for key in keys.list_newest(session)] == [NOW]
        assert keys.any_key_exists(session)


def test_the_use_of_a_key_is_recorded_once_a_minute(database: Database) -> None:
    key_id, _ = a_key(database)
    recorded = []
    for seconds in (0, 30, 60, 90):
        with database.writing() as session:
            keys.note_use(session, key_id, NOW + timedelta(seconds=seconds))
        with database.reading() as session:
            row = keys.get(session, key_id)
            assert row is not None
            recorded.append(row.last_used_at)
    assert recorded == [NOW, NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=60)]


def submit(database: Database, key_id: str | None, pictures: int, now: datetime = NOW) -> str:
    with database.writing() as session:
        new = NewJob("test", JobSource.UPLOADS, a_model(session), key_id=key_id)
        return submitting.create(session, new, [NewItem("a.jpg", a_blob("a"))] * pictures, now).id


def used(database: Database, key_id: str | None, now: datetime = NOW) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the jobs and pictures of the day, and those of the month."""
    with database.reading() as session:
        day, month = usage.read_day(session, key_id, now), usage.read_month(session, key_id, now)
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
        rows = usage.list_days(session, key_id, NOW, 30)
    assert [(row.day, row.items) for row in rows] == [(yesterday.date(), 3), (NOW.date(), 3)]


def test_a_withdrawn_job_does_not_count_as_usage(database: Database) -> None:
    key_id, _ = a_key(database)
    job_id = submit(database, key_id, 3)
    with database.writing() as session:
        submitting.withdraw(session, job_id)
    assert used(database, key_id) == ((0, 0), (0, 0))


def test_a_submission_beyond_the_quota_is_refused_as_a_whole(database: Database) -> None:
    key_id, _ = a_key(database, quota=5)
    submit(database, key_id, 3)
    with pytest.raises(QuotaExceeded, match=r"may submit 2 more pictures this month\. You sent 3"):
        submit(database, key_id, 3)
    submit(database, key_id, 2)
    with pytest.raises(QuotaExceeded), database.reading() as session:
        usage.check_quota(session, key_id, NOW)
    assert used(database, key_id) == ((2, 5), (2, 5))
    submit(database, key_id, 5, datetime(2026, 2, 1, tzinfo=UTC))


def test_concurrent_submissions_do_not_exceed_the_quota_together(database: Database) -> None:
    key_id, _ = a_key(database, quota=5)
    refused = []

    def submit_two_pictures() -> None:
        try:
            submit(database, key_id, 2)
        except QuotaExceeded as error:
            refused.append(error)

    submit(database, None, 1)
    together([submit_two_pictures] * 6)
    assert len(refused) == 4
    assert used(database, key_id)[0] == (2, 4)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_month_ends_at_the_start_of_the_next(moment: datetime, end: datetime) -> None:
    assert usage.next_month_start(moment) == end
