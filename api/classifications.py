"""One image: queued like everything else, ahead of all bulk work."""

from __future__ import annotations

from apiflask import APIBlueprint
from flask import request

from api.idempotency import idempotent
from api.present import ItemPresenter
from api.problems import Problem, from_item_error, validate
from api.schemas import Answer, ClassificationOptions, ItemOut
from api.services import services
from api.spec import CREATING_PARAMETERS, IMAGE_BODY
from api.submission import expiry, preference, submit
from api.uploads import store_body, store_part
from core.types import Crop
from db import items, jobs, model_versions
from db.jobs import NewItem, NewJob, StoredBlob
from db.models import Item, ItemStatus, JobSource, Priority

DEFAULT_WAIT_SECONDS = 10

bp = APIBlueprint("classifications", __name__, tag="Classifications")


def _classified(job_id: str, headers: dict[str, str] | None = None) -> Answer:
    with services().database.reading() as session:
        item = items.first_of_job(session, job_id)
        job = jobs.get(session, job_id)
        if item is None or job is None:
            raise Problem(410, "gone", "the picture was deleted while it was classified")
        return _answer(item, ItemPresenter(job), headers or {})


@bp.post("/v1/classifications")
@idempotent(_classified)
@bp.output(ItemOut, status_code=200, description="Classified")
@bp.doc(
    summary="Classify one image",
    description="Waits 10 s for the answer unless `Prefer: wait=N` says otherwise.",
    operation_id="classify",
    extensions={"requestBody": IMAGE_BODY, "x-parameters": CREATING_PARAMETERS},
    responses={
        202: "Not classified yet",
        409: "The first request with this Idempotency-Key is still running",
        413: "Too large",
        415: "Not an image",
        422: "Not understood",
        503: "Part of the service does not answer: nothing was stored, try again",
        507: "No room to store it: nothing was stored",
    },
)
def classify() -> Answer:
    wait = preference(DEFAULT_WAIT_SECONDS)
    options, name, blob = _read_picture()
    with services().database.reading() as session:
        version = model_versions.resolve(session, options.model)
    crop = None if options.crop is None else Crop(**options.crop.model_dump())
    new = NewJob(name, JobSource.CLASSIFICATION, version, Priority.INTERACTIVE, options.top_k, expires_at=expiry())
    job = submit(new, [NewItem(name, blob, crop)], wait.seconds)
    return _classified(job.id, wait.headers)


def _read_picture() -> tuple[ClassificationOptions, str, StoredBlob]:
    """Options, name and stored bytes of a multipart or raw request."""
    if request.mimetype == "multipart/form-data":
        part = request.files.get("image")
        if part is None:
            raise Problem(422, "no_image", "expected a file in the field 'image', got none")
        return validate(ClassificationOptions, request.form), part.filename or "unnamed", store_part(part)
    if request.mimetype.startswith("image/") or request.mimetype == "application/octet-stream":
        options = validate(ClassificationOptions, request.args)
        return options, "unnamed", store_body()
    raise Problem(
        415,
        "unsupported_media_type",
        f"expected multipart/form-data or image/*, got {request.mimetype or 'no Content-Type'}",
    )


def _answer(item: Item, presenter: ItemPresenter, headers: dict[str, str]) -> Answer:
    if item.status == ItemStatus.FAILED:
        raise from_item_error(item.error_code or "", item.error_detail or "")
    if item.status == ItemStatus.SUCCEEDED:
        return presenter.item_out(item), 200, headers
    headers = {**headers, "Location": f"/v1/items/{item.id}", "Retry-After": "1"}
    return presenter.item_out(item), 202, headers
