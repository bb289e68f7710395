"""The taxonomies that owners write themselves, and lessons: what workers compute from reviews and stored vectors."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from db.tables.base import Base, enum
from db.tables.model_versions import ModelVersion


class OwnTaxonomy(Base):
    """The labels and groups that an owner has added to those of the models. Reviews of its jobs may give them."""

    __tablename__ = "own_taxonomies"

    owner: Mapped[str] = mapped_column(String(40), primary_key=True)
    """`Job.key_id` of the owner's jobs. The empty text: jobs that were submitted without a key."""
    groups: Mapped[list[Any]]
    """In the form of `labels.json`."""
    labels: Mapped[list[Any]]
    updated_at: Mapped[datetime]


class LessonKind(StrEnum):
    """What a lesson computes."""

    TEACH = "teach"
    """Fit a new head on the reviewed items of jobs, and publish it as a model version."""
    CALIBRATE = "calibrate"
    """Fit the temperature of a model version on reviews, and publish the version with it."""
    RESCORE = "rescore"
    """Find out which labels a model version would change, without classifying anything."""


class LessonStatus(StrEnum):
    """queued -> running -> completed | failed. The last two are final."""

    QUEUED = "queued"
    """No worker has begun it."""
    RUNNING = "running"
    """A worker computes it, or did so until it died."""
    COMPLETED = "completed"
    """`result` has the outcome."""
    FAILED = "failed"
    """`error` says why."""


class Lesson(Base):
    """A computation from reviews and stored vectors. No picture is opened for it."""

    __tablename__ = "lessons"
    __table_args__ = (Index(None, "status", "id"), Index(None, "key_id", "id"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(String(40))
    """The owner, as in `Job.key_id`."""
    kind: Mapped[LessonKind] = mapped_column(enum(LessonKind, "kind"))
    status: Mapped[LessonStatus] = mapped_column(enum(LessonStatus, "status"), default=LessonStatus.QUEUED)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    """The version that is taught or calibrated, or the one whose labels are found out."""
    job_ids: Mapped[list[Any]]
    """The jobs whose items are read. The caller might see all of them when the lesson was created."""
    options: Mapped[dict[str, Any]]
    done: Mapped[int] = mapped_column(default=0)
    """Items that are read so far."""
    attempts: Mapped[int] = mapped_column(default=0)
    """How often a worker has begun it."""
    due_at: Mapped[datetime]
    """While a worker computes it: from then on another worker may begin it again."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    published_id: Mapped[int | None] = mapped_column(ForeignKey("model_versions.id"))
    """The version that it has published."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    model_version: Mapped[ModelVersion] = relationship(foreign_keys=model_version_id, lazy="joined")
    published: Mapped[ModelVersion | None] = relationship(foreign_keys=published_id, lazy="joined")

    @property
    def finished(self) -> bool:
        return self.status in {LessonStatus.COMPLETED, LessonStatus.FAILED}
