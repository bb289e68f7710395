"""Webhooks: the outbox. What is to be told of a job's end is stored together with the end, and delivered from here.

pending -> delivered | failed | disabled; a replay makes any of them pending again. docs/webhooks.md draws it.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session, undefer

from core.clock import rfc3339
from core.ids import new_id
from db.access.secrets import get_or_create_secret
from db.bulk import count_changed
from db.database import Database
from db.tables import Delivery, DeliveryStatus, Job, JobEvent
from db.views.job import job_out

LEASE = timedelta(seconds=60)
"""How long a delivery belongs to the worker that took it up: well above the deadline of one attempt."""

BACKOFF = tuple(timedelta(seconds=s) for s in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 6 * 3600))
"""How long after each failed attempt the next one is made: the schedule that Standard Webhooks 1.0.0 suggests, ended
after a day."""

JITTER = 0.2
"""Each of those is made longer or shorter by up to this share, so that receivers are not asked in step."""

MAX_RETRY_AFTER = timedelta(hours=1)
"""A receiver that asks for more patience than this gets this much (or what the schedule says, if that is more)."""

GONE = 410
"""The status by which a receiver says that it wants no more (RFC 9110, 15.5.11)."""

SECRET_PREFIX = "whsec_"
_SECRET_NAME = "webhooks"
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """A delivery that was taken up: what is to be sent, and until when nobody else sends it."""

    delivery_id: str
    job_id: str
    url: str
    body: str
    number: int
    """1 for the first since the delivery was made or replayed."""
    leased_until: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """How an attempt ended: a status of HTTP, or the reason why there is none."""

    status: int | None = None
    error: str | None = None
    final: bool = False
    """Whether trying again would be the same once more: an address that is not allowed, for example."""
    retry_after: timedelta | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def store_job_end(session: Session, job: Job, now: datetime) -> None:
    """Store what is to be told of a job that has become terminal in this transaction, if anyone wants to be told."""
    if job.webhook is None:
        return
    event = JobEvent(f"job.{job.status.value}")
    if event.value not in job.webhook["events"]:
        return
    off = _is_disabled(session, job.id)
    body = {"type": event.value, "timestamp": rfc3339(now), "data": job_out(job).model_dump(mode="json")}
    session.add(
        Delivery(
            id=new_id("dlv"),
            job_id=job.id,
            event=event,
            url=job.webhook["url"],
            # Made once and kept: it is signed, and must be the same however often it is sent.
            body=json.dumps(body, separators=(",", ":")),
            status=DeliveryStatus.DISABLED if off else DeliveryStatus.PENDING,
            next_attempt_at=None if off else now,
            created_at=now,
        )
    )


def _is_disabled(session: Session, job_id: str) -> bool:
    """Whether the receiver has said that it wants no more of this job, and nobody has replayed that since."""
    last = select(Delivery.status).where(Delivery.job_id == job_id).order_by(Delivery.id.desc()).limit(1)
    return session.scalar(last) == DeliveryStatus.DISABLED


def any_due(session: Session, now: datetime) -> bool:
    return session.scalar(select(Delivery.id).where(Delivery.next_attempt_at <= now).limit(1)) is not None


def take(session: Session, now: datetime) -> Attempt | None:
    """Take up a delivery that is due, one that has failed least often first: a dead receiver keeps nobody waiting.

    If its outcome is not recorded before the lease ends, it is due again.
    """
    due = session.scalar(
        select(Delivery)
        .where(Delivery.next_attempt_at <= now)
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
    """Record how an attempt ended; what became of the delivery.

    None if it was not this attempt's to decide any more: the lease has run out and somebody else took it up, it was
    replayed meanwhile, or its job is gone.
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
    wanted = min(answer.retry_after or timedelta(), MAX_RETRY_AFTER)
    return DeliveryStatus.PENDING, now + max(pause, wanted)


def _disable_rest(session: Session, job_id: str) -> None:
    waiting = Delivery.job_id == job_id, Delivery.status == DeliveryStatus.PENDING
    count_changed(
        session, update(Delivery).where(*waiting).values(status=DeliveryStatus.DISABLED, next_attempt_at=None)
    )


def replay(session: Session, job_id: str, delivery_id: str, now: datetime) -> Delivery | None:
    """Have a delivery made (again) from now on, under the same id and with the same body; None if there is none."""
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
    """A job's deliveries, newest first, those before a delivery's id."""
    query = select(Delivery).where(Delivery.job_id == job_id).order_by(Delivery.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Delivery.id < before)).all()


def signing_secret(database: Database, configured: str) -> str:
    """`whsec_…`: the one that the settings name, else this installation's own, which is made when first asked for."""
    return configured or get_or_create_secret(database, _SECRET_NAME, _make_secret)


def _make_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
