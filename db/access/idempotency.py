"""Requests that may be sent again: the client's key, what came with it, and what was answered the first time."""

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
"""A request that has not been renewed for this long was broken off."""

ANSWER_RETENTION = timedelta(hours=24)
"""How long an answer is kept (docs/http-api.md)."""

_REQUESTS = InsertMissing(cast(Table, IdempotentRequest.__table__))


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An `Idempotency-Key`, and whose it is (as in `UsageDay`)."""

    owner: str
    key: str


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """The first request of a key: its payload, and its answer; of one that was broken off, the job that it made."""

    fingerprint: str
    job_id: str | None
    status: int | None
    headers: Mapping[str, str]
    body: str


def begin(session: Session, request: RequestKey, now: datetime) -> EarlierRequest | None:
    """Make the key this request's own, unless an earlier one has come to something.

    Raises:
        RequestInProgress: an earlier one is still running.
    """
    row = {"owner": request.owner, "key": request.key, "created_at": now, "due_at": now + BROKEN_OFF_AFTER}
    if _REQUESTS.execute(session, [row]):
        return None
    found = session.scalars(select(IdempotentRequest).where(_is(request)).with_for_update()).one()
    over = found.due_at <= now
    if found.status is None and not over:
        raise RequestInProgress(f"a request with the Idempotency-Key {request.key!r} is still running")
    broken_off_late = found.status is None and found.job_id is not None
    if found.fingerprint is not None and (broken_off_late or not over):
        return EarlierRequest(found.fingerprint, found.job_id, found.status, found.headers or {}, found.body or "")
    # It was broken off before it made anything, or is forgotten: this one is the first.
    found.fingerprint = found.job_id = found.status = found.headers = found.body = None
    found.created_at, found.due_at = now, now + BROKEN_OFF_AFTER
    return None


def renew(session: Session, request: RequestKey, now: datetime) -> None:
    """It is still running."""
    _change(session, request, due_at=now + BROKEN_OFF_AFTER)


def store_job_id(session: Session, request: RequestKey, fingerprint: str, job_id: str) -> None:
    """In the transaction that stores a job: whatever becomes of this request, another one will find the job."""
    _change(session, request, fingerprint=fingerprint, job_id=job_id)


def store_answer(
    session: Session,
    request: RequestKey,
    fingerprint: str,
    answer: tuple[int, Mapping[str, str], str],
    now: datetime,
) -> None:
    """Keep the answer: status, headers and body."""
    status, headers, body = answer
    _change(
        session,
        request,
        fingerprint=fingerprint,
        status=status,
        headers=dict(headers),
        body=body,
        due_at=now + ANSWER_RETENTION,
    )


def release(session: Session, request: RequestKey) -> None:
    """Nothing came of it: the key is free again."""
    session.execute(delete(IdempotentRequest).where(_is(request), IdempotentRequest.status.is_(None)))


def delete_expired(session: Session, now: datetime) -> None:
    """Remove what is past its time, and what was broken off so long ago that nobody will ask for it."""
    answered_long_ago = IdempotentRequest.status.is_not(None) & (IdempotentRequest.due_at <= now)
    broken_off = IdempotentRequest.status.is_(None) & (IdempotentRequest.due_at <= now - ANSWER_RETENTION)
    session.execute(delete(IdempotentRequest).where(answered_long_ago | broken_off))


def _is(request: RequestKey) -> ColumnElement[bool]:
    return (IdempotentRequest.owner == request.owner) & (IdempotentRequest.key == request.key)


def _change(session: Session, request: RequestKey, **values: object) -> None:
    session.execute(
        update(IdempotentRequest)
        .where(_is(request), IdempotentRequest.status.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
