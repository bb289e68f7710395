"""Leases of chunks and of sources: renew, give back and end them. Both tables have the same columns for leases.

Every update applies only to rows that the worker still holds. A worker that has lost a lease therefore changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, case, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.bulk import count_changed
from db.tables import Chunk, Discovery

Row = TypeVar("Row", Chunk, Discovery)

LONGEST_PAUSE = timedelta(minutes=1)
"""Rows that wait for a worker are due within seconds."""


def is_due(
    due_at: InstrumentedAttribute[datetime], now: datetime, longest: timedelta = LONGEST_PAUSE
) -> ColumnElement[bool]:
    """Return the condition that a row which waits for a worker is due.

    A row that is due later than the longest pause allows was written while a clock was ahead. It would otherwise wait
    until all clocks have caught up.
    """
    return or_(due_at <= now, due_at > now + longest)


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease as it was read: every renewal gives it another end."""

    id: str
    """The id of the chunk, or of the job whose source it is."""
    worker: str
    until: datetime


class Leasing(Generic[Row]):
    """The leases of chunks, or those of sources."""

    def __init__(self, table: type[Row], key: InstrumentedAttribute[str], **given_back: Any) -> None:
        """`given_back` holds values that only this table needs for a row that is given back."""
        self._table: type[Row] = table
        self._key = key
        self._given_back = given_back

    def renew(self, session: Session, ids: Collection[str], worker: str, until: datetime) -> None:
        """Renew those of the leases that the worker still holds."""
        self._update(session, self._key.in_(ids) & (self._table.taken_by == worker), due_at=until)

    def give_back(self, session: Session, ids: Collection[str], worker: str, due_at: datetime, error: str) -> None:
        """End leases without counting an attempt, because the rows did not cause `error`. They are due at `due_at`."""
        attempts = case((self._table.attempts > 0, self._table.attempts - 1), else_=0)
        mine = self._key.in_(ids) & (self._table.taken_by == worker)
        self._update(session, mine, taken_by=None, attempts=attempts, due_at=due_at, error=error, **self._given_back)

    def fail_attempt(self, session: Session, row_id: str, worker: str, now: datetime, error: str) -> None:
        """End the lease of a row that its worker could not finish. The sweeper decides what follows."""
        self._update(session, (self._key == row_id) & (self._table.taken_by == worker), due_at=now, error=error)

    def end_leases(self, session: Session, now: datetime, worker: str | None = None) -> None:
        """End all leases, or those of workers that are known to be gone, given by the end of their names."""
        taken_by = self._table.taken_by
        of_workers = taken_by.is_not(None) if worker is None else taken_by.endswith(worker, autoescape=True)
        self._update(session, of_workers, due_at=now)

    def list_held(self, session: Session, max_attempts: int) -> list[HeldLease]:
        """Return the leases that workers hold, without those of a last attempt (`max_attempts` of them)."""
        table = self._table
        held = table.taken_by.is_not(None) & (table.attempts < max_attempts)
        rows = session.execute(select(self._key, table.taken_by, table.due_at).where(held))
        return [HeldLease(row_id, worker or "", until) for row_id, worker, until in rows]

    def end_unrenewed(self, session: Session, leases: Collection[HeldLease], now: datetime) -> int:
        """End those of the leases that were neither renewed nor ended since they were read. Return their number."""
        ended = 0
        for lease in leases:
            unrenewed = (self._key == lease.id) & (self._table.due_at == lease.until)
            mine = unrenewed & (self._table.taken_by == lease.worker)
            ended += count_changed(session, update(self._table).where(mine).values(due_at=now))
        return ended

    def lock_lost(self, session: Session, row_id: str, now: datetime) -> Row | None:
        """Lock and return the row if its lease has ended while a worker held it."""
        return session.scalar(
            select(self._table)
            .where(self._key == row_id, self._table.due_at <= now, self._table.taken_by.is_not(None))
            .with_for_update()
            .execution_options(populate_existing=True)
        )

    def _update(self, session: Session, where: ColumnElement[bool], **values: Any) -> None:
        count_changed(session, update(self._table).where(where).values(**values))


CHUNK_LEASES = Leasing(Chunk, Chunk.id, queued_at=None)
"""A chunk that is given back gets no `queued_at`, so that its message is sent again."""
SOURCE_LEASES = Leasing(Discovery, Discovery.job_id)
