"""Who keys stand for, remembered for a moment: a key in constant use is not read from the database constantly."""

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
from db.access import keys
from db.access.keys import LAST_USED_INTERVAL, Caller
from db.database import Database

log = structlog.get_logger(__name__)

KEPT_SECONDS = 2.0
"""How long a key that was found good is taken for good: a revoked one is refused everywhere after this."""
OPEN_SECONDS = 1.0
"""How long it is believed that no key was ever made."""
_MOST = 10_000
"""Keys that are remembered at once."""


@dataclass(slots=True)
class _Known:
    caller: Caller
    until: float
    """When it is read again, on the monotonic clock."""


class Callers:
    """The callers of one process."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._reached_from_here_only = settings.on_loopback and not settings.proxies
        self._known: dict[str, _Known] = {}
        self._noted: dict[str, float] = {}
        self._keys_exist = False
        self._asked_at = float("-inf")

    def find_by_key(self, written: str) -> Caller | None:
        """Who a key stands for, as it came in a request; None if it is no good."""
        # Not the key itself: what lies in memory should be as little use to a thief as what lies on the disk.
        name = hashlib.sha256(written.encode()).hexdigest()
        return self._remembered(name, lambda session: keys.find_caller(session, written))

    def find_by_id(self, key_id: str) -> Caller | None:
        """Who a key stands for that signed in before; None if it is revoked by now."""
        return self._remembered(key_id, lambda session: keys.find_caller_by_id(session, key_id))

    def open_on_this_machine(self) -> bool:
        """Whether whoever reaches this machine's own address needs no key."""
        return self._reached_from_here_only and not self.keys_exist()

    def keys_exist(self) -> bool:
        """Whether a key was ever made, as it was a moment ago at the latest."""
        # Keys are never removed: once there is one, there is no need to ask again.
        if not self._keys_exist and time.monotonic() - self._asked_at > OPEN_SECONDS:
            with self._database.reading() as session:
                self._keys_exist = keys.any_key_exists(session)
            self._asked_at = time.monotonic()
        return self._keys_exist

    def forget(self) -> None:
        """A key was made or revoked here: do not go by what was so before."""
        self._known.clear()
        self._asked_at = float("-inf")

    def note_use(self, key_id: str) -> Callable[[], None] | None:
        """What is still to be done about a key's `last_used_at`: once a minute, and best after the answer is sent."""
        now = time.monotonic()
        if now - self._noted.get(key_id, float("-inf")) < LAST_USED_INTERVAL.total_seconds():
            return None
        self._noted[key_id] = now
        return lambda: self._write_use(key_id)

    def _write_use(self, key_id: str) -> None:
        try:
            with self._database.writing() as session:
                keys.note_use(session, key_id, utc_now())
        except DBAPIError as error:
            # It is told in a minute again, and nothing hangs on it.
            log.warning("use_not_noted", key=key_id, reason=str(error))

    def _remembered(self, name: str, find: Callable[[Session], Caller | None]) -> Caller | None:
        known = self._known.get(name)
        if known is not None and time.monotonic() < known.until:
            return known.caller
        asked_at = time.monotonic()
        with self._database.reading() as session:
            caller = find(session)
        if caller is None:
            self._known.pop(name, None)
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[name] = _Known(caller, asked_at + KEPT_SECONDS)
        return caller
