"""Jobs, the chunks that their items travel in, and the sources that are still being read."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import Base, enum
from db.tables.crawls import Crawl
from db.tables.model_versions import ModelVersion


class JobStatus(StrEnum):
    """queued -> running -> completed | canceled | failed. The right-hand three are terminal.

    docs/states.md draws what leads from one to another; db/steps/lifecycle.py is the only place where it happens.
    """

    QUEUED = "queued"
    """Stored; no item has been recorded yet."""
    RUNNING = "running"
    """At least one item has been recorded, and some are pending or are not yet read from the source."""
    COMPLETED = "completed"
    """Every item is terminal. Some may have failed: the counts say so. Trying those again makes it running again."""
    CANCELED = "canceled"
    """A person stopped it, and nothing of it runs any more."""
    FAILED = "failed"
    """Its source could not be read at all; `error` says why."""


TERMINAL = (JobStatus.COMPLETED, JobStatus.CANCELED, JobStatus.FAILED)


class JobSource(StrEnum):
    """Where a job's pictures come from."""

    CLASSIFICATION = "classification"
    """One picture that somebody waits for."""
    UPLOADS = "uploads"
    """Files in the request itself."""
    ARCHIVE = "archive"
    """A ZIP or TAR file, expanded by a worker."""
    MANIFEST = "manifest"
    """A CSV or JSONL file of URLs, read by a worker."""
    ITEMS = "items"
    """URLs in the request itself."""
    CRAWL = "crawl"
    """A shop's pages, visited by a worker."""


UNLINKED = text(
    "duplicates IS NULL AND status IN ('completed', 'canceled', 'failed') AND deleted_at IS NULL AND purged_at IS NULL"
)
"""Jobs that are over, and whose duplicates are still to be found."""


class Priority(StrEnum):
    """Which queue a job's chunks go through."""

    INTERACTIVE = "interactive"
    """Ahead of all bulk work; only single classifications."""
    NORMAL = "normal"
    """Bulk work."""
    LOW = "low"
    """Bulk work that waits for other bulk work."""


class Job(Base):
    """One submission of many pictures.

    The counts always add up: total = pending + succeeded + failed + canceled.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("total = pending + succeeded + failed + canceled", name="counts_add_up"),
        CheckConstraint("pending >= 0 AND reused <= succeeded", name="counts_sane"),
        Index(None, "status"),
        Index(None, "source", "id"),
        Index(None, "expires_at"),
        Index(None, "deleted_at"),
        Index(None, "key_id", "id"),
        Index("ix_jobs_unlinked", "id", sqlite_where=UNLINKED, postgresql_where=UNLINKED),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    source: Mapped[JobSource] = mapped_column(enum(JobSource, "source"))
    status: Mapped[JobStatus] = mapped_column(enum(JobStatus, "status"), default=JobStatus.QUEUED)
    priority: Mapped[Priority] = mapped_column(enum(Priority, "priority"), default=Priority.NORMAL)
    discovering: Mapped[bool] = mapped_column(default=False)
    """Whether an archive, manifest or crawl is still adding items."""
    total: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    canceled: Mapped[int] = mapped_column(default=0)
    reused: Mapped[int] = mapped_column(default=0)
    """Succeeded items whose prediction was already known."""
    duplicates: Mapped[int | None]
    """Items that show the same picture as an earlier one; None until they were looked for, after the job's end."""
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    top_k: Mapped[int] = mapped_column(default=5)
    """How many labels each item's prediction shows."""
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    """The client's own object (`metadata` in the API; SQLAlchemy keeps that name for itself)."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revision: Mapped[int] = mapped_column(default=0)
    """Raised by every change: the ETag."""
    rate: Mapped[float | None]
    """Items per second over the last stretch of at least `db.steps.recording.RATE_STRETCH`."""
    rate_at: Mapped[datetime | None]
    """When the present stretch began, and `rate_done`: how many items were terminal then."""
    rate_done: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    """When a worker took up the first chunk to be recorded."""
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    """From then on a job that is terminal is gone (410), and the purger removes what belongs to it."""
    cancel_requested_at: Mapped[datetime | None]
    """Somebody wants it to stop; it is canceled once no worker has anything of it in hand."""
    deleted_at: Mapped[datetime | None]
    """Somebody deleted it: it is not there any more, for anyone but the purger."""
    purged_at: Mapped[datetime | None]
    """Its items are removed; the row stays to say that it expired."""
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """`{"url", "events"}`: whom to tell of its end."""
    key_id: Mapped[str | None] = mapped_column(String(40))
    """Whose it is (keys are revoked, never removed); None if it was submitted without a key."""

    model_version: Mapped[ModelVersion] = relationship(lazy="joined")
    crawl: Mapped[Crawl | None] = relationship(viewonly=True)
    """Of a crawl; read when asked for."""

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    def expired(self, now: datetime) -> bool:
        """Whether it is past retention."""
        return self.terminal and self.expires_at is not None and self.expires_at <= now


class Stage(StrEnum):
    """What the next worker does with a chunk: fetch -> classify."""

    FETCH = "fetch"
    """Download the pictures that are known by their URL only."""
    CLASSIFY = "classify"
    """Decode, batch, predict, record."""


class Chunk(Base):
    """Items on their way: queued in Redis or in the hands of a worker. Recorded chunks are deleted."""

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "job_id"), Index(None, "due_at"), Index(None, "taken_by"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    stage: Mapped[Stage] = mapped_column(enum(Stage, "stage"), default=Stage.CLASSIFY)
    taken_by: Mapped[str | None] = mapped_column(String(200))
    """The worker that has it in hand; None while it is queued."""
    queued_at: Mapped[datetime | None]
    """When its message was sent (last); None if there is none in Redis."""
    due_at: Mapped[datetime]
    """When the sweeper looks at it. In hand: the end of the worker's lease, unless it is renewed."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken it up."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt ended without its being recorded."""


class Discovery(Base):
    """A source that is on its way to become items of its job: an archive or a manifest.

    It is over when its job is not `discovering` any more: the purger removes it then, and its bytes.
    """

    __tablename__ = "discoveries"
    __table_args__ = (Index(None, "due_at"), Index(None, "blob_sha256"))

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    """The bytes of the source."""
    file_name: Mapped[str] = mapped_column(Text)
    """As it was uploaded: text to show, never a path."""
    position: Mapped[int] = mapped_column(default=0)
    """How many members or rows have become items (or were passed over): where the next attempt goes on."""
    taken_by: Mapped[str | None] = mapped_column(String(200))
    """The worker that has it in hand; None while it is queued."""
    due_at: Mapped[datetime]
    """Waiting: from when on a worker may take it up. In hand: the end of the worker's lease, unless it is renewed."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken it up since it last got on."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt ended."""


class LabelTally(Base):
    """How many items of a job have a label with a confidence in a bin: kept with the items, so that none is counted."""

    __tablename__ = "label_tallies"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    label: Mapped[str] = mapped_column(String(100), primary_key=True)
    bin: Mapped[int] = mapped_column(primary_key=True)
    """Which of the bins of the confidence histogram."""
    label_group: Mapped[str] = mapped_column(String(100))
    count: Mapped[int]
    confidence_sum: Mapped[float]


class ErrorTally(Base):
    """How many items of a job have failed with a code."""

    __tablename__ = "error_tallies"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(String(50), primary_key=True)
    count: Mapped[int]
