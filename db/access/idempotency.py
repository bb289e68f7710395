"""Idempotent requests: store the answer to an `Idempotency-Key`, so that a repeated request gets the same answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ColumnElement, Table, delete, select, update
from sqlalchemy.orm import Session

from core.errors import RequestInProgress
from db.bulk import InsertMissing
from db.tables import IdempotentRequest

BROKEN_OFF_AFTER = timedelta(seconds=60)
"""A request that has not been renewed for this long counts as broken off."""

ANSWER_RETENTION = timedelta(hours=24)
"""How long an answer is stored (docs/http-api.md)."""

_REQUESTS = InsertMissing(cast(Table, IdempotentRequest.__table__))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An `Idempotency-Key` and its owner (see `UsageDay.owner`)."""

    owner: str
    key: str


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """The first request with a key, and its answer."""

    fingerprint: str
    """SHA-256 of its method, path and payload."""
    job_id: str | None
    status: int | None
    """The HTTP status of its answer. None if the request was broken off after it had stored its job."""
    headers: Mapping[str, str]
    body: str


def begin(session: Session, request: RequestKey, now: datetime) -> EarlierRequest | None:
    """Reserve the key for this request. If an earlier request has an answer or a job, return that request instead.

    Raises:
        RequestInProgress: An earlier request with the key is still running.
    """
    row = {"owner": request.owner, "key": request.key, "created_at": now, "due_at": now + BROKEN_OFF_AFTER}
    if _REQUESTS.execute(session, [row]):
        return None
    found = session.scalars(select(IdempotentRequest).where(_has_key(request)).with_for_update()).one()
    is_due = found.due_at <= now
    if found.status is None and not is_due:
        raise RequestInProgress(f"a request with the Idempotency-Key {request.key!r} is still running")
    broken_off_with_job = found.status is None and found.job_id is not None
    if found.fingerprint is not None and (broken_off_with_job or not is_due):
        return EarlierRequest(found.fingerprint, found.job_id, found.status, found.headers or {}, found.body or "")
    # The earlier request was broken off before it stored a job, or its answer is too old. This one counts as the first.
    found.fingerprint = found.job_id = found.status = found.headers = found.body = None
    found.created_at, found.due_at = now, now + BROKEN_OFF_AFTER
    return None


def renew(session: Session, request: RequestKey, now: datetime) -> None:
    """Note that the request is still running."""
    _update_running(session, request, due_at=now + BROKEN_OFF_AFTER)


def store_job_id(session: Session, request: RequestKey, fingerprint: str, job_id: str) -> None:
    """Store the job that the request has made, in the same transaction as the job.

    If the request is broken off later, a repeated request then finds the job.
    """
    _update_running(session, request, fingerprint=fingerprint, job_id=job_id)


def store_answer(
    session: Session,
    request: RequestKey,
    fingerprint: str,
    answer: tuple[int, Mapping[str, str], str],
    now: datetime,
) -> None:
    """Store the answer: status, headers and body."""
    status, headers, body = answer
    _update_running(
        session,
        request,
        fingerprint=fingerprint,
        status=status,
        headers=dict(headers),
        body=body,
        due_at=now + ANSWER_RETENTION,
    )


def release(session: Session, request: RequestKey) -> None:
    """Make the key available again, because its request has failed."""
    session.execute(delete(IdempotentRequest).where(_has_key(request), IdempotentRequest.status.is_(None)))


def delete_expired(session: Session, now: datetime) -> None:
    """Remove answers, and requests that were broken off, after `ANSWER_RETENTION`."""
    old_answer = IdempotentRequest.status.is_not(None) & (IdempotentRequest.due_at <= now)
    broken_off = IdempotentRequest.status.is_(None) & (IdempotentRequest.due_at <= now - ANSWER_RETENTION)
    session.execute(delete(IdempotentRequest).where(old_answer | broken_off))


def _has_key(request: RequestKey) -> ColumnElement[bool]:
    return (IdempotentRequest.owner == request.owner) & (IdempotentRequest.key == request.key)


def _update_running(session: Session, request: RequestKey, **values: object) -> None:
    session.execute(
        update(IdempotentRequest)
        .where(_has_key(request), IdempotentRequest.status.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
