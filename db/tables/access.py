"""Who may do what, how much of it was done, and what was answered before."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class ApiKey(Base):
    """A key, without its secret: only a digest of that is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    """Enough for a secret of 256 random bits: what nobody can guess need not be slow to check."""
    scopes: Mapped[list[Any]]
    """Values of `Scope`."""
    rate_limit: Mapped[int | None]
    """Requests per minute; None: as the settings say."""
    quota: Mapped[int | None]
    """Pictures per calendar month (UTC); None: any number."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class UsageDay(Base):
    """What one owner submitted on one day (UTC)."""

    __tablename__ = "usage_days"

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """The id of a key; empty for whoever needed none (a value rather than NULL, so that unique keys hold)."""
    day: Mapped[date] = mapped_column(primary_key=True)
    jobs: Mapped[int] = mapped_column(default=0)
    items: Mapped[int] = mapped_column(default=0)


class IdempotentRequest(Base):
    """A POST with an `Idempotency-Key`: what it was, and what was answered once it was."""

    __tablename__ = "idempotent_requests"
    __table_args__ = (Index(None, "due_at"),)

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """As in `UsageDay`: each key has its own."""
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of method, path and payload; None while they are still coming in."""
    job_id: Mapped[str | None] = mapped_column(String(40))
    """The job that it made, from the moment when that is stored."""
    status: Mapped[int | None]
    """The status of HTTP that was answered; None while the first request is still running."""
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    """Running: when it counts as broken off unless that is renewed. Answered: when it is forgotten."""
