"""Jobs: submitting many pictures, following and ending their classification."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from apiflask import APIBlueprint
from flask import Response, request
from sqlalchemy.orm import Session

from api.answers.filters import item_filter
from api.answers.item_cursors import decode_item_cursor, item_cursor_values
from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.present import ItemPresenter, label_counts_out, thumbnail_path
from api.answers.problems import invalid_field_problem
from api.answers.revisions import etag_headers, is_known
from api.answers.spec import CREATING_PARAMETERS, CREATING_RESPONSES, JOB_BODY, JOB_FILES_BODY
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
from api.intake.uploads import expect_form
from api.schemas.common import Answer
from api.schemas.items import ItemsOut, ItemsQuery
from api.schemas.jobs import ErrorCountOut, JobDetailOut, JobQuery, JobsOut, JobsQuery, ListedJobOut, SummaryOut
from api.services import current_services
from broker.dispatch import announce_end, dispatch, run_task_soon
from core.clock import utc_now
from core.messages import PURGE, SWEEP
from db.model_versions import check_regions
from db.steps import chunks, lifecycle, reviewing, tallies
from db.steps.submitting import NewJob
from db.tables import Item, Job, JobStatus, Priority
from db.views import items, jobs
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort
from db.views.job import JobOut, counts_out, job_out, poll_seconds
from db.views.jobs import JobFilter, PollState

bp = APIBlueprint("jobs", __name__, tag="Jobs")


def _created_job(job_id: str, wait: WaitPreference | None = None) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        headers = {**_poll_headers(job), "Location": f"/v1/jobs/{job.id}"}
        if wait is None:
            return job_out(job), 202, headers
        return job_out(job), 200 if wait.seconds and job.finished else 202, headers | wait.headers


_JOB_CREATED = "The job is stored. `Location` is its URL"


@bp.post("/v1/jobs")
@idempotent(_created_job)
@bp.output(JobOut, status_code=202, description=_JOB_CREATED)
@bp.doc(
    summary="Create a job that classifies many pictures",
    description="The pictures come from URLs, from a shop to crawl, from another job, or from later requests. The form "
    "with files of `POST /v1/jobs/uploads` may be sent here as well.",
    operation_id="create_job",
    extensions={"requestBody": JOB_BODY, "x-parameters": CREATING_PARAMETERS},
    responses={
        **CREATING_RESPONSES,
        200: "The job ended within the time that `Prefer` allows",
        404: "You have no crawl with the id in `since`, or no job with the id in `rerun`",
        410: "The job in `rerun` has expired",
        415: "The content type is not supported",
    },
)
def create_job() -> Answer:
    return _create_job()


@bp.post("/v1/jobs/uploads")
@idempotent(_created_job)
@bp.output(JobOut, status_code=202, description=_JOB_CREATED)
@bp.doc(
    summary="Create a job from files",
    description="Exactly one of the fields `images` (any number of files), `archive` and `manifest` holds the source.",
    operation_id="create_upload_job",
    extensions={"requestBody": JOB_FILES_BODY, "x-parameters": CREATING_PARAMETERS},
    responses={**CREATING_RESPONSES, 200: "The job ended within the time that `Prefer` allows"},
)
def create_upload_job() -> Answer:
    expect_form()
    return _create_job()


def _create_job() -> Answer:
    wait = wait_preference(0)
    refuse_without_quota()
    refuse_when_saturated()
    options, source = read_source()
    version = current_services().versions.resolve(options.model)
    if any(item.regions for item in source.items):
        check_regions(version)
    new = NewJob(
        name=options.name or source.default_name,
        source=source.kind,
        model_version=version,
        priority=Priority(options.priority),
        top_k=options.top_k,
        details=options.metadata or {},
        expires_at=expiry_time(options.expires_at),
        webhook=read_webhook(options.webhook),
        open_until=source.open_until,
        vectors=_stores_vectors(options.vectors),
        rerun_of=source.rerun_of,
        columns=source.columns,
    )
    job = submit(new, source.items, wait.seconds, source.unread)
    return _created_job(job.id, wait)


def _stores_vectors(wanted: bool | None) -> bool:
    """Return whether a new job stores vectors.

    Raises:
        Problem: 422, the job wants them, and the service stores none.
    """
    stored = current_services().settings.vectors
    if wanted and not stored:
        detail = "this service stores no vectors (LOOKBOOK_VECTORS): expected false or nothing, got true"
        raise invalid_field_problem("vectors", detail, "vectors_off")
    return stored if wanted is None else wanted


@bp.get("/v1/jobs")
@bp.input(JobsQuery, location="query")
@bp.output(JobsOut)
@bp.doc(summary="List jobs, newest first", operation_id="list_jobs")
def list_jobs(query_data: JobsQuery) -> Answer:
    before = decode_cursor_value(query_data.cursor, "before", str)
    job_filter = JobFilter(query_data.status, query_data.source, query_data.q)
    with current_services().database.reading() as session:
        rows = jobs.list_newest(session, caller(), job_filter, before, query_data.limit + 1, utc_now())
        page, next_cursor = cut_page(rows, query_data.limit, lambda job: {"before": job.id})
        pictures = jobs.first_succeeded(session, [job.id for job in page], query_data.thumbnails)
    data = [
        ListedJobOut(**dict(job_out(job)), thumbnails=[thumbnail_path(item) for item in pictures.get(job.id, [])])
        for job in page
    ]
    return JobsOut(data=data, next_cursor=next_cursor), 200, link_header(next_cursor)


@bp.get("/v1/jobs/<job_id>")
@bp.input(JobQuery, location="query")
@bp.output(JobDetailOut)
@bp.doc(
    summary="Get a job",
    description="Send the `ETag` back as `If-None-Match` to get 304 until the job has changed. `include` adds the "
    "summary and a page of items to the answer.",
    operation_id="get_job",
    responses={304: "The job has not changed"},
)
def get_job(job_id: str, query_data: JobQuery) -> Answer:
    if request.if_none_match and not request.if_none_match.star_tag:
        poll_state = jobs.read_poll_state(current_services().database, caller(), job_id, utc_now())
        if poll_state is not None and is_known(poll_state.revision):
            return Response(status=HTTPStatus.NOT_MODIFIED, headers=_poll_headers(poll_state))
    included = (query_data.include or "").split(",")
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        if query_data.include is None:
            return job_out(job), 200, _poll_headers(job)
        body = JobDetailOut(**dict(job_out(job)))
        if "summary" in included:
            body.summary = _summary_out(session, job)
        if "items" in included:
            after = ItemCursor(query_data.after)
            rows = _list_items(session, job, ItemFilter(), ItemSort.POSITION, after, query_data.limit)
            body.items = [ItemPresenter(job).item_out(item) for item in rows]
        return body, 200, _poll_headers(job)


@bp.get("/v1/jobs/<job_id>/summary")
@bp.output(SummaryOut)
@bp.doc(
    summary="Count the items of a job by label, group and error",
    description="An item counts under the label of its review, else under the predicted one.",
    operation_id="get_job_summary",
)
def get_summary(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        return _summary_out(session, job), 200, etag_headers(job.revision)


def _summary_out(session: Session, job: Job) -> SummaryOut:
    summary = tallies.summarize(session, job.id)
    reviews = reviewing.count(session, job.id)
    labels, groups = label_counts_out(job, summary)
    return SummaryOut(
        counts=counts_out(job),
        labels=labels,
        groups=groups,
        errors=[ErrorCountOut.model_validate(row, from_attributes=True) for row in summary.errors],
        rejected=summary.rejected,
        reviewed=reviews.reviewed,
        agreed=reviews.agreed,
        duplicates=job.duplicates,
        confidence_histogram=summary.histogram,
    )


@bp.get("/v1/jobs/<job_id>/items")
@bp.input(ItemsQuery, location="query")
@bp.output(ItemsOut)
@bp.doc(summary="List the items of a job", operation_id="list_items")
def list_items(job_id: str, query_data: ItemsQuery) -> Answer:
    sort = query_data.sort
    after = _item_cursor(query_data)
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        rows = _list_items(session, job, item_filter(session, job, query_data), sort, after, query_data.limit + 1)
        page, next_cursor = cut_page(rows, query_data.limit, lambda item: item_cursor_values(item, sort))
        presenter = ItemPresenter(job)
        body = ItemsOut(data=[presenter.item_out(item) for item in page], next_cursor=next_cursor)
        return body, 200, link_header(next_cursor)


def _item_cursor(query: ItemsQuery) -> ItemCursor | None:
    """Return the place behind which the wanted page begins.

    Raises:
        Problem: 422, the cursor is not one of such a list, or `after` does not fit the other parameters.
    """
    after = decode_item_cursor(query.cursor, query.sort)
    if query.after is None:
        return after
    if after is not None or query.sort != ItemSort.POSITION:
        raise invalid_field_problem("after", "expected `after` only with `sort=position` and without `cursor`")
    return ItemCursor(query.after)


def _list_items(
    session: Session, job: Job, selected: ItemFilter, sort: ItemSort, after: ItemCursor | None, limit: int
) -> Sequence[Item]:
    with_regions = job.model_version.takes_regions
    return items.list_of_job(session, job.id, selected, sort, after, limit, with_regions=with_regions)


@bp.post("/v1/jobs/<job_id>/cancel")
@bp.output(JobOut, status_code=202, description="The job will be canceled once no worker holds any of it")
@bp.doc(
    summary="Cancel a job",
    description="Workers finish the pictures that they hold. Then the status becomes `canceled`. Repeating the request "
    "has no further effect.",
    operation_id="cancel_job",
    responses={404: "There is no such job", 409: "The job is finished"},
)
def cancel_job(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        job = lock_job(session, job_id)
        if not (job.status == JobStatus.CANCELED and job.cancel_requested_at):
            lifecycle.request_cancel(session, job, utc_now())
        body, headers, is_finished = job_out(job), _poll_headers(job), job.finished
    if is_finished:
        announce_end(services.broker, job_id, webhook=job.webhook is not None)
    else:
        # The sweeper cancels what did not fit into this transaction, and ends jobs of which no worker holds anything.
        run_task_soon(services.broker, SWEEP)
    return body, 202, headers


@bp.post("/v1/jobs/<job_id>/retry")
@bp.output(JobOut, status_code=202, description="The failed items are pending again")
@bp.doc(
    summary="Retry the failed items of a job",
    description="Takes the failures for which another attempt may help: `retryable` of the job counts them.",
    operation_id="retry_job",
    responses={404: "There is no such job", 409: "No failed item can be retried, or the job was canceled"},
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
@bp.output({}, status_code=204, description="The job is deleted")
@bp.doc(
    summary="Delete a job",
    description="Also deletes its items, and the pictures that no other job uses. This happens in the background.",
    operation_id="delete_job",
    responses={404: "There is no such job", 409: "The job is still running. Cancel it first"},
)
def delete_job(job_id: str) -> Answer:
    services = current_services()
    with services.database.writing() as session:
        lifecycle.mark_job_deleted(lock_job(session, job_id), utc_now())
    run_task_soon(services.broker, PURGE)
    return Response(status=HTTPStatus.NO_CONTENT)


def _poll_headers(job: Job | PollState) -> dict[str, str]:
    headers = etag_headers(job.revision)
    if not job.finished:
        headers["Retry-After"] = str(poll_seconds(job.pending, job.rate))
    return headers
