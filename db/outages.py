"""Outages: which errors say that the database or the blob store is down or full for now, and how calls are retried."""

from __future__ import annotations

from datetime import timedelta

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from core.errors import StorageFull, Unavailable
from db.database import TRANSIENT_ERRORS

OUTAGE_ERRORS = (Unavailable, StorageFull, *TRANSIENT_ERRORS)
"""Errors of a database, a blob store, Redis or a disk that is down or full. The same call may succeed later, therefore
they do not count as failed attempts."""


def retry_outages(limit: timedelta, errors: tuple[type[Exception], ...] = OUTAGE_ERRORS) -> Retrying:
    """Return attempts that repeat a block after `errors`, with growing pauses of at most 2 s, for up to `limit`.

    After `limit` the last error is raised as it is.
    """
    return Retrying(
        retry=retry_if_exception_type(errors),
        wait=wait_exponential_jitter(multiplier=0.1, max=2.0),
        stop=stop_after_delay(limit),
        reraise=True,
    )
