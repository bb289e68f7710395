"""Remove bytes from the blob store that no row will ever refer to, because the submission that stored them failed."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from core.clock import utc_now
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.database import Database
from db.outages import OUTAGE_ERRORS
from db.tables import Blob

log = structlog.get_logger(__name__)

_MAX_AT_ONCE = 500
"""Number of blobs that one transaction removes."""


def discard_uncommitted(database: Database, blobs: BlobStore, writers: Sequence[BlobWriter]) -> None:
    """Remove the bytes that `commit` has just put into the store for a transaction that then failed.

    During an outage they stay in the store, and a line in the log says how many.
    """
    created = [writer.sha256 for writer in writers if writer.created]
    try:
        remove_leftovers(database, blobs, created)
    except OUTAGE_ERRORS as error:
        log.warning("bytes_left_behind", blobs=len(created), reason=str(error))


def remove_leftovers(database: Database, blobs: BlobStore, sha256s: Sequence[str]) -> None:
    """Remove those of the blobs that have no row. All of them were new in the store when they were committed there.

    Another submission that has found such a blob in the store is safe. If it is committed before this transaction, its
    row is seen here and the blob stays. If it is committed later, it puts the blob again (`BlobStore.ensure`).
    """
    for start in range(0, len(sha256s), _MAX_AT_ONCE):
        part = sorted(sha256s[start : start + _MAX_AT_ONCE])
        with database.writing() as session:
            if database.is_sqlite:
                # The transaction has the only write lock, so no other one can insert these rows now.
                blobs.delete(_list_without_row(session, part))
            else:
                unknown = _insert_missing_rows(session, part)
                blobs.delete(unknown)
                session.execute(delete(Blob).where(Blob.sha256.in_(unknown)))


def _list_without_row(session: Session, sha256s: Sequence[str]) -> list[str]:
    known = set(session.scalars(select(Blob.sha256).where(Blob.sha256.in_(sha256s))))
    return [sha256 for sha256 in sha256s if sha256 not in known]


def _insert_missing_rows(session: Session, sha256s: Sequence[str]) -> list[str]:
    """Insert the missing rows and return their keys.

    A transaction that wants to insert the same row then waits until this one ends.
    """
    now = utc_now()
    statement = postgresql.insert(Blob).on_conflict_do_nothing().returning(Blob.sha256)
    rows = [{"sha256": sha256, "bytes": 0, "created_at": now} for sha256 in sha256s]
    return list(session.scalars(statement, rows))
