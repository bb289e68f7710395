"""Jobs: many pictures at once."""

from __future__ import annotations

from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response, request

from api.answers.filters import item_filter
from api.answers.paging import decode_cursor, encode_cursor, link_header
from api.answers.present import ItemPresenter, label_counts_out
from api.answers.problems import invalid_field_problem
from api.answers.spec import CREATING_PARAMETERS, JOB_BODY
from api.door.access import caller, lock_job, require_job
from api.intake.idempotency import idempotent
from api.intake.sources import read_source
from api.intake.submission import (
    WaitPreference,
    expiry_time,
    read_webhook,
    refuse_when_saturated,
    refuse_without_quota,
    submit,
    wait_preference,
)
from api.schemas.common import Answer
from api.schemas.items import ItemsOut, ItemsQuery
from api.schemas.jobs import ErrorCountOut, JobsOut, JobsQuery, SummaryOut
from api.services import current_services
from broker.dispatch import announce_end, dispatch, run_task_soon
from core.clock import utc_now
from core.messages import PURGE, SWEEP
from db.steps import chunks, lifecycle, reviewing, tallies
from db.steps.submitting import NewJob
from db.tables import Job, JobStatus, Priority
from db.views import items, jobs
from db.views.item_pages import ItemCursor, ItemSort
from db.views.job import JobOut, counts_out, job_out, poll_seconds
from db.views.jobs import JobFilter, PollState

bp = APIBlueprint("jobs", __name__, tag="Jobs")


def _created(job_id: str, wait: WaitPreference | None = None) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        headers = {**_poll_headers(job), "Location": f"/v1/jobs/{job.id}"}
        if wait is None:
            return job_out(job), 202, headers
        return job_out(job), 200 if wait.seconds and job.terminal else 202, headers | wait.headers


@bp.post("/v1/jobs")
@idempotent(_created)
@bp.output(JobOut, status_code=202, description="Stored; Location says where to look")
@bp.doc(
    summary="Classify many pictures",
    operation_id="create_job",
    extensions={"requestBody": JOB_BODY, "x-parameters": CREATING_PARAMETERS},
    responses={
        200: "Finished within the time that was waited",
        404: "No crawl of yours has the id that `since` gives",
        409: "The first request with this Idempotency-Key is still running",
        413: "Too large",
        415: "Wrong content type",
        503: "Part of the service does not answer: nothing was stored, try again",
        507: "No room to store it: nothing was stored",
    },
)
def create_job() -> Answer:
    wait = wait_preference(0)
    refuse_without_quota()
    refuse_when_saturated()
    options, source = read_source()
    new = NewJob(
        name=options.name or source.default_name,
        source=source.kind,
        model_version=current_services().versions.resolve(options.model),
        priority=Priority(options.priority),
        top_k=options.top_k,
        details=options.metadata or {},
        expires_at=expiry_time(options.expires_at),
        webhook=read_webhook(options.webhook),
    )
    job = submit(new, source.items, wait.seconds, source.unread)
    return _created(job.id, wait)


@bp.get("/v1/jobs")
@bp.input(JobsQuery, location="query")
@bp.output(JobsOut)
@bp.doc(summary="Jobs, newest first", operation_id="list_jobs")
def list_jobs(query_data: JobsQuery) -> Answer:
    cursor = decode_cursor(query_data.cursor, {"before": (str,)})
    wanted = JobFilter(query_data.status, query_data.source, query_data.q)
    with current_services().database.reading() as session:
        before = cursor["before"] if cursor else None
        rows = jobs.list_newest(session, caller(), wanted, before, query_data.limit + 1, utc_now())
    page = rows[: query_data.limit]
    following = encode_cursor({"before": page[-1].id}) if len(rows) > len(page) else None
    return JobsOut(data=[job_out(job) for job in page], next_cursor=following), 200, link_header(following)


@bp.get("/v1/jobs/<job_id>")
@bp.output(JobOut)
@bp.doc(
    summary="One job",
    description="Send the `ETag` back as `If-None-Match`: 304 until something has changed.",
    operation_id="get_job",
    responses={304: "Unchanged"},
)
def get_job(job_id: str) -> Answer:
    if request.if_none_match and not request.if_none_match.star_tag:
        poll_state = jobs.read_poll_state(current_services().database, caller(), job_id, utc_now())
        if poll_state is not None and request.if_none_match.contains_weak(str(poll_state.revision)):
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=_poll_headers(poll_state))
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        return job_out(job), 200, _poll_headers(job)


@bp.get("/v1/jobs/<job_id>/summary")
@bp.output(SummaryOut)
@bp.doc(summary="Counts per label, group and error of a job", operation_id="get_job_summary")
def get_summary(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        summary = tallies.summarize(session, job_id)
        labels, groups = label_counts_out(job.model_version, summary)
        errors = [ErrorCountOut(code=code, count=count) for code, count in summary.errors.items()]
        body = SummaryOut(
            counts=counts_out(job),
            labels=labels,
            groups=groups,
            errors=errors,
            reviewed=reviewing.count(session, job_id),
            duplicates=job.duplicates,
            confidence_histogram=summary.histogram,
        )
        return body, 200, {"ETag": f'"{job.revision}"'}


@bp.get("/v1/jobs/<job_id>/items")
@bp.input(ItemsQuery, location="query")
@bp.output(ItemsOut)
@bp.doc(summary="Items of a job", operation_id="list_items")
def list_items(job_id: str, query_data: ItemsQuery) -> Answer:
    values = decode_cursor(
        query_data.cursor, {"position": (int,), "confidence": (int, float, type(None)), "sort": (str,)}
    )
    if values and values.pop("sort") != query_data.sort.value:
        raise invalid_field_problem("cursor", "expected the cursor of a list in the same order", "bad_cursor")
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        wanted = item_filter(job, query_data)
        after = ItemCursor(**values) if values else None
        rows = items.list_of_job(session, job_id, wanted, query_data.sort, after, query_data.limit + 1)
        page = rows[: query_data.limit]
        following = None
        if len(rows) > len(page):
            following = _item_cursor(page[-1].position, page[-1].confidence, query_data.sort)
        presenter = ItemPresenter(job)
        body = ItemsOut(data=[presenter.item_out(item) for item in page], next_cursor=following)
        return body, 200, link_header(following)


def _item_cursor(position: int, confidence: float | None, sort: ItemSort) -> str:
    return encode_cursor({"position": position, "confidence": confidence, "sort": sort.value})


@bp.post("/v1/jobs/<job_id>/cancel")
@bp.output(JobOut, status_code=202, description="It will be canceled once no worker has any of it in hand")
@bp.doc(
    summary="Stop a job",
    description="Pictures that a worker has in hand are finished; the job is `canceled` when that is done. Idempotent.",
    operation_id="cancel_job",
    responses={404: "Unknown", 409: "The job is over"},
)
def cancel_job(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        job = lock_job(session, job_id)
        if not (job.status == JobStatus.CANCELED and job.cancel_requested_at):
            lifecycle.request_cancel(session, job, utc_now())
        body, headers, over = job_out(job), _poll_headers(job), job.terminal
    if over:
        announce_end(services.broker, job_id, webhook=job.webhook is not None)
    else:
        # What does not fit into one transaction, and jobs of which nothing is in hand, end by the sweeper.
        run_task_soon(services.broker, SWEEP)
    return body, 202, headers


@bp.post("/v1/jobs/<job_id>/retry")
@bp.output(JobOut, status_code=202, description="Its failed items wait again")
@bp.doc(
    summary="Try the failed items of a job again",
    operation_id="retry_job",
    responses={404: "Unknown", 409: "Nothing to try again, or the job was canceled"},
)
def retry_job(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        job = lock_job(session, job_id)
        lifecycle.retry_failed_items(session, job, utc_now())
        messages = chunks.claim(session, job, services.policy, utc_now())
        body, headers = job_out(job), _poll_headers(job)
    dispatch(services.database, services.broker, messages)
    return body, 202, headers


@bp.delete("/v1/jobs/<job_id>")
@bp.output({}, status_code=204, description="Deleted")
@bp.doc(
    summary="Delete a job",
    description="With its items, and the pictures that no other job uses; those are removed in the background.",
    operation_id="delete_job",
    responses={404: "Unknown", 409: "The job still runs: cancel it first"},
)
def delete_job(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        lifecycle.mark_job_deleted(lock_job(session, job_id), utc_now())
    run_task_soon(services.broker, PURGE)
    return Response(status=HTTPStatus.NO_CONTENT)


def _poll_headers(job: Job | PollState) -> dict[str, str]:
    headers = {"ETag": f'"{job.revision}"'}
    if not job.terminal:
        headers["Retry-After"] = str(poll_seconds(job.pending, job.rate))
    return headers
