"""Classification of a single picture. It is a job of one item, queued ahead of all bulk work."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import request

from api.answers.present import ItemPresenter
from api.answers.problems import Problem, invalid_field_problem, item_error_problem, validate
from api.answers.spec import CREATING_PARAMETERS, CREATING_RESPONSES, IMAGE_BODY
from api.intake.idempotency import idempotent
from api.intake.submission import expiry_time, refuse_without_quota, submit, wait_preference
from api.intake.uploads import refuse_other_files, store_body, store_part
from api.intake.url_items import read_classification
from api.schemas.common import Answer, crop_of, regions_of
from api.schemas.items import ClassificationIn, ClassificationOptions, ItemOut
from api.services import current_services
from db.model_versions import check_regions
from db.steps.submitting import NewItem, NewJob
from db.tables import ItemStatus, Job, JobSource, Priority
from db.views import items, jobs

DEFAULT_WAIT_SECONDS = 10

bp = APIBlueprint("classifications", __name__, tag="Classifications")


def _answer_again(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        job = jobs.get(session, job_id)
    return _answer(job, {})


@bp.post("/v1/classifications")
@idempotent(_answer_again)
@bp.output(ItemOut, status_code=200, description="The picture is classified")
@bp.doc(
    summary="Classify a single picture",
    description="Waits up to 10 seconds for the prediction. `Prefer: wait=N` sets another limit.",
    operation_id="classify",
    extensions={"requestBody": IMAGE_BODY, "x-parameters": CREATING_PARAMETERS},
    responses={
        **CREATING_RESPONSES,
        202: "The picture is not classified yet. `Location` is the URL of the item",
        415: "The body is not a picture",
    },
)
def classify() -> Answer:
    wait = wait_preference(DEFAULT_WAIT_SECONDS)
    refuse_without_quota()
    options, item = _read_picture()
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
    )
    job = submit(new, [item], wait.seconds)
    return _answer(job, wait.headers)


def _read_picture() -> tuple[ClassificationIn | ClassificationOptions, NewItem]:
    """Return the options and the picture of the current request. The bytes of an uploaded picture are stored."""
    if request.mimetype == "application/json":
        return read_classification()
    if request.mimetype == "multipart/form-data":
        parts = request.files.getlist("image")
        if not parts:
            raise Problem(422, "no_image", "Expected a file in the field `image`, got none.")
        refuse_other_files(["image"])
        if len(parts) > 1:
            raise invalid_field_problem("image", f"expected one file, got {len(parts)}")
        part = parts[0]
        form = validate(ClassificationOptions, request.form)
        name, blob = part.filename or "unnamed", store_part(part)
        return form, NewItem(name, blob, crop_of(form.crop), regions=regions_of(form.regions))
    if request.mimetype.startswith("image/") or request.mimetype == "application/octet-stream":
        query = validate(ClassificationOptions, request.args)
        return query, NewItem("unnamed", store_body(), crop_of(query.crop), regions=regions_of(query.regions))
    raise Problem(
        415,
        "unsupported_media_type",
        f"Expected multipart/form-data, image/* or application/json, got {request.mimetype or 'no Content-Type'}.",
    )


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
