"""A cache of callers by key, so that a key in constant use is not read from the database for each request."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from core.clock import utc_now
from core.settings import Settings
from db.access import keys, shares
from db.access.keys import LAST_USED_INTERVAL, Caller
from db.database import Database

log = structlog.get_logger(__name__)

CACHE_SECONDS = 2.0
"""How long a valid key is cached. Every process refuses a revoked key after this time."""
OPEN_SECONDS = 1.0
"""How long the answer that no key exists is cached."""
_MAX_CACHED_KEYS = 10_000


@dataclass(slots=True)
class _CachedCaller:
    caller: Caller
    valid_until: float
    """On the monotonic clock."""


class Callers:
    """The cached callers of one process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._listens_to_this_machine_only = settings.on_loopback and not settings.proxies
        self._cache: dict[str, _CachedCaller] = {}
        self._use_recorded_at: dict[str, float] = {}
        self._keys_exist = False
        self._keys_checked_at = float("-inf")

    def find_by_key(self, written_key: str) -> Caller | None:
        """Return the caller of a key as it was written in a request, or None if the key is not valid."""
        # The cache holds a digest instead of the key, so that a memory dump reveals no keys.
        digest = hashlib.sha256(written_key.encode()).hexdigest()
        return self._cached(digest, lambda session: keys.find_caller(session, written_key, utc_now()))

    def find_by_id(self, key_id: str) -> Caller | None:
        """Return the caller of the key that a session names, or None if the key was revoked since."""
        return self._cached(key_id, lambda session: keys.find_caller_by_id(session, key_id, utc_now()))

    def find_by_share(self, token: str) -> Caller | None:
        """Return the visitor that a link to a job lets in, or None if the link is unknown or has ended."""
        digest = shares.digest(token)
        return self._cached(digest, lambda session: shares.find_visitor(session, token, utc_now()))

    def open_on_this_machine(self) -> bool:
        """Return whether the service listens on loopback only and no key was ever created."""
        return self._listens_to_this_machine_only and not self.keys_exist()

    def keys_exist(self) -> bool:
        """Return whether a key was ever created. The answer may be `OPEN_SECONDS` old."""
        # Keys are never removed. After the first one, the database need not be asked again.
        if not self._keys_exist and time.monotonic() - self._keys_checked_at > OPEN_SECONDS:
            with self._database.reading() as session:
                self._keys_exist = keys.any_key_exists(session)
            self._keys_checked_at = time.monotonic()
        return self._keys_exist

    def clear(self) -> None:
        """Empty the cache, because this process created or revoked a key."""
        self._cache.clear()
        self._keys_checked_at = float("-inf")

    def due_use_update(self, key_id: str) -> Callable[[], None] | None:
        """Return a function that writes a key's `last_used_at`, or None if that was done less than a minute ago.

        Call the function after the answer has been sent.
        """
        now = time.monotonic()
        if now - self._use_recorded_at.get(key_id, float("-inf")) < LAST_USED_INTERVAL.total_seconds():
            return None
        self._use_recorded_at[key_id] = now
        return lambda: self._write_use(key_id)

    def _write_use(self, key_id: str) -> None:
        try:
            with self._database.writing() as session:
                keys.note_use(session, key_id, utc_now())
        except DBAPIError as error:
            # The next request after a minute writes it again, and nothing else depends on it.
            log.warning("key_use_not_recorded", key=key_id, reason=str(error))

    def _cached(self, name: str, find: Callable[[Session], Caller | None]) -> Caller | None:
        cached = self._cache.get(name)
        if cached is not None and time.monotonic() < cached.valid_until:
            return cached.caller
        asked_at = time.monotonic()
        with self._database.reading() as session:
            caller = find(session)
        if caller is None:
            self._cache.pop(name, None)
            return None
        if len(self._cache) >= _MAX_CACHED_KEYS:
            self._cache.clear()
        self._cache[name] = _CachedCaller(caller, asked_at + CACHE_SECONDS)
        return caller
