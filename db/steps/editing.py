"""Changes of a job that a person may make at any time: its name, and when it expires."""

from __future__ import annotations

from datetime import datetime

from db.tables import Job


def rename(job: Job, name: str) -> None:
    """Give a job, whose row is locked, another name."""
    job.name = name
    job.revision += 1


def set_expiry(job: Job, expires_at: datetime | None) -> None:
    """Set when a job, whose row is locked, expires. None: never."""
    job.expires_at = expires_at
    job.revision += 1
