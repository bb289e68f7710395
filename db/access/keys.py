"""API keys: making, checking and revoking them, and who a request comes from.

A key is written `lb_<id>_<secret>`. Only the digest of its secret is kept, so nobody can be shown a key again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, or_, select, true, update
from sqlalchemy.orm import Session

from core.ids import new_id
from db.tables import ApiKey, Job, Scope

LAST_USED_INTERVAL = timedelta(minutes=1)
"""`last_used_at` is this far behind at most: a key that is used all the time costs one write a minute."""

_SECRET_BYTES = 32
_ID_PREFIX = "key_"
_WRITTEN = re.compile(r"lb_([0-9a-z]{26})_([2-7a-z]{52})")
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from: a key, or whoever it is while the service is open to all."""

    key_id: str | None
    """Whose the jobs are that it makes; None: nobody's."""
    scopes: frozenset[Scope]
    rate_limit: int | None = None
    """Requests per minute; None: as the settings say."""
    quota: int | None = None
    """Pictures per calendar month; None: any number."""
    inherited: frozenset[str] | None = frozenset()
    """Keys that are no more, whose jobs this caller looks after, as it does after those that are nobody's.

    None: it sees the jobs of all. Empty: its own alone, which is so for everyone but administrators.
    """

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, key_id: str | None) -> bool:
        """Whether it may see a job of that owner."""
        if self.inherited is None or key_id == self.key_id:
            return True
        return Scope.ADMIN in self.scopes and (key_id is None or key_id in self.inherited)

    @property
    def sees_job(self) -> ColumnElement[bool]:
        """`sees`, as a condition on jobs."""
        if self.inherited is None:
            return true()
        if Scope.ADMIN not in self.scopes:
            return Job.key_id == self.key_id
        return or_(Job.key_id == self.key_id, Job.key_id.is_(None), Job.key_id.in_(self.inherited))


ANYONE = Caller(key_id=None, scopes=frozenset(Scope), inherited=None)
"""Whoever asks, where no key is needed."""


def create(
    session: Session,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    rate_limit: int | None = None,
    quota: int | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key; it, and how it is written: that is said here and never again."""
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=").lower()
    wanted = set(scopes)
    key = ApiKey(
        id=new_id("key"),
        name=name,
        secret_sha256=_digest(secret),
        scopes=[scope.value for scope in Scope if scope in wanted],
        rate_limit=rate_limit,
        quota=quota,
        created_at=now,
    )
    session.add(key)
    session.flush()
    return key, f"lb_{key.id.removeprefix(_ID_PREFIX)}_{secret}"


def find_caller(session: Session, written: str) -> Caller | None:
    """Who a key stands for; None if there is no such key, its secret is another, or it is revoked."""
    match = _WRITTEN.fullmatch(written)
    if match is None:
        return None
    key = session.get(ApiKey, _ID_PREFIX + match[1])
    same = hmac.compare_digest(_digest(match[2]), _NO_DIGEST if key is None else key.secret_sha256)
    return _caller(session, key) if same and key is not None else None


def find_caller_by_id(session: Session, key_id: str) -> Caller | None:
    """Who a key stands for that was checked before (a signed session says so); None if it is revoked by now."""
    key = session.get(ApiKey, key_id)
    return None if key is None else _caller(session, key)


def _caller(session: Session, key: ApiKey) -> Caller | None:
    if key.revoked_at is not None:
        return None
    scopes = frozenset(Scope(value) for value in key.scopes)
    revoked = select(ApiKey.id).where(ApiKey.revoked_at.is_not(None))
    inherited = frozenset(session.scalars(revoked)) if Scope.ADMIN in scopes else frozenset()
    return Caller(key.id, scopes, key.rate_limit, key.quota, inherited)


def any_key_exists(session: Session) -> bool:
    """Whether a key was ever made: from then on one is needed, even if all are revoked."""
    return session.scalar(select(ApiKey.id).limit(1)) is not None


def get(session: Session, key_id: str) -> ApiKey | None:
    return session.get(ApiKey, key_id)


def list_newest(session: Session, before: str | None = None, limit: int | None = None) -> Sequence[ApiKey]:
    """Keys older than the id `before`, newest first, the revoked ones included."""
    query = select(ApiKey).order_by(ApiKey.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(ApiKey.id < before)).all()


def revoke(session: Session, key_id: str, now: datetime) -> bool:
    """Make a key useless for ever; False if there is none. What it owns stays, and goes over to administrators."""
    key = session.get(ApiKey, key_id)
    if key is None:
        return False
    if key.revoked_at is None:
        key.revoked_at = now
    return True


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """Remember that a key is in use, unless that was done a moment ago."""
    stale = ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at <= now - LAST_USED_INTERVAL)
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
