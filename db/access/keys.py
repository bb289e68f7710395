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

from sqlalchemy import ColumnElement, false, func, or_, select, update
from sqlalchemy.orm import Session

from core.errors import BadOwner, KeyEnded
from core.ids import new_id
from db.access import usage
from db.tables import ApiKey, Job, Scope
from db.tables.shadows import SHADOW_OWNER

LAST_USED_INTERVAL = timedelta(minutes=1)
"""Longest delay of `last_used_at`. A key that is always in use then costs only one write a minute."""

_SECRET_BYTES = 32
_ID_PREFIX = "key_"
_KEY_TEXT = re.compile(r"lb_([0-9a-z]{26})_([2-7a-z]{52})")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_UNKNOWN_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request: a key, anyone while the service is open, or a visitor who came by a link to a job.

    The URL of a picture can be signed, and then lets a caller in for that picture alone.
    """

    key_id: str | None
    """The key that the caller has sent or signed in with."""
    scopes: frozenset[Scope]
    rate_limit: int | None = None
    """Requests per minute. None: the limit of the settings."""
    quota: int | None = None
    """Pictures per calendar month. None: no limit."""
    owner: str | None = None
    """The owner of the jobs that the caller submits and sees. None: the jobs that it submits have no owner."""
    inherited_owners: frozenset[str] | None = frozenset()
    """Owners without any working key, whose jobs the caller may see. None: it may see the jobs of all owners.

    Only administrators inherit the jobs of such owners. They also see the jobs without an owner.
    """

    shared_job: str | None = None
    """A job that the caller may read although it belongs to another owner. Only views that read it set this."""
    share_id: str | None = None
    """The link that lets the caller in, if it has no key."""
    signed_item: str | None = None
    """The item whose picture a signed URL shows to the caller, who sees nothing else."""

    @property
    def is_visitor(self) -> bool:
        """Whether the caller came by a link to a job, and may read only that job."""
        return self.share_id is not None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, owner: str | None, job_id: str) -> bool:
        """Return whether the caller may see a job of an owner."""
        if self.signed_item is not None:
            return False
        if self.is_visitor or job_id == self.shared_job:
            return job_id == self.shared_job
        if self.inherited_owners is None:
            return owner != SHADOW_OWNER
        if owner == self.owner:
            return True
        return Scope.ADMIN in self.scopes and (owner is None or owner in self.inherited_owners)

    @property
    def sees_job(self) -> ColumnElement[bool]:
        """Return `sees` as a condition on the rows of jobs. Lists leave out a shared job."""
        if self.is_visitor or self.signed_item is not None:
            return false()
        if self.inherited_owners is None:
            return Job.key_id.is_distinct_from(SHADOW_OWNER)
        if Scope.ADMIN not in self.scopes:
            return Job.key_id == self.owner
        return or_(Job.key_id == self.owner, Job.key_id.is_(None), Job.key_id.in_(self.inherited_owners))


ANYONE = Caller(key_id=None, scopes=frozenset(Scope), inherited_owners=None)
"""The caller of every request while the service is open."""


def create(
    session: Session,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    rate_limit: int | None = None,
    quota: int | None = None,
    *,
    owner: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key. Return its row and its text, which is known only here.

    `owner` is one that has keys already, or the name of a new one. None: the key becomes an owner of its own. A quota
    replaces that of the owner; without one, the owner keeps its quota.

    Raises:
        BadOwner: No owner can have this name.
    """
    if owner == SHADOW_OWNER:
        raise BadOwner(f"expected another owner than {owner!r}, which owns the jobs of shadow runs")
    if owner is not None and not _OWNER.fullmatch(owner):
        raise BadOwner(f"expected an owner of 1 to 40 letters, digits, dots, hyphens and underscores, got {owner!r}")
    if owner is not None and quota is None:
        quota = usage.quota_of(session, owner)
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
        joined_owner=owner,
        expires_at=expires_at,
    )
    session.add(key)
    session.flush()
    session.refresh(key)
    return key, f"lb_{key.id.removeprefix(_ID_PREFIX)}_{secret}"


def rotate(session: Session, key_id: str, overlap: timedelta, now: datetime) -> tuple[ApiKey, str] | None:
    """Store a new key in place of another one, which works for the time of `overlap` still.

    The new key has the owner, the name, the scopes and the limits of the old one. Return its row and its text, or None
    if there is no such key.

    Raises:
        KeyEnded: The old key is revoked or has expired.
    """
    old = session.get(ApiKey, key_id)
    if old is None:
        return None
    if not old.works(now):
        raise KeyEnded(f"expected a key that works, but {key_id} was revoked or has expired: create a new one")
    ends_at = now + overlap
    old.expires_at = ends_at if old.expires_at is None else min(old.expires_at, ends_at)
    scopes = [Scope(value) for value in old.scopes]
    return create(session, old.name, scopes, now, old.rate_limit, old.quota, owner=old.owner)


def find_caller(session: Session, key_text: str, now: datetime) -> Caller | None:
    """Check the text of a key and return its caller.

    Return None if there is no such key, if the secret is wrong, or if the key is revoked or has expired.
    """
    match = _KEY_TEXT.fullmatch(key_text)
    if match is None:
        return None
    key = session.get(ApiKey, _ID_PREFIX + match[1])
    is_correct = hmac.compare_digest(_digest(match[2]), _UNKNOWN_DIGEST if key is None else key.secret_sha256)
    return _caller(session, key, now) if is_correct and key is not None else None


def find_caller_by_id(session: Session, key_id: str, now: datetime) -> Caller | None:
    """Return the caller of a key that a signed session names. None if the key does not exist or no longer works."""
    key = session.get(ApiKey, key_id)
    return None if key is None else _caller(session, key, now)


def _caller(session: Session, key: ApiKey, now: datetime) -> Caller | None:
    if not key.works(now):
        return None
    scopes = frozenset(Scope(value) for value in key.scopes)
    inherited = _owners_without_keys(session, now) if Scope.ADMIN in scopes else frozenset()
    return Caller(key.id, scopes, key.rate_limit, key.quota, key.owner, inherited)


def _owners_without_keys(session: Session, now: datetime) -> frozenset[str]:
    """Return the owners whose keys are all revoked or expired."""
    working = func.count().filter(_works(now))
    return frozenset(session.scalars(select(ApiKey.owner).group_by(ApiKey.owner).having(working == 0)))


def _works(now: datetime) -> ColumnElement[bool]:
    return ApiKey.revoked_at.is_(None) & (ApiKey.expires_at.is_(None) | (ApiKey.expires_at > now))


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
    """Revoke a key for ever. Return False if there is no such key.

    The jobs of its owner stay. If no other key of the owner works, administrators inherit them.
    """
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
