"""The purger removes what belongs to deleted and expired jobs, in small transactions that let others write between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from core.clock import utc_now
from core.errors import Unavailable
from db.access import ended_sessions, idempotency
from db.blobs.store import BlobStore
from db.database import TRANSIENT_ERRORS, Database
from db.steps import purging

log = structlog.get_logger(__name__)


def purge(database: Database, blobs: BlobStore, clock: Callable[[], datetime] = utc_now) -> int:
    """Remove everything that is due for removal, and return the number of items removed. May run twice at once."""
    removed, now = 0, clock()
    with database.reading() as session:
        job_ids = purging.list_jobs_to_purge(session, now)
        sources = purging.list_sources_to_remove(session)
    for job_id in sources:
        try:
            _remove_source(database, blobs, job_id)
        except (Unavailable, *TRANSIENT_ERRORS) as error:
            log.warning("purge_interrupted", job=job_id, reason=str(error))
    for job_id in job_ids:
        try:
            removed += _purge_job(database, blobs, job_id, now)
        except (Unavailable, *TRANSIENT_ERRORS) as error:
            # The next run of the purger goes on where this one stopped.
            log.warning("purge_interrupted", job=job_id, reason=str(error))
    with database.writing() as session:
        idempotency.delete_expired(session, now)
        ended_sessions.delete_due(session, now)
    return removed


def _remove_source(database: Database, blobs: BlobStore, job_id: str) -> None:
    with database.writing() as session:
        blobs.delete(purging.remove_source(session, job_id))


def _purge_job(database: Database, blobs: BlobStore, job_id: str, now: datetime) -> int:
    removed = 0
    while True:
        with database.writing() as session:
            batch = purging.remove_items(session, job_id)
            # Delete the bytes before the commit. A submission of the same picture waits for the commit, then finds no
            # blob and stores the bytes again.
            blobs.delete(batch.blobs)
            if not batch.items:
                purging.finish_purge(session, job_id, now)
        removed += batch.items
        if not batch.items:
            log.info("purged", job=job_id, items=removed)
            return removed
