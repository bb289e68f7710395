"""Usage: count the jobs and items that each owner submits on each day, and check the quotas of keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from core.errors import QuotaExceeded
from db.bulk import AddToRows
from db.tables import ApiKey, UsageDay

NO_OWNER = ""
"""The owner of jobs that were submitted without a key."""

_USAGE = cast(Table, UsageDay.__table__)
_ADD = AddToRows(_USAGE, ("jobs", "items"))


@dataclass(frozen=True, slots=True)
class Usage:
    """The jobs and items that an owner submitted in a period."""

    jobs: int = 0
    items: int = 0


def add(session: Session, owner: str | None, now: datetime, *, jobs: int = 0, items: int = 0) -> None:
    """Add the jobs and items that this transaction stores to the owner's usage of the day.

    Call it last in the transaction, because it locks the owner's row of the day until the commit.

    Raises:
        QuotaExceeded: The owner has fewer pictures left this month than `items`. The caller stores none of them.
    """
    row = {"owner": owner or NO_OWNER, "day": now.astimezone(UTC).date(), "jobs": jobs, "items": items}
    _ADD.execute(session, [row])
    quota = quota_of(session, owner) if items > 0 else None
    if quota is None:
        return
    used = read_month(session, owner, now).items
    if used > quota:
        left = max(quota - (used - items), 0)
        detail = f"The owner of this key may submit {left:,} more pictures this month. You sent {items:,}."
        raise QuotaExceeded(detail, left)


def check_quota(session: Session, owner: str | None, now: datetime) -> None:
    """Check that an owner may submit at least one more picture, before the body of the request is read.

    Raises:
        QuotaExceeded: The owner has no pictures left this month.
    """
    quota = quota_of(session, owner)
    if quota is not None and read_month(session, owner, now).items >= quota:
        raise QuotaExceeded(f"The {quota:,} pictures of this month are used up.")


def quota_of(session: Session, owner: str | None) -> int | None:
    """Return how many pictures an owner may submit in a calendar month. None: no limit.

    It is that of the owner's newest key. Keys that are not revoked come first.
    """
    if owner is None:
        return None
    newest = select(ApiKey.quota).order_by(ApiKey.revoked_at.is_not(None), ApiKey.id.desc()).limit(1)
    return session.scalar(newest.where(ApiKey.owner == owner))


def read_month(session: Session, owner: str | None, now: datetime) -> Usage:
    """Return the usage of an owner in the current calendar month (UTC)."""
    return _sum(session, owner, now.astimezone(UTC).date().replace(day=1))


def read_day(session: Session, owner: str | None, now: datetime) -> Usage:
    """Return the usage of an owner today (UTC)."""
    return _sum(session, owner, now.astimezone(UTC).date())


def list_days(session: Session, owner: str | None, now: datetime, days: int) -> Sequence[UsageDay]:
    """Return those of the last `days` days on which an owner submitted something, oldest first."""
    since = now.astimezone(UTC).date() - timedelta(days=days - 1)
    of_owner = UsageDay.owner == (owner or NO_OWNER)
    return session.scalars(select(UsageDay).where(of_owner, UsageDay.day >= since).order_by(UsageDay.day)).all()


def next_month_start(now: datetime) -> datetime:
    """Return when quotas start anew: the first moment of the next calendar month (UTC)."""
    first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _sum(session: Session, owner: str | None, since: date) -> Usage:
    of_owner = UsageDay.owner == (owner or NO_OWNER)
    query = select(func.sum(UsageDay.jobs), func.sum(UsageDay.items)).where(of_owner, UsageDay.day >= since)
    jobs, items = session.execute(query).one()
    return Usage(int(jobs or 0), int(items or 0))
