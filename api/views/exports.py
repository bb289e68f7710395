"""Exports: the items of a job as one file, streamed while the items are read from the database."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response

from api.answers.export_formats import FORMATS
from api.answers.filters import item_filter
from api.answers.label_formats import LABEL_FORMATS, labelling_config
from api.answers.problems import Problem, invalid_field_problem
from api.answers.spec import EXPORT_RESPONSE, LABELLING_CONFIG_RESPONSE
from api.door.access import caller, require_job
from api.door.signed_pictures import url_signer
from api.schemas.common import Answer
from api.schemas.items import WEEK_SECONDS, ExportIn, ExportOptions, ExportQuery
from api.services import current_services
from core.clock import rfc3339, utc_now
from db.bulk import in_values
from db.tables import Acceptance, Item, ItemStatus, Job
from db.views import items
from db.views.exports import Export
from db.views.item_pages import ItemFilter
from db.views.labels import Row, labels_of
from db.views.product_exports import ProductExport

bp = APIBlueprint("exports", __name__, tag="Jobs")

_FORBIDDEN_IN_FILE_NAMES = frozenset('/\\:*?"<>|')
"""Characters that at least one operating system forbids in file names."""
_MAX_NAME_CHARACTERS = 100
"""Characters of the job's name that the file name keeps."""


@bp.get("/v1/jobs/<job_id>/export")
@bp.input(ExportQuery, location="query")
@bp.doc(
    summary="Export the items of a job as one file",
    description="Takes the same filters as the list of items. Rows are ordered by position. While the job runs, "
    "the export holds the items so far; `X-Job-Status` and the file name show this. If the transfer is cut off, an "
    "error occurred and the file is incomplete.",
    operation_id="export_job",
    responses={**EXPORT_RESPONSE, 410: "The job has expired"},
)
def export_job(job_id: str, query_data: ExportQuery) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        selected, acceptance = item_filter(session, job, query_data), job.acceptance
        labels = labels_of(job)
    return _item_file(job, labels, selected, acceptance, query_data)


@bp.post("/v1/jobs/<job_id>/export")
@bp.input(ExportIn)
@bp.doc(
    summary="Export chosen items of a job as one file",
    description="As the export of all items, for up to 10,000 items that are named by their ids.",
    operation_id="export_items",
    responses={**EXPORT_RESPONSE, 404: "There is no such job", 410: "The job has expired"},
)
def export_items(job_id: str, json_data: ExportIn) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        known = items.list_known_ids(session, job_id, json_data.items)
        for number, item_id in enumerate(json_data.items):
            if item_id not in known:
                raise invalid_field_problem(
                    f"items/{number}", f"expected an item of the job, got {item_id!r}", "unknown_item"
                )
        selected = ItemFilter(chosen=in_values(session, Item.id, json_data.items))
        acceptance, labels = job.acceptance, labels_of(job)
    return _item_file(job, labels, selected, acceptance, json_data)


@bp.get("/v1/jobs/<job_id>/labelling-config")
@bp.doc(
    summary="Get the labelling configuration for Label Studio",
    description="The XML for the tasks of an export with `format=label-studio`, with the labels of reviews.",
    operation_id="get_labelling_config",
    responses={**LABELLING_CONFIG_RESPONSE, 404: "There is no such job", 410: "The job has expired"},
)
def get_labelling_config(job_id: str) -> Answer:
    with current_services().database.reading() as session:
        labels = labels_of(require_job(session, job_id))
    return Response(labelling_config(labels), content_type="application/xml")


def _item_file(
    job: Job, labels: list[Row], selected: ItemFilter, acceptance: Acceptance | None, options: ExportOptions
) -> Response:
    """Return the chosen items as a file, with signed URLs of their pictures if the options or the format want them."""
    seconds = options.picture_urls or (WEEK_SECONDS if options.format in LABEL_FORMATS else None)
    if seconds is None:
        return export_file(job, Export.of(job, labels, selected, acceptance), options.format)
    if not replace(caller(), shared_job=None).sees(job.key_id, job.id):
        # The URLs would outlive the link.
        detail = "A link that shares a job gives no URLs of its pictures to others. Ask the owner for this file."
        raise Problem(403, "shared_only", detail)
    sign = url_signer(utc_now().replace(microsecond=0) + timedelta(seconds=seconds))

    def picture_urls(item_id: str, status: ItemStatus, picture_format: str | None) -> tuple[str | None, str | None]:
        urls = sign(item_id, status, picture_format)
        return urls.shown, urls.thumbnail

    return export_file(job, Export.of(job, labels, selected, acceptance, picture_urls), options.format)


def export_file(job: Job, export: Export | ProductExport, kind: str) -> Response:
    """Return an export as a file in one of the `FORMATS` or `LABEL_FORMATS`, named after the job."""
    database = current_services().database
    metadata = {"job": job.id, "name": job.name, "status": job.status.value, "exported_at": rfc3339(utc_now())}
    pages = export.read_pages(database)
    # Read the first rows before the answer starts, because an error of the database can still be answered as a problem.
    first = next(pages)
    # A later error must not end the body cleanly, or a part would look like the whole. It is therefore not caught: it
    # reaches the server, which breaks the connection.
    rows = chain([first], pages)
    if kind in LABEL_FORMATS and isinstance(export, Export):
        label_format = LABEL_FORMATS[kind]
        body = label_format.encode(export.labels, export.columns(), rows, metadata)
        media_type, ending = label_format.media_type, label_format.ending
    else:
        body = FORMATS[kind].encode(export.columns(), rows, metadata)
        media_type, ending = FORMATS[kind].media_type, kind
    file_name = f"{_file_name(job, export.what)}.{ending}"
    response = Response(body, content_type=media_type)
    response.headers.set("Content-Disposition", "attachment", **_disposition_parameters(file_name, job.id))
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Job-Status"] = job.status.value
    return response


def _file_name(job: Job, what: str) -> str:
    """Return the job's name without characters that file names cannot have, and what the file holds of the job."""
    safe = "".join("_" if c in _FORBIDDEN_IN_FILE_NAMES or unicodedata.category(c)[0] == "C" else c for c in job.name)
    name = (safe.strip(" .")[:_MAX_NAME_CHARACTERS].rstrip(" .") or job.id) + what
    return name if job.finished else f"{name} (partial)"


def _disposition_parameters(file_name: str, job_id: str) -> dict[str, str]:
    """Return the file name in UTF-8 and, for clients that do not know RFC 6266, in ASCII."""
    ascii_name = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode()
    if ascii_name == file_name:
        return {"filename": ascii_name}
    stem, _, extension = ascii_name.rpartition(".")
    return {"filename": f"{stem.strip() or job_id}.{extension}", "filename*": f"UTF-8''{quote(file_name, safe='')}"}
