"""Classification of a single picture. It is a job of one item, queued ahead of all bulk work."""

from __future__ import annotations

from dataclasses import replace

from apiflask import APIBlueprint

from api.answers.present import ItemPresenter
from api.answers.problems import Problem, item_error_problem
from api.answers.spec import CREATING_PARAMETERS, CREATING_RESPONSES, IMAGE_BODY, IMAGE_FILE_BODY
from api.intake.idempotency import idempotent
from api.intake.single_pictures import read_picture
from api.intake.submission import expiry_time, refuse_without_quota, submit, wait_preference
from api.intake.uploads import expect_form
from api.schemas.common import Answer, regions_of
from api.schemas.items import ClassificationIn, ClassificationOptions, ItemOut
from api.services import current_services
from db.model_versions import check_regions
from db.steps.submitting import NewJob
from db.tables import ItemStatus, Job, JobSource, Priority
from db.views import items, jobs

DEFAULT_WAIT_SECONDS = 10

bp = APIBlueprint("classifications", __name__, tag="Classifications")


def _answer_again(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = jobs.get(session, job_id)
    return _answer(job, {})


_WAITS = "Waits up to 10 seconds for the prediction. `Prefer: wait=N` sets another limit."
_RESPONSES = {
    **CREATING_RESPONSES,
    202: "The picture is not classified yet. `Location` is the URL of the item",
    415: "The body is not a picture",
}


@bp.post("/v1/classifications")
@idempotent(_answer_again)
@bp.output(ItemOut, status_code=200, description="The picture is classified")
@bp.doc(
    summary="Classify a single picture by its URL or as text",
    description=f"{_WAITS} The bodies of `POST /v1/classifications/uploads` may be sent here as well.",
    operation_id="classify",
    extensions={"requestBody": IMAGE_BODY, "x-parameters": CREATING_PARAMETERS},
    responses=_RESPONSES,
)
def classify() -> Answer:
    return _classify()


@bp.post("/v1/classifications/uploads")
@idempotent(_answer_again)
@bp.output(ItemOut, status_code=200, description="The picture is classified")
@bp.doc(
    summary="Classify a picture from a file",
    description=f"{_WAITS} The file is the field `image` of a form, or the body itself; the options are then in the "
    "query.",
    operation_id="classify_upload",
    extensions={"requestBody": IMAGE_FILE_BODY, "x-parameters": CREATING_PARAMETERS},
    responses=_RESPONSES,
)
def classify_upload() -> Answer:
    expect_form("image/", "application/octet-stream")
    return _classify()


def _classify() -> Answer:
    wait = wait_preference(DEFAULT_WAIT_SECONDS)
    refuse_without_quota()
    options, item = read_picture(ClassificationIn, ClassificationOptions)
    item = replace(item, regions=regions_of(options.regions))
    version = current_services().versions.resolve(options.model)
    if item.regions:
        check_regions(version)
    new = NewJob(
        name=item.source_name,
        source=JobSource.CLASSIFICATION,
        model_version=version,
        priority=Priority.INTERACTIVE,
        top_k=options.top_k,
        expires_at=expiry_time(),
        vectors=current_services().settings.vectors,
    )
    job = submit(new, [item], wait.seconds)
    return _answer(job, wait.headers)


def _answer(job: Job | None, headers: dict[str, str]) -> Answer:
    item = None
    if job is not None:
        takes_regions = job.model_version.takes_regions
        item = items.read_first_of_job(current_services().database, job.id, with_regions=takes_regions)
    if job is None or item is None:
        raise Problem(410, "gone", "The picture was deleted before it was classified.")
    if item.status == ItemStatus.FAILED:
        raise item_error_problem(item.error_code or "", item.error_detail or "")
    body = ItemPresenter(job).item_out(item)
    if item.status == ItemStatus.SUCCEEDED:
        return body, 200, headers
    with current_services().database.reading() as session:
        body.ahead = jobs.count_ahead(session, job)
    return body, 202, {**headers, "Location": f"/v1/items/{item.id}", "Retry-After": "1"}
