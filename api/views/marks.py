"""Marks: where the pages of a list of items begin, so that a client can jump to any of them."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.filters import item_filter
from api.answers.item_cursors import item_cursor_values
from api.answers.paging import encode_cursor
from api.answers.revisions import etag_headers, is_known, not_changed
from api.door.access import require_job
from api.schemas.common import Answer
from api.schemas.items import MarksOut, MarksQuery
from api.services import current_services
from db.views.item_marks import read_marks

bp = APIBlueprint("marks", __name__, tag="Items")


@bp.get("/v1/jobs/<job_id>/marks")
@bp.input(MarksQuery, location="query")
@bp.output(MarksOut)
@bp.doc(
    summary="Find the pages of a list of items",
    description="Takes the filters and the `sort` of the list of items. With the k-th cursor, the list with "
    "`limit` = `every` begins at item k · `every`. Send the `ETag` back as `If-None-Match` to get 304 until the job "
    "has changed.",
    operation_id="list_marks",
    responses={304: "The job has not changed"},
)
def list_marks(job_id: str, query_data: MarksQuery) -> Answer:
    with current_services().database.reading() as session:
        job = require_job(session, job_id)
        if is_known(job.revision):
            return not_changed(job.revision)
        marks = read_marks(session, job, item_filter(session, job, query_data), query_data.sort, query_data.every)
    ends = [encode_cursor(item_cursor_values(cursor, query_data.sort)) for cursor in marks.cursors]
    return MarksOut(total=marks.total, every=query_data.every, cursors=[None, *ends]), 200, etag_headers(job.revision)
