"""API keys: create, check, list and revoke them, and the caller that a key identifies.

The text of a key is `lb_<id>_<secret>`. Only a digest of the secret is stored, therefore a key can be shown only once.
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

from sqlalchemy import ColumnElement, false, or_, select, true, update
from sqlalchemy.orm import Session

from core.ids import new_id
from db.tables import ApiKey, Job, Scope

LAST_USED_INTERVAL = timedelta(minutes=1)
"""Longest delay of `last_used_at`. A key that is always in use then costs only one write a minute."""

_SECRET_BYTES = 32
_ID_PREFIX = "key_"
_KEY_TEXT = re.compile(r"lb_([0-9a-z]{26})_([2-7a-z]{52})")
_UNKNOWN_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: a key, anyone while the service is open, or a visitor who came by a link to a job."""

    key_id: str | None
    """The owner of the jobs that the caller submits. None: they have no owner."""
    scopes: frozenset[Scope]
    rate_limit: int | None = None
    """Requests per minute. None: the limit of the settings."""
    quota: int | None = None
    """Pictures per calendar month. None: no limit."""
    inherited_keys: frozenset[str] | None = frozenset()
    """Revoked keys whose jobs the caller may see. None: it may see the jobs of all owners.

    Only administrators inherit the jobs of revoked keys. They also see the jobs without an owner.
    """

    shared_job: str | None = None
    """A job that the caller may read although it belongs to another owner. Only views that read it set this."""
    share_id: str | None = None
    """The link that lets the caller in, if it has no key."""

    @property
    def is_visitor(self) -> bool:
        """Whether the caller came by a link to a job, and may read only that job."""
        return self.share_id is not None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, key_id: str | None, job_id: str) -> bool:
        """Return whether the caller may see a job of an owner."""
        if self.is_visitor or job_id == self.shared_job:
            return job_id == self.shared_job
        if self.inherited_keys is None or key_id == self.key_id:
            return True
        return Scope.ADMIN in self.scopes and (key_id is None or key_id in self.inherited_keys)

    @property
    def sees_job(self) -> ColumnElement[bool]:
        """Return `sees` as a condition on the rows of jobs. Lists leave out a shared job."""
        if self.is_visitor:
            return false()
        if self.inherited_keys is None:
            return true()
        if Scope.ADMIN not in self.scopes:
            return Job.key_id == self.key_id
        return or_(Job.key_id == self.key_id, Job.key_id.is_(None), Job.key_id.in_(self.inherited_keys))


ANYONE = Caller(key_id=None, scopes=frozenset(Scope), inherited_keys=None)
"""The caller of every request while the service is open."""


def create(
    session: Session,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    rate_limit: int | None = None,
    quota: int | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key. Return its row and its text, which is known only here."""
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=").lower()
    granted = set(scopes)
    key = ApiKey(
        id=new_id("key"),
        name=name,
        secret_sha256=_digest(secret),
        scopes=[scope.value for scope in Scope if scope in granted],
        rate_limit=rate_limit,
        quota=quota,
        created_at=now,
    )
    session.add(key)
    session.flush()
    return key, f"lb_{key.id.removeprefix(_ID_PREFIX)}_{secret}"


def find_caller(session: Session, key_text: str) -> Caller | None:
    """Check the text of a key and return its caller.

    Return None if there is no such key, if the secret is wrong, or if the key is revoked.
    """
    match = _KEY_TEXT.fullmatch(key_text)
    if match is None:
        return None
    key = session.get(ApiKey, _ID_PREFIX + match[1])
    is_correct = hmac.compare_digest(_digest(match[2]), _UNKNOWN_DIGEST if key is None else key.secret_sha256)
    return _caller(session, key) if is_correct and key is not None else None


def find_caller_by_id(session: Session, key_id: str) -> Caller | None:
    """Return the caller of a key that a signed session names. None if the key does not exist or is revoked."""
    key = session.get(ApiKey, key_id)
    return None if key is None else _caller(session, key)


def _caller(session: Session, key: ApiKey) -> Caller | None:
    if key.revoked_at is not None:
        return None
    scopes = frozenset(Scope(value) for value in key.scopes)
    revoked = select(ApiKey.id).where(ApiKey.revoked_at.is_not(None))
    inherited_keys = frozenset(session.scalars(revoked)) if Scope.ADMIN in scopes else frozenset()
    return Caller(key.id, scopes, key.rate_limit, key.quota, inherited_keys)


def any_key_exists(session: Session) -> bool:
    """Return whether a key was ever created. From then on requests need a key, even if all keys are revoked."""
    return session.scalar(select(ApiKey.id).limit(1)) is not None


def get(session: Session, key_id: str) -> ApiKey | None:
    return session.get(ApiKey, key_id)


def list_newest(session: Session, before: str | None = None, limit: int | None = None) -> Sequence[ApiKey]:
    """Return the keys that are older than the id `before`, newest first, including revoked ones."""
    query = select(ApiKey).order_by(ApiKey.id.desc()).limit(limit)
    return session.scalars(query if before is None else query.where(ApiKey.id < before)).all()


def revoke(session: Session, key_id: str, now: datetime) -> bool:
    """Revoke a key for ever. Its jobs stay, and administrators inherit them. Return False if there is no such key."""
    key = session.get(ApiKey, key_id)
    if key is None:
        return False
    if key.revoked_at is None:
        key.revoked_at = now
    return True


def note_use(session: Session, key_id: str, now: datetime) -> None:
    """Set `last_used_at` of a key, if the stored value is older than `LAST_USED_INTERVAL`."""
    stale = ApiKey.last_used_at.is_(None) | (ApiKey.last_used_at <= now - LAST_USED_INTERVAL)
    session.execute(update(ApiKey).where(ApiKey.id == key_id, stale).values(last_used_at=now))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
