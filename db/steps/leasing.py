"""Leases: which worker has a chunk or a source in hand, and until when. Both tables have the same columns for it.

Every change is an update of what is still the worker's: one whose lease was lost changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.tables import Chunk, Discovery

Row = TypeVar("Row", Chunk, Discovery)


class Leasing(Generic[Row]):
    """The leases of one table."""

    def __init__(self, rows: type[Row], key: InstrumentedAttribute[str], **waiting: Any) -> None:
        """`waiting`: values, beside those that both tables have, of a row that was given back."""
        self._rows: type[Row] = rows
        self._key = key
        self._waiting = waiting

    def renew(self, session: Session, ids: Collection[str], worker: str, until: datetime) -> None:
        """Keep what a worker has in hand, as far as it is still the worker's."""
        self._update(session, self._key.in_(ids) & (self._rows.taken_by == worker), due_at=until)

    def give_back(self, session: Session, ids: Collection[str], worker: str, due_at: datetime, error: str) -> None:
        """Give back what is no fault of the rows: it was no attempt, and they wait again from `due_at` on."""
        attempts = case((self._rows.attempts > 0, self._rows.attempts - 1), else_=0)
        mine = self._key.in_(ids) & (self._rows.taken_by == worker)
        self._update(session, mine, taken_by=None, attempts=attempts, due_at=due_at, error=error, **self._waiting)

    def fail_attempt(self, session: Session, row_id: str, worker: str, now: datetime, error: str) -> None:
        """End the lease of what its worker could not finish. The sweeper decides what follows."""
        self._update(session, (self._key == row_id) & (self._rows.taken_by == worker), due_at=now, error=error)

    def end_leases(self, session: Session, now: datetime, worker: str | None = None) -> None:
        """End the leases of a worker that is known to be gone, by the end of its name; or of all workers."""
        taken_by = self._rows.taken_by
        whose = taken_by.is_not(None) if worker is None else taken_by.endswith(worker, autoescape=True)
        self._update(session, whose, due_at=now)

    def lock_lost(self, session: Session, row_id: str, now: datetime) -> Row | None:
        """The row, if its lease has ended; it is held until the end of the transaction."""
        return session.scalar(
            select(self._rows)
            .where(self._key == row_id, self._rows.due_at <= now, self._rows.taken_by.is_not(None))
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    def _update(self, session: Session, where: ColumnElement[bool], **values: Any) -> None:
        session.execute(update(self._rows).where(where).values(**values).execution_options(synchronize_session=False))


CHUNK_LEASES = Leasing(Chunk, Chunk.id, queued_at=None)
"""Their message is sent again when they are given back."""
SOURCE_LEASES = Leasing(Discovery, Discovery.job_id)
