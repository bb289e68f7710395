"""Lessons: teach a model from reviews, calibrate it, or find out what a version would change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiflask import APIBlueprint
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.problems import Problem, invalid_field_problem, not_found_problem
from api.door.access import caller, require_job
from api.schemas.common import Answer, PageQuery
from api.schemas.teaching import CalibratedOut, LessonIn, LessonOut, LessonsOut, RescoredOut, TaughtOut
from api.services import current_services
from broker.dispatch import run_task_soon
from core.clock import utc_now
from core.messages import GIVE_LESSONS
from db import model_versions
from db.steps import lessons
from db.tables import Job, Lesson, LessonKind, ModelVersion
from db.views.jobs import is_kept
from db.views.labels import labels_of

bp = APIBlueprint("lessons", __name__, tag="Teaching")

TAUGHT = "-taught"
"""The end of the names under which taught versions are published, unless the request names another one."""

_MOST_JOBS = 100_000
"""Jobs that are read if a request names none: the newest ones."""


@bp.post("/v1/lessons")
@bp.input(LessonIn)
@bp.output(LessonOut, status_code=202, description="The lesson is stored, and a worker computes it")
@bp.doc(
    summary="Teach a model from reviews, calibrate it, or find out what a version would change",
    description="A worker computes it from reviews and stored vectors, and opens no picture. Poll the lesson until it "
    "is `completed` or `failed`. `teach` and `calibrate` publish a model version, which nothing uses until it is "
    "promoted.",
    operation_id="create_lesson",
    responses={
        403: "The name has versions that are not yours",
        404: "You have no such job",
        409: "The model cannot be taught, or too many lessons wait",
        410: "A job has expired",
    },
)
def create_lesson(json_data: LessonIn) -> Answer:
    with current_services().database.writing() as session:
        jobs = [require_job(session, job_id) for job_id in dict.fromkeys(json_data.jobs)]
        version = model_versions.resolve(session, json_data.model) if json_data.model else jobs[0].model_version
        job_ids = [job.id for job in jobs] or _visible_jobs(session)
        options: dict[str, Any] = {"everything": not jobs}
        if json_data.kind != LessonKind.RESCORE:
            name = json_data.name or _default_name(json_data.kind, version)
            _check_name(session, name)
            options |= {"name": name, "keep_labels": json_data.keep_labels, "rejected_as": json_data.rejected_as}
        if json_data.rejected_as is not None:
            _check_label(jobs, json_data.rejected_as)
        lesson = lessons.create(session, caller().owner, json_data.kind, version, job_ids, options, utc_now())
        body = lesson_out(lesson)
    run_task_soon(current_services().broker, GIVE_LESSONS)
    return body, 202, {"Location": f"/v1/lessons/{body.id}"}


@bp.get("/v1/lessons")
@bp.input(PageQuery, location="query")
@bp.output(LessonsOut)
@bp.doc(summary="List lessons, newest first", operation_id="list_lessons")
def list_lessons(query_data: PageQuery) -> Answer:
    before = decode_cursor_value(query_data.cursor, "before", str)
    with current_services().database.reading() as session:
        rows = lessons.list_newest(session, caller(), before, query_data.limit + 1)
        page, next_cursor = cut_page(rows, query_data.limit, lambda row: {"before": row.id})
        body = LessonsOut(data=[lesson_out(row) for row in page], next_cursor=next_cursor)
    return body, 200, link_header(next_cursor)


@bp.get("/v1/lessons/<lesson_id>")
@bp.output(LessonOut)
@bp.doc(summary="Get a lesson, with its result when it is completed", operation_id="get_lesson")
def get_lesson(lesson_id: str) -> Answer:
    with current_services().database.reading() as session:
        lesson = lessons.get_visible(session, caller(), lesson_id)
        if lesson is None:
            raise not_found_problem("lesson", lesson_id)
        return lesson_out(lesson)


def _default_name(kind: LessonKind, version: ModelVersion) -> str:
    return version.name if kind == LessonKind.CALIBRATE or version.name.endswith(TAUGHT) else version.name + TAUGHT


def _check_name(session: Session, name: str) -> None:
    if not lessons.may_publish(session, caller(), name):
        detail = (
            f"The name {name!r} stands for the newest of its versions, and these are not all yours. Choose another "
            "`name`, or use a key with the scope `admin`."
        )
        raise Problem(403, "name_taken", detail)


def _check_label(jobs: Sequence[Job], label: str) -> None:
    known = {row["id"] for job in jobs for row in labels_of(job)}
    if label not in known:
        raise invalid_field_problem(
            "rejected_as", f"expected one of {', '.join(sorted(known))}; got {label!r}", "unknown_label"
        )


def _visible_jobs(session: Session) -> list[str]:
    query = select(Job.id).where(caller().sees_job, is_kept(utc_now())).order_by(Job.id.desc()).limit(_MOST_JOBS)
    return list(session.scalars(query))


def lesson_out(lesson: Lesson) -> LessonOut:
    """Return a lesson as the API answers it."""
    result = lesson.result
    return LessonOut(
        id=lesson.id,
        kind=lesson.kind,
        status=lesson.status,
        model=lesson.model_version.ref,
        jobs=[] if lesson.options["everything"] else lesson.job_ids,
        name=lesson.options.get("name"),
        done=lesson.done,
        error=lesson.error,
        published=None if lesson.published is None else lesson.published.ref,
        taught=TaughtOut(**result) if result and lesson.kind == LessonKind.TEACH else None,
        calibrated=CalibratedOut(**result) if result and lesson.kind == LessonKind.CALIBRATE else None,
        rescored=RescoredOut(**result) if result and lesson.kind == LessonKind.RESCORE else None,
        created_at=lesson.created_at,
        finished_at=lesson.finished_at,
    )
