"""The outbox of webhooks, and the secrets of this installation."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, enum


class JobEvent(StrEnum):
    """The events of a job that can be sent to a webhook: its possible ends."""

    COMPLETED = "job.completed"
    CANCELED = "job.canceled"
    FAILED = "job.failed"


class DeliveryStatus(StrEnum):
    """pending -> delivered | failed | disabled. Only db/steps/webhooks.py makes these transitions."""

    PENDING = "pending"
    """The delivery waits for `next_attempt_at`, or is being sent."""
    DELIVERED = "delivered"
    """The receiver has answered with a 2xx status."""
    FAILED = "failed"
    """The courier gave up after a day of attempts, or at once if another attempt could not succeed."""
    DISABLED = "disabled"
    """The receiver has answered that it wants no more events of this job (410)."""


class Delivery(Base):
    """An entry of the outbox: one end of a job that is sent to its webhook."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(None, "job_id", "id"),
        Index(None, "next_attempt_at"),
        CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due_some_time"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Sent as `webhook-id`. It is the same in every attempt."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    event: Mapped[JobEvent] = mapped_column(enum(JobEvent, "event"))
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text, deferred=True)
    """The exact bytes that are signed and sent (ASCII)."""
    status: Mapped[DeliveryStatus] = mapped_column(enum(DeliveryStatus, "status"), default=DeliveryStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken up the delivery since it was created or replayed."""
    next_attempt_at: Mapped[datetime | None]
    """When the delivery is due. While a worker holds it, this is the end of the lease."""
    last_status: Mapped[int | None]
    """The HTTP status that answered the last attempt. None if there was no answer."""
    last_error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed."""
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class Secret(Base):
    """A secret that this installation generated for itself."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
