"""Open jobs: adding pictures to them in several requests, and closing them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from apiflask import APIBlueprint
from flask import request

from api.answers.problems import Problem, validate_json
from api.answers.spec import ADDITION_BODY, ADDITION_FILES_BODY, IDEMPOTENCY_PARAMETER
from api.door.access import lock_job, require_job
from api.intake.idempotency import idempotent, record_created_job
from api.intake.submission import refuse_when_saturated, refuse_without_quota
from api.intake.uploads import current_uploads, expect_form, refuse_other_files, store_parts
from api.intake.url_items import read_items
from api.schemas.common import Answer
from api.schemas.jobs import AdditionIn, AdditionQuery
from api.services import current_services
from broker.dispatch import announce_end, dispatch
from core.clock import utc_now
from db.steps import opening, submitting
from db.steps.submitting import NewItem
from db.views.job import JobOut, job_out

bp = APIBlueprint("additions", __name__, tag="Jobs")


View = TypeVar("View", bound=Callable[..., Any])


def _refusing_early(view: View) -> View:
    """Make a view refuse what it can before the body is read, because the body may be long."""

    @wraps(view)
    def call_view(job_id: str) -> Any:
        refuse_without_quota()
        refuse_when_saturated()
        with current_services().database.reading() as session:
            require_job(session, job_id)
        return view(job_id=job_id)

    return cast(View, call_view)


def _job_as_it_is(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        return job_out(require_job(session, job_id))


_ADDS = (
    "A job that was created with `open` takes pictures until it is closed, and classifies them meanwhile. Each request "
    "adds all of its pictures or none. With an `Idempotency-Key`, a repeated request adds nothing twice, so several "
    "requests may run at once. A client that sends one after another may give `position` instead: after a lost answer, "
    "the job's `counts.total` tells how many pictures have arrived."
)
_RESPONSES: dict[int, Any] = {
    404: "There is no such job",
    409: "The job is not open, it has another number of items than `position`, or the first request with this "
    "Idempotency-Key is still running",
    410: "The job has expired",
    503: "Part of the service is not available. Nothing was stored; try again later",
    507: "There is no room to store the request. Nothing was stored",
}


@bp.post("/v1/jobs/<job_id>/items")
@_refusing_early
@idempotent(_job_as_it_is)
@bp.input(AdditionQuery, location="query")
@bp.output(JobOut)
@bp.doc(
    summary="Add URLs of pictures to an open job",
    description=f"{_ADDS} The form with files of `POST /v1/jobs/{{id}}/items/uploads` may be sent here as well.",
    operation_id="add_items",
    extensions={"requestBody": ADDITION_BODY, "x-parameters": [IDEMPOTENCY_PARAMETER]},
    responses=_RESPONSES,
)
def add_items(job_id: str, query_data: AdditionQuery) -> Answer:
    return _add_items(job_id, query_data)


@bp.post("/v1/jobs/<job_id>/items/uploads")
@_refusing_early
@idempotent(_job_as_it_is)
@bp.input(AdditionQuery, location="query")
@bp.output(JobOut)
@bp.doc(
    summary="Add files to an open job",
    description=_ADDS,
    operation_id="upload_items",
    extensions={"requestBody": ADDITION_FILES_BODY, "x-parameters": [IDEMPOTENCY_PARAMETER]},
    responses=_RESPONSES,
)
def upload_items(job_id: str, query_data: AdditionQuery) -> Answer:
    expect_form()
    return _add_items(job_id, query_data)


def _add_items(job_id: str, query_data: AdditionQuery) -> Answer:
    services = current_services()
    items = _read_items()
    with services.database.writing() as session:
        now = utc_now()
        # Before the job's row is locked, so that other transactions of the job wait for less time.
        submitting.store_blobs(session, {item.blob.sha256: item.blob.bytes for item in items if item.blob}, now)
        job = lock_job(session, job_id)
        record_created_job(session, job_id)
        messages = opening.append(session, job, items, query_data.position, services.policy, now)
        body = job_out(job)
    current_uploads().confirm()
    dispatch(services.database, services.broker, messages)
    return body


def _read_items() -> list[NewItem]:
    """Return the pictures of the current request: uploaded files, or URLs in JSON."""
    if request.mimetype == "application/json":
        return read_items(validate_json(AdditionIn, request.get_data()).items)
    parts = request.files.getlist("images")
    if not parts:
        raise Problem(422, "no_source", "Expected files in the field images, or JSON with items, got none.")
    refuse_other_files(["images"])
    return [NewItem(name, blob, None, error) for name, blob, error in store_parts(parts)]


@bp.post("/v1/jobs/<job_id>/close")
@bp.output(JobOut, status_code=202, description="The job takes no further pictures")
@bp.doc(
    summary="Close an open job",
    description="It ends when its pictures are classified. Without any picture it fails. A job that is not open is "
    "left unchanged. A job to which nothing is added for 24 hours is closed by the service.",
    operation_id="close_job",
    responses={404: "There is no such job"},
)
def close_job(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        job = lock_job(session, job_id)
        is_open = job.open_until is not None
        opening.close(session, job, utc_now())
        body, has_ended, has_webhook = job_out(job), is_open and job.finished, job.webhook is not None
    if has_ended:
        announce_end(services.broker, job_id, webhook=has_webhook)
    return body, 202
