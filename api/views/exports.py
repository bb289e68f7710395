"""Exports: the items of a job as one file, streamed while the items are read from the database."""

from __future__ import annotations

import unicodedata
from itertools import chain
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response

from api.answers.export_formats import FORMATS
from api.answers.filters import item_filter
from api.answers.problems import invalid_field_problem
from api.answers.spec import EXPORT_RESPONSE
from api.door.access import require_job
from api.schemas.common import Answer
from api.schemas.items import ExportIn, ExportQuery
from api.services import current_services
from core.clock import rfc3339, utc_now
from db.bulk import in_values
from db.tables import Item, Job
from db.views import items
from db.views.exports import Export
from db.views.item_pages import ItemFilter
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
        selected = item_filter(job, query_data)
    return export_file(job, Export.of(job, selected), query_data.format)


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
    return export_file(job, Export.of(job, selected), json_data.format)


def export_file(job: Job, export: Export | ProductExport, kind: str) -> Response:
    """Return an export as a file in one of the `FORMATS`, named after the job."""
    database = current_services().database
    metadata = {"job": job.id, "name": job.name, "status": job.status.value, "exported_at": rfc3339(utc_now())}
    file_name = f"{_file_name(job, export.what)}.{kind}"
    pages = export.read_pages(database)
    # Read the first rows before the answer starts, because an error of the database can still be answered as a problem.
    first = next(pages)
    file_format = FORMATS[kind]
    # A later error must not end the body cleanly, or a part would look like the whole. It is therefore not caught: it
    # reaches the server, which breaks the connection.
    body = file_format.encode(export.columns(), chain([first], pages), metadata)
    response = Response(body, content_type=file_format.media_type)
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
