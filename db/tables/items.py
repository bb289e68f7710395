"""Items: one picture within a job each; the blobs that they show, what is predicted of them and what people say."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.fingerprints import BANDS, Fingerprint
from db.tables.base import Base, enum
from db.tables.jobs import Job

BAND_COLUMNS = tuple(f"band_{number}" for number in range(BANDS))


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


class Blob(Base):
    """Bytes in the blob store. Format and size are known once a decoder has opened the picture."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[str | None] = mapped_column(String(20))
    width: Mapped[int | None]
    """Pixels as a person sees the picture (after EXIF rotation); so is `height`."""
    height: Mapped[int | None]
    fingerprint: Mapped[Fingerprint | None]
    """By which the same picture is recognised in other bytes (core/fingerprints.py). None until it was decoded,
    and of a picture that shows next to nothing."""
    created_at: Mapped[datetime]


class BlobBands(Base):
    """The bands of a blob's fingerprint, each with an index: pictures that agree in one may be the same.

    Added after the job that brought the blob has ended; a blob whose row is missing is not found yet.
    """

    __tablename__ = "blob_bands"
    __table_args__ = tuple(Index(None, name) for name in BAND_COLUMNS)

    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256", ondelete="CASCADE"), primary_key=True)
    band_0: Mapped[int]
    band_1: Mapped[int]
    band_2: Mapped[int]
    band_3: Mapped[int]
    band_4: Mapped[int]
    band_5: Mapped[int]
    band_6: Mapped[int]
    band_7: Mapped[int]


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


def _partial(where: str, *columns: str) -> Index:
    return Index(None, *columns, sqlite_where=text(where), postgresql_where=text(where))


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
        # Those of pages, each in one order (db/views/item_pages.py). An item enters them when recorded, not before.
        _partial("label IS NOT NULL", "job_id", "label", "position"),
        _partial("label IS NOT NULL", "job_id", "label", "confidence", "position"),
        _partial("confidence IS NOT NULL", "job_id", "confidence", "position"),
        Index(None, "blob_sha256"),
        CheckConstraint("status != 'succeeded' OR prediction_id IS NOT NULL", name="succeeded_has_prediction"),
        CheckConstraint("status != 'failed' OR error_code IS NOT NULL", name="failed_has_error"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    status: Mapped[ItemStatus] = mapped_column(enum(ItemStatus, "status"), default=ItemStatus.PENDING)
    chunk_id: Mapped[str | None] = mapped_column(String(40))
    """The chunk that it travels or has travelled in; None while it waits in the database."""
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    """None while they are still to be downloaded, and of an item that failed before there were any."""
    crop_key: Mapped[str] = mapped_column(String(80), default="")
    custom_id: Mapped[str | None] = mapped_column(Text)
    """The client's own name for it."""
    source_name: Mapped[str] = mapped_column(Text)
    """The uploaded file's name, the archive member's path or the last part of the URL: text to show, never a path."""
    source_url: Mapped[str | None] = mapped_column(Text)
    """Where its bytes are downloaded from; None if they came with the job."""
    provenance: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What else is known of where it came from: `page_url`, `title`, `price`, `currency`, `alt`, as far as given."""
    details: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSON(none_as_null=True))
    """The client's own object (`metadata` in the API; SQLAlchemy keeps that name for itself)."""
    prediction_id: Mapped[str | None] = mapped_column(ForeignKey("predictions.id"))
    reused: Mapped[bool] = mapped_column(default=False)
    label: Mapped[str | None] = mapped_column(String(100))
    """The prediction's label, group and confidence again: filters and sorting need them beside `job_id`."""
    label_group: Mapped[str | None] = mapped_column(String(100))
    confidence: Mapped[float | None]
    duplicate_of: Mapped[str | None] = mapped_column(String(40))
    """The item of the same job that showed the same picture first; None if this one did, or it is not known yet."""
    error_code: Mapped[str | None] = mapped_column(String(50))
    error_detail: Mapped[str | None] = mapped_column(Text)
    error_retryable: Mapped[bool | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    blob: Mapped[Blob | None] = relationship()
    prediction: Mapped[Prediction | None] = relationship()
    review: Mapped[Review | None] = relationship(back_populates="item")
    job: Mapped[Job] = relationship()


class Review(Base):
    """A person's verdict on an item's prediction: another label (or the same), or that none fits."""

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("item_id"),
        Index(None, "job_id", "position"),
        CheckConstraint("(label IS NULL) = rejected", name="label_or_rejected"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """The item's job and position again: lists and filters need them beside each other."""
    position: Mapped[int]
    label: Mapped[str | None] = mapped_column(String(100))
    rejected: Mapped[bool]
    key_id: Mapped[str | None] = mapped_column(String(40))
    """Who; None if it was given without a key."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    item: Mapped[Item] = relationship(back_populates="review")
