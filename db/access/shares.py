"""Links to one job: create, list and revoke them, and the visitor that a link lets in.

Only a digest of a link's token is stored, therefore the link can be shown only once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.ids import new_id
from db.access.keys import Caller
from db.tables import Job, Scope, Share

_TOKEN_BYTES = 32


def create(session: Session, job: Job, key_id: str | None, now: datetime, expires_at: datetime) -> tuple[Share, str]:
    """Store a new link to a job. Return its row and its token, which is known only here."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    share = Share(
        id=new_id("shr"),
        job_id=job.id,
        token_sha256=digest(token),
        key_id=key_id,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(share)
    session.flush()
    return share, token


def list_newest(session: Session, job_id: str, before: str | None, limit: int) -> Sequence[Share]:
    """Return the links to a job that are older than the id `before`, newest first, including ended ones."""
    query = select(Share).where(Share.job_id == job_id).order_by(Share.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(Share.id < before)).all()


def revoke(session: Session, job_id: str, share_id: str, now: datetime) -> bool:
    """End a link to a job at once. Return False if the job has no such link."""
    share = session.get(Share, share_id)
    if share is None or share.job_id != job_id:
        return False
    if share.revoked_at is None:
        share.revoked_at = now
    return True


def find(session: Session, token: str) -> Share | None:
    """Return the link with a token, also if it has ended."""
    return session.scalar(select(Share).where(Share.token_sha256 == digest(token)))


def find_visitor(session: Session, token: str, now: datetime) -> Caller | None:
    """Return the caller that a link lets in. None if the link is unknown or has ended, or if its job was deleted."""
    share = find(session, token)
    if share is None or share.revoked_at is not None or share.expires_at <= now:
        return None
    job = session.get(Job, share.job_id)
    if job is None or job.deleted_at is not None:
        return None
    return Caller(None, frozenset({Scope.READ}), shared_job=share.job_id, share_id=share.id)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
