"""The stored blobs, for checks of the whole store."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from db.database import Database
from db.tables import Blob

_PER_PAGE = 1000


def count(database: Database) -> int:
    """Return the number of blobs."""
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Blob)) or 0


def list_sha256s(database: Database) -> Iterator[str]:
    """Yield the SHA-256 of each blob, in order. No transaction is open while the caller works on one."""
    last = ""
    while True:
        with database.reading() as session:
            page = session.scalars(
                select(Blob.sha256).where(Blob.sha256 > last).order_by(Blob.sha256).limit(_PER_PAGE)
            ).all()
        yield from page
        if len(page) < _PER_PAGE:
            return
        last = page[-1]
