"""Exports: all items of a job as one file, sent while it is being read from the database."""

from __future__ import annotations

import unicodedata
from itertools import chain
from urllib.parse import quote

from apiflask import APIBlueprint
from flask import Response

from api.answers.export_formats import FORMATS
from api.answers.filters import item_filter
from api.answers.spec import EXPORT_RESPONSE
from api.door.access import require_job
from api.schemas.common import Answer
from api.schemas.items import ExportQuery
from api.services import current_services
from core.clock import rfc3339, utc_now
from db.tables import Job
from db.views.exports import Export

bp = APIBlueprint("exports", __name__, tag="Jobs")

_FORBIDDEN = frozenset('/\\:*?"<>|')
"""What no name of a file may hold on one system or another."""
_LONGEST = 100
"""Characters of a job's name in the name of a file."""


@bp.get("/v1/jobs/<job_id>/export")
@bp.input(ExportQuery, location="query")
@bp.doc(
    summary="All items of a job as one file",
    description="Filters as in the list of items; by position. While the job runs, what there is so far: "
    "`X-Job-Status` and the file's name say so. A file that breaks off was broken off by an error.",
    operation_id="export_job",
    responses={**EXPORT_RESPONSE, 410: "Past retention"},
)
def export_job(job_id: str, query_data: ExportQuery) -> Answer:
    database = current_services().database
    with database.reading() as session:
        job = require_job(session, job_id)
        export = Export.of(job, item_filter(job, query_data))
        about = {"job": job.id, "name": job.name, "status": job.status.value, "exported_at": rfc3339(utc_now())}
        file_name = f"{_file_name(job)}.{query_data.format}"
        status = job.status.value
    batches = export.read_pages(database)
    # What the database refuses is answered as an error while there still can be one.
    first = next(batches)
    made = FORMATS[query_data.format]
    # Were it to end cleanly after an error, a part would pass for the whole: what is raised from here on reaches the
    # server, which breaks the connection.
    pieces = made.pieces(export.columns(), chain([first], batches), about)
    response = Response(pieces, content_type=made.media_type)
    response.headers.set("Content-Disposition", "attachment", **_names(file_name, job_id))
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Job-Status"] = status
    return response


def _file_name(job: Job) -> str:
    """The job's name, as far as files can have it."""
    kept = "".join("_" if c in _FORBIDDEN or unicodedata.category(c)[0] == "C" else c for c in job.name)
    name = kept.strip(" .")[:_LONGEST].rstrip(" .") or job.id
    return name if job.terminal else f"{name} (partial)"


def _names(file_name: str, job_id: str) -> dict[str, str]:
    """RFC 6266: the name for those who know UTF-8, and one in ASCII for the others."""
    plain = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode()
    if plain == file_name:
        return {"filename": plain}
    stem, _, extension = plain.rpartition(".")
    return {"filename": f"{stem.strip() or job_id}.{extension}", "filename*": f"UTF-8''{quote(file_name, safe='')}"}
