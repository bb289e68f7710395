"""The tables. The database is the truth: whatever Redis loses can be found again from here."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class JobStatus(StrEnum):
    """queued -> running -> completed | canceled | failed. The right-hand three are terminal.

    docs/states.md draws what leads from one to another; db/lifecycle.py is the only place where it happens.
    """

    QUEUED = "queued"
    """Stored; no item has been recorded yet."""
    RUNNING = "running"
    """At least one item has been recorded, and some are pending (or are still being discovered)."""
    COMPLETED = "completed"
    """Every item is terminal. Some may have failed: the counts say so. Trying those again makes it running again."""
    CANCELED = "canceled"
    """A person stopped it, and nothing of it runs any more."""
    FAILED = "failed"
    """Its source could not be read at all; `error` says why."""


TERMINAL = (JobStatus.COMPLETED, JobStatus.CANCELED, JobStatus.FAILED)


class ItemStatus(StrEnum):
    """pending -> succeeded | failed | canceled. The right-hand three are terminal."""

    PENDING = "pending"
    """Waiting, or in the hands of a worker."""
    SUCCEEDED = "succeeded"
    """Has a prediction."""
    FAILED = "failed"
    """Cannot be classified; `error_code` says why."""
    CANCELED = "canceled"
    """Its job was canceled before it was classified."""


class JobSource(StrEnum):
    """Where a job's pictures come from."""

    CLASSIFICATION = "classification"
    """One picture that somebody waits for."""
    UPLOADS = "uploads"
    """Files in the request itself."""


class Priority(StrEnum):
    """Which queue a job's chunks go through."""

    INTERACTIVE = "interactive"
    """Ahead of all bulk work; only single classifications."""
    NORMAL = "normal"
    """Bulk work."""
    LOW = "low"
    """Bulk work that waits for other bulk work."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC: timezone-aware in Python on every database (SQLite keeps no zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it from the class)
        datetime: UtcDateTime(),
        dict[str, Any]: JSON(),
        list[Any]: JSON(),
    }


def _enum(kind: type[StrEnum], name: str) -> Enum:
    return Enum(kind, name=name, native_enum=False, length=20, values_callable=lambda e: [m.value for m in e])


class ModelVersion(Base):
    """One immutable model artifact, as its files say, so that the API need not read them."""

    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("name", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the artifact's manifest, in hex."""
    taxonomy: Mapped[dict[str, Any]]
    """`labels.json`: name, version, groups and labels in the order of the model's output."""
    input: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    """Read, like `card`, when somebody looks at the model: every job loads its version, and these are large."""
    card: Mapped[str] = mapped_column(Text, deferred=True)
    created_at: Mapped[datetime]

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"


class ModelAlias(Base):
    """A movable name for a model version, such as `production`."""

    __tablename__ = "model_aliases"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    model_version: Mapped[ModelVersion] = relationship(lazy="joined")


class Blob(Base):
    """Bytes in the blob store. Format and size are known once a decoder has opened the picture."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int]
    format: Mapped[str | None] = mapped_column(String(20))
    width: Mapped[int | None]
    """Pixels as a person sees the picture (after EXIF rotation); so is `height`."""
    height: Mapped[int | None]
    created_at: Mapped[datetime]


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
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    source: Mapped[JobSource] = mapped_column(_enum(JobSource, "source"))
    status: Mapped[JobStatus] = mapped_column(_enum(JobStatus, "status"), default=JobStatus.QUEUED)
    priority: Mapped[Priority] = mapped_column(_enum(Priority, "priority"), default=Priority.NORMAL)
    discovering: Mapped[bool] = mapped_column(default=False)
    """Whether an archive, manifest or crawl is still adding items."""
    total: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)
    succeeded: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    canceled: Mapped[int] = mapped_column(default=0)
    reused: Mapped[int] = mapped_column(default=0)
    """Succeeded items whose prediction was already known."""
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    top_k: Mapped[int] = mapped_column(default=5)
    """How many labels each item's prediction shows."""
    details: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    """The client's own object (`metadata` in the API; SQLAlchemy keeps that name for itself)."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    revision: Mapped[int] = mapped_column(default=0)
    """Raised by every change: the ETag."""
    rate: Mapped[float | None]
    """Items per second over the last stretch of at least `db.recording.RATE_STRETCH`."""
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

    model_version: Mapped[ModelVersion] = relationship(lazy="joined")

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    def expired(self, now: datetime) -> bool:
        """Whether it is past retention."""
        return self.terminal and self.expires_at is not None and self.expires_at <= now


class Chunk(Base):
    """Items on their way: queued in Redis or in the hands of a worker. Recorded chunks are deleted."""

    __tablename__ = "chunks"
    __table_args__ = (Index(None, "job_id"), Index(None, "due_at"), Index(None, "taken_by"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
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


class Prediction(Base):
    """What one model version says of one blob under one crop: computed once, pointed at by many items."""

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("blob_sha256", "crop_key", "model_version_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    crop_key: Mapped[str] = mapped_column(String(80))
    """`core.types.Crop.key`, or the empty string for the whole picture."""
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    label: Mapped[str] = mapped_column(String(100))
    label_group: Mapped[str] = mapped_column(String(100))
    confidence: Mapped[float]
    scores: Mapped[list[Any]]
    """Softmax scores in the order of the model's labels."""
    created_at: Mapped[datetime]


class Item(Base):
    """One picture within a job."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        Index(
            "ix_items_unclaimed",
            "job_id",
            "position",
            sqlite_where=text("status = 'pending' AND chunk_id IS NULL"),
            postgresql_where=text("status = 'pending' AND chunk_id IS NULL"),
        ),
        Index(None, "chunk_id"),
        Index(None, "job_id", "status", "position"),
        Index(None, "blob_sha256"),
        CheckConstraint("status != 'succeeded' OR prediction_id IS NOT NULL", name="succeeded_has_prediction"),
        CheckConstraint("status != 'failed' OR error_code IS NOT NULL", name="failed_has_error"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    status: Mapped[ItemStatus] = mapped_column(_enum(ItemStatus, "status"), default=ItemStatus.PENDING)
    chunk_id: Mapped[str | None] = mapped_column(String(40))
    """The chunk that it travels or has travelled in; None while it waits in the database."""
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    """None where the bytes were refused (too large): such an item is failed from the start."""
    crop_key: Mapped[str] = mapped_column(String(80), default="")
    source_name: Mapped[str] = mapped_column(Text)
    """The uploaded file's name: text to show, never a path."""
    prediction_id: Mapped[str | None] = mapped_column(ForeignKey("predictions.id"))
    reused: Mapped[bool] = mapped_column(default=False)
    label: Mapped[str | None] = mapped_column(String(100))
    """The prediction's label, group and confidence again: filters and sorting need them beside `job_id`."""
    label_group: Mapped[str | None] = mapped_column(String(100))
    confidence: Mapped[float | None]
    error_code: Mapped[str | None] = mapped_column(String(50))
    error_detail: Mapped[str | None] = mapped_column(Text)
    error_retryable: Mapped[bool | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    blob: Mapped[Blob | None] = relationship()
    prediction: Mapped[Prediction | None] = relationship()
    job: Mapped[Job] = relationship()


class JobEvent(StrEnum):
    """What a webhook is told of: the ends that a job can come to."""

    COMPLETED = "job.completed"
    CANCELED = "job.canceled"
    FAILED = "job.failed"


class DeliveryStatus(StrEnum):
    """pending -> delivered | failed | disabled; db/webhooks.py is the only place where it changes."""

    PENDING = "pending"
    """To be sent, now or at `next_attempt_at`."""
    DELIVERED = "delivered"
    """The receiver has answered with a 2xx."""
    FAILED = "failed"
    """Given up after a day of attempts, or at once where trying again could not help."""
    DISABLED = "disabled"
    """The receiver wants no more of this job (410)."""


class Delivery(Base):
    """One end of a job that is to be told to its webhook: the outbox."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(None, "job_id", "id"),
        Index(None, "next_attempt_at"),
        CheckConstraint("(status = 'pending') = (next_attempt_at IS NOT NULL)", name="pending_is_due_some_time"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """Sent as `webhook-id`: the same in every attempt."""
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    event: Mapped[JobEvent] = mapped_column(_enum(JobEvent, "event"))
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text, deferred=True)
    """What is signed and sent, to the byte (ASCII)."""
    status: Mapped[DeliveryStatus] = mapped_column(_enum(DeliveryStatus, "status"), default=DeliveryStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has taken it up since it was made, or replayed."""
    next_attempt_at: Mapped[datetime | None]
    """When it is due. While a worker has it in hand: when that worker's lease ends."""
    last_status: Mapped[int | None]
    """The status of HTTP that the last attempt was answered with; None if it was not answered."""
    last_error: Mapped[str | None] = mapped_column(Text)
    """Why the last attempt failed."""
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]


class Secret(Base):
    """What this installation made for itself, and nobody else may know."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
