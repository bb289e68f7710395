"""The outbox of webhooks. A delivery is stored in the transaction that ends its job. The courier sends it later.

pending -> delivered | failed | disabled. A replay makes each of them pending again. docs/webhooks.md draws the states.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session, undefer

from core.clock import rfc3339
from core.ids import new_id
from db.access.secrets import get_or_create_secret
from db.bulk import count_changed
from db.database import Database
from db.tables import Delivery, DeliveryStatus, Job, JobEvent
from db.views.job import job_out

LEASE = timedelta(seconds=60)
"""How long a worker holds a delivery that it has taken up. This is well above the time limit of one attempt."""

BACKOFF = tuple(timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 6 * 3600))
"""The pause after each failed attempt. This is the schedule that Standard Webhooks 1.0.0 suggests, cut off after a
day."""

JITTER = 0.2
"""The share by which each pause is made longer or shorter at random, so that not all retries are sent at the same
moment."""

MAX_RETRY_AFTER = timedelta(hours=1)
"""The longest `Retry-After` that is followed. If a receiver asks for more, the next attempt is made after this time, or
after the pause of the schedule if that is longer."""

GONE = 410
"""The HTTP status with which a receiver refuses further deliveries (RFC 9110, section 15.5.11)."""

SECRET_PREFIX = "whsec_"
_SECRET_NAME = "webhooks"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that a worker has taken up to send."""

    delivery_id: str
    job_id: str
    url: str
    body: str
    number: int
    """1 for the first attempt since the delivery was created or replayed."""
    leased_until: datetime
    """The end of the lease. Until then no other worker takes the delivery up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of an attempt: the HTTP status of the answer, or the reason why there is none."""

    status: int | None = None
    error: str | None = None
    final: bool = False
    """Whether another attempt would fail in the same way, for example because the URL is not allowed."""
    retry_after: timedelta | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def store_job_end(session: Session, job: Job, now: datetime) -> None:
    """Store a delivery for a job that ends in this transaction, if its webhook wants this event."""
    if job.webhook is None:
        return
    event = JobEvent(f"job.{job.status.value}")
    if event.value not in job.webhook["events"]:
        return
    is_disabled = _is_disabled(session, job.id)
    body = {"type": event.value, "timestamp": rfc3339(now), "data": job_out(job).model_dump(mode="json")}
    session.add(
        Delivery(
            id=new_id("dlv"),
            job_id=job.id,
            event=event,
            url=job.webhook["url"],
            # The body is stored, because it is signed and must be the same in every attempt.
            body=json.dumps(body, separators=(",", ":")),
            status=DeliveryStatus.DISABLED if is_disabled else DeliveryStatus.PENDING,
            next_attempt_at=None if is_disabled else now,
            created_at=now,
        )
    )


def _is_disabled(session: Session, job_id: str) -> bool:
    """Return whether the receiver has refused further deliveries of this job, and none was replayed since."""
    last = select(Delivery.status).where(Delivery.job_id == job_id).order_by(Delivery.id.desc()).limit(1)
    return session.scalar(last) == DeliveryStatus.DISABLED


def any_due(session: Session, now: datetime) -> bool:
    return session.scalar(select(Delivery.id).where(_is_due(now)).limit(1)) is not None


def _is_due(now: datetime) -> ColumnElement[bool]:
    # The first attempt is always due. Its time may have been written while a clock was ahead.
    is_pending = Delivery.next_attempt_at.is_not(None)
    return is_pending & ((Delivery.next_attempt_at <= now) | (Delivery.attempts == 0))


def take(session: Session, now: datetime) -> Attempt | None:
    """Take up a delivery that is due. None if none is due.

    The one with the fewest attempts goes first, so that a dead receiver does not delay the others. The delivery is due
    again if its outcome is not recorded before the lease ends.
    """
    due = session.scalar(
        select(Delivery)
        .where(_is_due(now))
        .order_by(Delivery.attempts, Delivery.next_attempt_at)
        .limit(1)
        .options(undefer(Delivery.body))
        .with_for_update(skip_locked=True)
    )
    if due is None:
        return None
    due.attempts += 1
    due.next_attempt_at = leased_until = now + LEASE
    return Attempt(due.id, due.job_id, due.url, due.body, due.attempts, leased_until)


def record_attempt(session: Session, attempt: Attempt, answer: Answer, now: datetime) -> DeliveryStatus | None:
    """Record the outcome of an attempt and return the new status of the delivery.

    Return None, and record nothing, if another worker has taken the delivery up after the lease ended, if it was
    replayed meanwhile, or if its job is gone.
    """
    status, next_attempt_at = _next_state(attempt, answer, now)
    mine = Delivery.id == attempt.delivery_id, Delivery.next_attempt_at == attempt.leased_until
    changed = count_changed(
        session,
        update(Delivery)
        .where(*mine)
        .values(
            status=status,
            next_attempt_at=next_attempt_at,
            last_status=answer.status,
            last_error=answer.error,
            delivered_at=now if status == DeliveryStatus.DELIVERED else None,
        ),
    )
    if not changed:
        return None
    if status == DeliveryStatus.DISABLED:
        _disable_rest(session, attempt.job_id)
    return status


def _next_state(attempt: Attempt, answer: Answer, now: datetime) -> tuple[DeliveryStatus, datetime | None]:
    if answer.accepted:
        return DeliveryStatus.DELIVERED, None
    if answer.status == GONE:
        return DeliveryStatus.DISABLED, None
    if answer.final or attempt.number > len(BACKOFF):
        return DeliveryStatus.FAILED, None
    pause = BACKOFF[attempt.number - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    retry_after = min(answer.retry_after or timedelta(), MAX_RETRY_AFTER)
    return DeliveryStatus.PENDING, now + max(pause, retry_after)


def _disable_rest(session: Session, job_id: str) -> None:
    waiting = Delivery.job_id == job_id, Delivery.status == DeliveryStatus.PENDING
    count_changed(
        session, update(Delivery).where(*waiting).values(status=DeliveryStatus.DISABLED, next_attempt_at=None)
    )


def replay(session: Session, job_id: str, delivery_id: str, now: datetime) -> Delivery | None:
    """Make a delivery due now, with the same id and body as before. Return None if there is no such delivery."""
    delivery = session.scalar(
        select(Delivery).where(Delivery.id == delivery_id, Delivery.job_id == job_id).with_for_update()
    )
    if delivery is None:
        return None
    delivery.status = DeliveryStatus.PENDING
    delivery.attempts = 0
    delivery.next_attempt_at = now
    delivery.delivered_at = None
    return delivery


def list_of_job(session: Session, job_id: str, before: str | None, limit: int) -> Sequence[Delivery]:
    """Return the deliveries of a job that are older than the id `before`, newest first."""
    query = select(Delivery).where(Delivery.job_id == job_id).order_by(Delivery.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Delivery.id < before)).all()


def signing_secret(database: Database, configured: str) -> str:
    """Return the secret that signs webhooks (`whsec_…`): the configured one, otherwise the installation's own."""
    return configured or get_or_create_secret(database, _SECRET_NAME, _generate_secret)


def _generate_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
