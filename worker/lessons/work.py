"""A lesson as a worker computes it: its order, and what all kinds of lessons need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from classifier.artifact import Artifact
from core.clock import utc_now
from core.settings import Settings
from core.types import ModelRef
from db import model_versions
from db.database import Database
from db.steps import lessons
from db.tables import Lesson, LessonKind, ModelVersion
from worker.predicting.model_store import describe, open_model_store, open_registered, store_artifact


@dataclass(frozen=True, slots=True)
class Order:
    """What a lesson shall compute."""

    id: str
    owner: str | None
    kind: LessonKind
    ref: ModelRef
    version_id: int
    digest: str
    backbone: str | None
    job_ids: list[str]
    options: Mapping[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, lesson: Lesson) -> Self:
        version = lesson.model_version
        return cls(
            lesson.id,
            lesson.key_id,
            lesson.kind,
            ModelRef(version.name, version.version),
            version.id,
            version.digest,
            version.backbone,
            list(lesson.job_ids),
            lesson.options,
            lesson.created_at,
        )

    def report(self, database: Database, done: int) -> None:
        """Store how many items have been read."""
        with database.writing() as session:
            lessons.report(session, self.id, done, utc_now())


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a lesson. `artifact` is the version that it has published."""

    result: dict[str, Any]
    artifact: Artifact | None = None


def open_version(settings: Settings, order: Order) -> Artifact:
    """Return the artifact of the version that a lesson starts from or compares with."""
    return open_registered(settings, order.ref, order.digest)


def backbones(session: Session) -> dict[int, str | None]:
    """Return the backbone of each model version, by its id."""
    return {version.id: version.backbone for version in session.scalars(select(ModelVersion))}


def least_number(session: Session, name: str) -> int:
    """Return the number that the next version of a name has at least, so that no other host has used it."""
    numbers = session.scalars(select(ModelVersion.version).where(ModelVersion.name == name))
    return 1 + max((int(number) for number in numbers if number.isdecimal()), default=0)


def make_available(settings: Settings, session: Session, artifact: Artifact) -> ModelVersion:
    """Register a published artifact, and put it into the bucket if the installation has one."""
    store = open_model_store(settings)
    if store is not None:
        store_artifact(store, artifact)
    return model_versions.register(session, describe(artifact), utc_now())
