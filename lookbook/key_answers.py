"""The answers of the service about keys and their usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Answer):
    """An API key without its secret."""

    id: str
    name: str
    owner: str
    """Keys with the same owner see the same jobs, and share one quota."""
    scopes: list[str]
    rate_limit: int | None
    """Requests per minute. None: the limit of the service's settings."""
    quota: int | None
    """Pictures per calendar month (UTC). None: no limit."""
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    expires_at: datetime | None
    """When the key stops working. None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey(Key):
    key: str = field(repr=False)
    """The key to send with requests. The service shows it only once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount(Answer):
    jobs: int
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Amount):
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Answer):
    """Jobs and pictures submitted by the owner of this key (without keys: by all clients)."""

    key_id: str | None
    owner: str | None
    rate_limit: int | None
    quota: int | None
    left: int | None
    """Pictures that the quota still allows. None: no limit."""
    resets_at: datetime
    today: Amount
    month: Amount
    days: list[Day]
    """The last 30 days, oldest first."""
