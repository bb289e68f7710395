"""Lessons: store them, hand them to workers, and store their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from core.errors import LessonRefused
from core.ids import new_id
from db.access.keys import Caller
from db.tables import Lesson, LessonKind, LessonStatus, ModelVersion, Scope

MAX_UNFINISHED = 5
"""Unfinished lessons of one owner."""
LEASE = timedelta(minutes=5)
"""How long a worker may compute without reporting progress. Another worker then begins the lesson again."""
MAX_ATTEMPTS = 2
"""A lesson that has ended two workers fails."""
_UNFINISHED = (LessonStatus.QUEUED, LessonStatus.RUNNING)


def create(
    session: Session,
    owner: str | None,
    kind: LessonKind,
    version: ModelVersion,
    job_ids: Sequence[str],
    options: Mapping[str, Any],
    now: datetime,
) -> Lesson:
    """Store a lesson that a worker shall compute.

    Raises:
        LessonRefused: The owner has too many unfinished ones, or the model has no embedding, which `TEACH` and
            `RESCORE` need.
    """
    if kind != LessonKind.CALIBRATE and not version.has_embedding:
        raise LessonRefused(
            f"the model {version.ref} has no embedding output, so its pictures have no vectors: expected a version "
            "that has one, such as those that this release trains or exports"
        )
    waiting = select(func.count()).where(Lesson.key_id.is_not_distinct_from(owner), Lesson.status.in_(_UNFINISHED))
    if session.scalars(waiting).one() >= MAX_UNFINISHED:
        raise LessonRefused(f"expected at most {MAX_UNFINISHED} unfinished lessons of one owner: wait for one to end")
    lesson = Lesson(
        id=new_id("lsn"),
        key_id=owner,
        kind=kind,
        status=LessonStatus.QUEUED,
        model_version=version,
        job_ids=list(job_ids),
        options=dict(options),
        done=0,
        attempts=0,
        due_at=now,
        created_at=now,
    )
    session.add(lesson)
    session.flush()
    return lesson


def get_visible(session: Session, caller: Caller, lesson_id: str) -> Lesson | None:
    """Return a lesson if the caller may see it."""
    return session.scalar(select(Lesson).where(Lesson.id == lesson_id, _seen_by(caller)))


def list_newest(session: Session, caller: Caller, before: str | None, limit: int) -> Sequence[Lesson]:
    """Return the lessons that the caller may see and that are older than the id `before`, newest first."""
    query = select(Lesson).where(_seen_by(caller))
    if before is not None:
        query = query.where(Lesson.id < before)
    return session.scalars(query.order_by(Lesson.id.desc()).limit(limit)).all()


def _seen_by(caller: Caller) -> ColumnElement[bool]:
    if caller.is_visitor or caller.signed_item is not None:
        return Lesson.id.is_(None)
    if caller.inherited_owners is None:
        return Lesson.id.is_not(None)
    own = Lesson.key_id == caller.owner
    if Scope.ADMIN not in caller.scopes:
        return own
    return own | Lesson.key_id.is_(None) | Lesson.key_id.in_(caller.inherited_owners)


def may_publish(session: Session, caller: Caller, name: str) -> bool:
    """Return whether a caller may publish a version under a name.

    A name of a model also stands for its newest version, so a new one concerns everybody who uses the name.
    Administrators may use every name. Others may use new names, and those whose versions all come from their lessons.
    """
    if Scope.ADMIN in caller.scopes:
        return True
    own = select(Lesson.published_id).where(Lesson.key_id == caller.owner, Lesson.published_id.is_not(None))
    foreign = select(ModelVersion.id).where(ModelVersion.name == name, ModelVersion.id.not_in(own)).limit(1)
    return session.scalar(foreign) is None


def take(session: Session, now: datetime) -> Lesson | None:
    """Hand out the oldest lesson that waits, or whose worker has not reported for too long. None: there is none.

    A lesson that has already ended `MAX_ATTEMPTS` workers fails.
    """
    abandoned = (Lesson.status == LessonStatus.RUNNING) & (Lesson.due_at <= now)
    waiting = select(Lesson).where((Lesson.status == LessonStatus.QUEUED) | abandoned).order_by(Lesson.id)
    for lesson in session.scalars(waiting.with_for_update(of=Lesson, skip_locked=True)):
        if lesson.attempts >= MAX_ATTEMPTS:
            _end(lesson, LessonStatus.FAILED, now)
            lesson.error = f"{lesson.attempts} workers ended while they computed it"
            continue
        lesson.status, lesson.due_at, lesson.done = LessonStatus.RUNNING, now + LEASE, 0
        lesson.attempts += 1
        session.flush()
        return lesson
    return None


def report(session: Session, lesson_id: str, done: int, now: datetime) -> None:
    """Store how many items a worker has read, and give it time for the next ones."""
    session.execute(update(Lesson).where(Lesson.id == lesson_id).values(done=done, due_at=now + LEASE))


def complete(
    session: Session, lesson_id: str, result: Mapping[str, Any], published: ModelVersion | None, now: datetime
) -> None:
    """Store the result of a lesson, and the version that it has published."""
    lesson = session.get_one(Lesson, lesson_id)
    _end(lesson, LessonStatus.COMPLETED, now)
    lesson.result, lesson.published = dict(result), published


def fail(session: Session, lesson_id: str, reason: str, now: datetime) -> None:
    """Store why a lesson has failed."""
    lesson = session.get_one(Lesson, lesson_id)
    _end(lesson, LessonStatus.FAILED, now)
    lesson.error = reason


def _end(lesson: Lesson, status: LessonStatus, now: datetime) -> None:
    lesson.status, lesson.finished_at = status, now
