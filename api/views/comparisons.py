"""Comparisons of two jobs."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.present import ItemPresenter
from api.door.access import require_job
from api.schemas.common import Answer
from api.schemas.comparisons import ComparisonOut, ComparisonQuery, LabelChangeOut, PairOut, PairsOut, PairsQuery
from api.services import current_services
from db.views import comparison
from db.views.comparison import ChangeFilter

bp = APIBlueprint("comparisons", __name__, tag="Jobs")


@bp.get("/v1/jobs/<job_id>/compare")
@bp.input(ComparisonQuery, location="query")
@bp.output(ComparisonOut)
@bp.doc(
    summary="Compare the labels of two jobs for the same pictures",
    description="Pictures are the same if they have the same bytes and the same crop. The label of a review wins over "
    "the predicted one. Only items with a prediction count, and each picture counts once.",
    operation_id="compare_jobs",
)
def compare_jobs(job_id: str, query_data: ComparisonQuery) -> Answer:
    with current_services().database.reading() as session:
        here, there = require_job(session, job_id), require_job(session, query_data.other)
        found = comparison.compare(session, here.id, there.id)
    return ComparisonOut(
        same=found.same,
        changed=sum(change.count for change in found.changes),
        only_here=found.only_here,
        only_there=found.only_there,
        changes=[LabelChangeOut.model_validate(change) for change in found.changes],
    )


@bp.get("/v1/jobs/<job_id>/compare/items")
@bp.input(PairsQuery, location="query")
@bp.output(PairsOut)
@bp.doc(
    summary="List the pictures of two jobs side by side",
    description="Without `from` and `to`, these are the pictures whose labels differ. The order is that of this job.",
    operation_id="list_compared_items",
)
def list_compared_items(job_id: str, query_data: PairsQuery) -> Answer:
    after = decode_cursor_value(query_data.cursor, "position", int)
    wanted = ChangeFilter(query_data.before, query_data.after)
    with current_services().database.reading() as session:
        here, there = require_job(session, job_id), require_job(session, query_data.other)
        rows = comparison.list_pairs(session, here.id, there.id, wanted, after, query_data.limit + 1)
        page, next_cursor = cut_page(rows, query_data.limit, lambda pair: {"position": pair[0].position})
        show_here, show_there = ItemPresenter(here), ItemPresenter(there)
        data = [PairOut(here=show_here.item_out(one), there=show_there.item_out(other)) for one, other in page]
    return PairsOut(data=data, next_cursor=next_cursor), 200, link_header(next_cursor)
