"""Jobs, the chunks of their items, the sources that are still being read, and the tallies of items."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, text, true
from sqlalchemy.orm import Mapped, foreign, mapped_column, relationship

from db.tables.acceptances import Acceptance
from db.tables.access import ApiKey
from db.tables.base import Base, enum
from db.tables.crawls import Crawl
from db.tables.model_versions import ModelVersion


class JobStatus(StrEnum):
    """queued -> running -> completed | canceled | failed. In the last three, the job is finished.

    docs/states.md draws the transitions. Only db/steps/lifecycle.py makes them.
    """

    QUEUED = "queued"
    """The job is stored, and no item has been recorded yet."""
    RUNNING = "running"
    """At least one item has been recorded. Others are pending, or are not yet read from the source."""
    COMPLETED = "completed"
    """Every item is finished. Some may have failed, and the counts show how many. A retry makes the job run again."""
    CANCELED = "canceled"
    """A person stopped the job, and no worker holds any of its items."""
    FAILED = "failed"
    """The source could not be read at all. `error` says why."""


FINISHED = (JobStatus.COMPLETED, JobStatus.CANCELED, JobStatus.FAILED)


class JobSource(StrEnum):
    """The origin of a job's pictures."""

    CLASSIFICATION = "classification"
    """One picture, for which a client waits."""
    UPLOADS = "uploads"
    """Files in the request itself."""
    ARCHIVE = "archive"
    """A ZIP or TAR file, read by a worker."""
    MANIFEST = "manifest"
    """A CSV or JSONL file of URLs, read by a worker."""
    ITEMS = "items"
    """URLs in the request itself."""
    CRAWL = "crawl"
    """A shop's pages, visited by a worker."""
    RERUN = "rerun"
    """The stored pictures of another job."""


UNLINKED = text(
    "duplicates IS NULL AND status IN ('completed', 'canceled', 'failed') AND deleted_at IS NULL AND purged_at IS NULL"
)
"""The condition for finished jobs whose duplicates are not found yet."""


class Priority(StrEnum):
    """The priority of a job. It determines the queue of the job's chunks."""

    INTERACTIVE = "interactive"
    """Goes before all bulk work. Only single classifications have it."""
    NORMAL = "normal"
    """Bulk work."""
    LOW = "low"
    """Bulk work that goes after all other bulk work."""


class Job(Base):
    """One submission of pictures. Always total = pending + succeeded + failed + canceled."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("total = pending + succeeded + failed + canceled", name="counts_add_up"),
        CheckConstraint("pending >= 0 AND reused <= succeeded", name="counts_sane"),
        Index(None, "status"),
        Index(None, "source", "id"),
        Index(None, "expires_at"),
        Index(None, "open_until"),
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
    """Whether an archive, a manifest, a crawl or, while the job is open, its client still adds items."""
    open_until: Mapped[datetime | None]
    """Until then the client of an open job may add items. Each addition moves it. None: the job is not open."""
    total: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    canceled: Mapped[int] = mapped_column(default=0)
    reused: Mapped[int] = mapped_column(default=0)
    """How many succeeded items have a prediction that existed before."""
    retryable: Mapped[int] = mapped_column(default=0)
    """How many failed items a retry would take: those with `error_retryable`."""
    left_out: Mapped[int] = mapped_column(default=0, server_default="0")
    """How many files of an archive are no pictures. They are no items."""
    columns: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    """Column -> field: what the columns of the manifest mean, first as the client says, then as a worker has understood
    them. None without a manifest."""
    duplicates: Mapped[int | None]
    """How many items show the same picture as an earlier one. None until the linker has run, after the job's end."""
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    top_k: Mapped[int] = mapped_column(default=5)
    """How many labels are shown for each prediction."""
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    """The client's own object (`metadata` in the API, because SQLAlchemy reserves that name)."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revision: Mapped[int] = mapped_column(default=0)
    """Increased by every change of the job. It is the ETag."""
    rate: Mapped[float | None]
    """Items per second in the last interval of at least `db.steps.lifecycle.RATE_INTERVAL`. Of a finished job: its
    succeeded and failed items per second of `run_seconds`. None if it never ran."""
    rate_at: Mapped[datetime | None]
    """When the current interval started."""
    rate_done: Mapped[int] = mapped_column(default=0)
    """Number of items that were finished at `rate_at`."""
    run_seconds: Mapped[float] = mapped_column(default=0.0)
    """For how long the job ran until its last end. A job that is retried runs several times."""
    run_at: Mapped[datetime | None]
    """When the present run began: a worker took up the chunk that was recorded first. None while it does not run."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    """When the first run began."""
    finished_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    """From then on a finished job is answered with 410, and the purger removes its items."""
    cancel_requested_at: Mapped[datetime | None]
    """When a person canceled the job. It is canceled once no worker holds any of its items."""
    deleted_at: Mapped[datetime | None]
    """When a person deleted the job. From then on only the purger sees it."""
    purged_at: Mapped[datetime | None]
    """When the items of an expired job were removed. The row stays, so that the job is still answered with 410."""
    webhook: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """`{"url", "events"}`: where to send which ends of the job. None: nowhere."""
    key_id: Mapped[str | None] = mapped_column(String(40))
    """The owner (`ApiKey.owner`), which is the id of its first key unless it was given a name. None: submitted without
    a key."""
    products: Mapped[int] = mapped_column(default=0, server_default="0")
    """The products that its items show (`Product`)."""
    vectors: Mapped[bool] = mapped_column(default=True, server_default=true())
    """Whether the vectors of its pictures are stored with their predictions (`Vector`)."""
    rerun_of: Mapped[str | None] = mapped_column(String(40))
    """The job whose pictures this one classifies again. It may have been deleted since."""

    model_version: Mapped[ModelVersion] = relationship(lazy="joined")
    failures: Mapped[list[ErrorTally]] = relationship(
        primaryjoin=lambda: (ErrorTally.job_id == Job.id) & (ErrorTally.count > 0),
        order_by=lambda: (ErrorTally.count.desc(), ErrorTally.code),
        viewonly=True,
    )
    """The error codes of its failed items, the most frequent one first."""
    acceptance: Mapped[Acceptance | None] = relationship(viewonly=True)
    """The policy by which its predictions are accepted. Read when it is first used."""
    first_key: Mapped[ApiKey | None] = relationship(
        primaryjoin=lambda: foreign(Job.key_id) == ApiKey.id, viewonly=True, lazy="select"
    )
    crawl: Mapped[Crawl | None] = relationship(viewonly=True)
    """Only of a crawl. Unlike `model_version`, it is read when it is first used."""

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def duration(self, now: datetime) -> float:
        """Return for how many seconds the job has run, in all its runs together."""
        return self.run_seconds + (0.0 if self.run_at is None else max(0.0, (now - self.run_at).total_seconds()))

    def expired(self, now: datetime) -> bool:
        """Return whether the job is finished and past its retention."""
        return self.finished and self.expires_at is not None and self.expires_at <= now


class Stage(StrEnum):
    """The work that the next worker does on a chunk: first fetch, then classify."""

    FETCH = "fetch"
    """Download the pictures of which only the URL is known."""
    CLASSIFY = "classify"
    """Decode, batch, predict, record."""


class Chunk(Base):
    """Items that travel in one message: queued in Redis, or held by a worker. A recorded chunk is deleted."""

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "job_id"), Index(None, "due_at"), Index(None, "taken_by"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    stage: Mapped[Stage] = mapped_column(enum(Stage, "stage"), default=Stage.CLASSIFY)
    taken_by: Mapped[str | None] = mapped_column(String(200))
    """The worker that holds the chunk. None while it is queued."""
    queued_at: Mapped[datetime | None]
    """When its message was last sent. None if Redis holds no message for it."""
    due_at: Mapped[datetime]
    """When the sweeper looks at the chunk. While a worker holds it, this is the end of the lease."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken up the chunk."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt ended before the chunk was recorded."""


class Discovery(Base):
    """A source (archive, manifest or crawl) from which items of its job are still made.

    It has ended when its job is no longer `discovering`. The purger then removes it together with its bytes.
    """

    __tablename__ = "discoveries"
    __table_args__ = (Index(None, "due_at"), Index(None, "blob_sha256"))

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    """The bytes of the source. None for a crawl."""
    file_name: Mapped[str] = mapped_column(Text)
    """The name of the uploaded file, or the first start URL of a crawl. It is only shown, and never used as a path."""
    position: Mapped[int] = mapped_column(default=0)
    """How many members or rows have been read (for a crawl: settled URLs). The next attempt continues there."""
    taken_by: Mapped[str | None] = mapped_column(String(200))
    """The worker that holds the source. None while it waits."""
    due_at: Mapped[datetime]
    """While it waits: from when on a worker may take it up. While a worker holds it: the end of the lease."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken up the source since `position` last grew."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt ended."""


REJECTED = ""
"""The label under which the tallies count items for which a person said that no label fits."""


class LabelTally(Base):
    """How many items of a job are listed under a label, with a confidence in a bin.

    Stored, because counting items would be slow.
    """

    __tablename__ = "label_tallies"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    label: Mapped[str] = mapped_column(String(100), primary_key=True)
    """Or `REJECTED`."""
    bin: Mapped[int] = mapped_column(primary_key=True)
    """The number of the bin in the confidence histogram."""
    label_group: Mapped[str] = mapped_column(String(100))
    count: Mapped[int]
    confidence_sum: Mapped[float]


class ErrorTally(Base):
    """How many items of a job have failed with an error code, and how many of these a retry would take."""

    __tablename__ = "error_tallies"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(String(50), primary_key=True)
    count: Mapped[int]
    retryable: Mapped[int] = mapped_column(default=0)
