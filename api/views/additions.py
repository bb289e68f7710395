"""Open jobs: adding pictures to them in several requests, and closing them."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import request

from api.answers.problems import Problem
from api.answers.spec import ADDITION_BODY
from api.door.access import lock_job, require_job
from api.intake.submission import refuse_when_saturated, refuse_without_quota
from api.intake.uploads import current_uploads, refuse_other_files, store_parts
from api.schemas.common import Answer
from api.schemas.jobs import AdditionQuery
from api.services import current_services
from broker.dispatch import announce_end, dispatch
from core.clock import utc_now
from db.steps import opening, submitting
from db.steps.submitting import NewItem
from db.views.job import JobOut, job_out

bp = APIBlueprint("additions", __name__, tag="Jobs")


@bp.post("/v1/jobs/<job_id>/items")
@bp.input(AdditionQuery, location="query")
@bp.output(JobOut)
@bp.doc(
    summary="Add pictures to an open job",
    description="A job that was created with `open` takes pictures until it is closed, and classifies them meanwhile. "
    "After a lost answer, the job's `counts.total` tells how many pictures have arrived. The next request begins with "
    "the picture after them, and says so in `position`.",
    operation_id="add_items",
    extensions={"requestBody": ADDITION_BODY},
    responses={
        404: "There is no such job",
        409: "The job is not open, or it has another number of items than `position`",
        503: "Part of the service is not available. Nothing was stored; try again later",
        507: "There is no room to store the request. Nothing was stored",
    },
)
def add_items(job_id: str, query_data: AdditionQuery) -> Answer:
    services = current_services()
    refuse_without_quota()
    refuse_when_saturated()
    with services.database.reading() as session:
        # Asked before the body is read, because a job that takes nothing would take none of a long one either.
        require_job(session, job_id)
    parts = request.files.getlist("images")
    if not parts:
        raise Problem(422, "no_source", "Expected files in the field images, got none.")
    refuse_other_files(["images"])
    items = [NewItem(name, blob, None, error) for name, blob, error in store_parts(parts)]
    with services.database.writing() as session:
        now = utc_now()
        # Before the job's row is locked, so that other transactions of the job wait for less time.
        submitting.store_blobs(session, {item.blob.sha256: item.blob.bytes for item in items if item.blob}, now)
        job = lock_job(session, job_id)
        messages = opening.append(session, job, items, query_data.position, services.policy, now)
        body = job_out(job)
    current_uploads().confirm()
    dispatch(services.database, services.broker, messages)
    return body


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
