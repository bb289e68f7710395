"""What a submission that failed has put into the store: bytes that no row will ever name."""

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

_AT_ONCE = 500


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
    """Remove the bytes of blobs that have no row, of those among `sha256s` that a `commit` has put there anew.

    A submission that found such a blob a moment ago is not harmed: it is committed either before, and its row is seen
    here, or after, and then it puts the blob again (`BlobStore.ensure`).
    """
    for start in range(0, len(sha256s), _AT_ONCE):
        part = sorted(sha256s[start : start + _AT_ONCE])
        with database.writing() as session:
            if database.is_sqlite:
                # Nobody else is writing now.
                unknown = _without_row(session, part)
                blobs.delete(unknown)
            else:
                unknown = _hold_missing_rows(session, part)
                blobs.delete(unknown)
                session.execute(delete(Blob).where(Blob.sha256.in_(unknown)))


def _without_row(session: Session, sha256s: Sequence[str]) -> list[str]:
    known = set(session.scalars(select(Blob.sha256).where(Blob.sha256.in_(sha256s))))
    return [sha256 for sha256 in sha256s if sha256 not in known]


def _hold_missing_rows(session: Session, sha256s: Sequence[str]) -> list[str]:
    """Insert the rows that are missing: who else wants to insert one of them waits for the end of this transaction."""
    now = utc_now()
    statement = postgresql.insert(Blob).on_conflict_do_nothing().returning(Blob.sha256)
    rows = [{"sha256": sha256, "bytes": 0, "created_at": now} for sha256 in sha256s]
    return list(session.scalars(statement, rows))
