"""Links that let people without a key read one job."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base


class Share(Base):
    """A link to one job. Instead of its token, only a digest is stored."""

    __tablename__ = "shares"
    __table_args__ = (Index(None, "job_id", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """A fast hash is enough, because a token of 256 random bits cannot be guessed."""
    key_id: Mapped[str | None] = mapped_column(String(40))
    """The key that created the link. None if the request had no key."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
