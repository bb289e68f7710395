"""API keys, the usage of their owners, and the answers to idempotent requests."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Index, String, Text, func
from sqlalchemy.orm import Mapped, column_property, mapped_column

from db.tables.base import Base


class ApiKey(Base):
    """An API key. Instead of its secret, only a digest is stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    secret_sha256: Mapped[str] = mapped_column(String(64))
    """A fast hash is enough, because a secret of 256 random bits cannot be guessed."""
    scopes: Mapped[list[Any]]
    """Values of `Scope`."""
    rate_limit: Mapped[int | None]
    """Requests per minute. None: the limit of the settings."""
    quota: Mapped[int | None]
    """Pictures per calendar month (UTC). None: no limit."""
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    joined_owner: Mapped[str | None] = mapped_column(String(40))
    """The owner that the key was created for. None: the key began as its own owner, whose name is the id of the key."""
    expires_at: Mapped[datetime | None]
    """When the key stops working. None: never."""

    owner: Mapped[str] = column_property(func.coalesce(joined_owner, id))
    """The owner of the jobs that are submitted with the key. Several keys can have the same one."""

    def works(self, now: datetime) -> bool:
        """Return whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class EndedSession(Base):
    """A session of a browser that signed out before the session was over. Its cookie is refused."""

    __tablename__ = "ended_sessions"
    __table_args__ = (Index(None, "due_at"),)

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of the token of the session, which is different for each session."""
    due_at: Mapped[datetime]
    """When the session is over by itself. The row is then deleted."""


class UsageDay(Base):
    """The number of jobs and items that one owner submitted on one day (UTC)."""

    __tablename__ = "usage_days"

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`ApiKey.owner`, or the empty string for submissions without a key. A NULL could not be part of a unique key."""
    day: Mapped[date] = mapped_column(primary_key=True)
    jobs: Mapped[int] = mapped_column(default=0)
    items: Mapped[int] = mapped_column(default=0)


class IdempotentRequest(Base):
    """A POST with an `Idempotency-Key`, and its answer as soon as there is one."""

    __tablename__ = "idempotent_requests"
    __table_args__ = (Index(None, "due_at"),)

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """As in `UsageDay`. Two owners can use the same key for different requests."""
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of method, path and payload. None until the payload has been received."""
    job_id: Mapped[str | None] = mapped_column(String(40))
    """The job that the request has stored."""
    status: Mapped[int | None]
    """The HTTP status of the answer. None while the first request is still running."""
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    """While the request runs: when it counts as broken off, unless it is renewed. Then: when the answer is removed."""
