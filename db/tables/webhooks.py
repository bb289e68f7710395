"""The outbox of webhooks, and what this installation keeps to itself."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, enum


class JobEvent(StrEnum):
    """What a webhook is told of: the ends that a job can come to."""

    COMPLETED = "job.completed"
    CANCELED = "job.canceled"
    FAILED = "job.failed"


class DeliveryStatus(StrEnum):
    """pending -> delivered | failed | disabled; db/steps/webhooks.py is the only place where it changes."""

    PENDING = "pending"
    """To be sent, now or at `next_attempt_at`."""
    DELIVERED = "delivered"
    """The receiver has answered with a 2xx."""
    FAILED = "failed"
    """Given up after a day of attempts, or at once where trying again could not help."""
    DISABLED = "disabled"
    """The receiver wants no more of this job (410)."""


class Delivery(Base):
    """One end of a job that is to be told to its webhook: the outbox."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(None, "job_id", "id"),
        Index(None, "next_attempt_at"),
        CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due_some_time"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Sent as `webhook-id`: the same in every attempt."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    event: Mapped[JobEvent] = mapped_column(enum(JobEvent, "event"))
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text, deferred=True)
    """What is signed and sent, to the byte (ASCII)."""
    status: Mapped[DeliveryStatus] = mapped_column(enum(DeliveryStatus, "status"), default=DeliveryStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken it up since it was made, or replayed."""
    next_attempt_at: Mapped[datetime | None]
    """When it is due. While a worker has it in hand: when that worker's lease ends."""
    last_status: Mapped[int | None]
    """The status of HTTP that the last attempt was answered with; None if it was not answered."""
    last_error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed."""
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class Secret(Base):
    """What this installation made for itself, and nobody else may know."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
