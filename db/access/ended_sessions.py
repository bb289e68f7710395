"""Sessions of browsers that ended before their time, so that every process refuses their cookies."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db.tables import EndedSession


def has_ended(session: Session, token_sha256: str) -> bool:
    """Return whether the session with this digest of its token was ended."""
    return session.get(EndedSession, token_sha256) is not None


def end(session: Session, token_sha256: str, due_at: datetime) -> None:
    """End a session. `due_at`: when it would have been over by itself, at the latest. It may have ended already."""
    session.merge(EndedSession(token_sha256=token_sha256, due_at=due_at))


def delete_due(session: Session, now: datetime) -> None:
    """Forget the sessions that would be over by now."""
    session.execute(delete(EndedSession).where(EndedSession.due_at <= now))
