"""Previews of crawls, and the URLs that a crawl found."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.answers.problems import Problem, not_found_problem
from api.door.access import caller, require_job
from api.intake.crawls import read_preview_request
from api.schemas.common import Answer
from api.schemas.crawls import CrawlUrlOut, CrawlUrlsOut, PreviewIn, PreviewOut, ReasonOut, UrlsQuery
from api.services import current_services
from core.ids import new_id
from db.crawls import requests
from db.crawls.requests import UrlFilter
from db.tables import CrawlUrl

bp = APIBlueprint("crawls", __name__, tag="Jobs")


@bp.post("/v1/previews")
@bp.input(PreviewIn)
@bp.output(PreviewOut, status_code=202, description="A worker reads the page. `Location` is the URL of the preview")
@bp.doc(
    summary="Preview what the first page of a crawl yields",
    description="A worker reads this one page and a few of its pictures, within seconds. Nothing is stored. The result "
    "is kept for 5 minutes.",
    operation_id="create_preview",
    responses={503: "Too many previews wait, or Redis does not answer"},
)
def create_preview(json_data: PreviewIn) -> Answer:
    preview_id = new_id("prv")
    kept = {"owner": caller().owner, "state": "running", "request": read_preview_request(json_data)}
    if not current_services().broker.queue_preview(preview_id, kept):
        detail = "Too many previews are waiting. Try again later."
        raise Problem(503, "saturated", detail, headers={"Retry-After": "10"})
    return _preview_out(preview_id, kept), 202, {"Location": f"/v1/previews/{preview_id}", "Retry-After": "1"}


@bp.get("/v1/previews/<preview_id>")
@bp.output(PreviewOut)
@bp.doc(summary="Get a preview", operation_id="get_preview", responses={404: "There is no such preview, or it is old"})
def get_preview(preview_id: str) -> Answer:
    kept = current_services().broker.read_preview(preview_id)
    if kept is None or kept["owner"] != caller().owner:
        raise not_found_problem("preview", preview_id)
    return _preview_out(preview_id, kept), 200, {"Retry-After": "1"} if kept["state"] == "running" else {}


def _preview_out(preview_id: str, kept: dict[str, Any]) -> PreviewOut:
    return PreviewOut(id=preview_id, state=kept["state"], page=kept.get("page"), error=kept.get("error"))


@bp.get("/v1/jobs/<job_id>/urls")
@bp.input(UrlsQuery, location="query")
@bp.output(CrawlUrlsOut)
@bp.doc(
    summary="List the URLs that a crawl found",
    description="In the order in which they were found, with their state. Jobs that are not crawls have no URLs.",
    operation_id="list_urls",
)
def list_urls(job_id: str, query_data: UrlsQuery) -> Answer:
    after = decode_cursor_value(query_data.cursor, "after", int) or 0
    with current_services().database.reading() as session:
        require_job(session, job_id)
        url_filter = UrlFilter(query_data.kind, query_data.state)
        rows = requests.list_urls(session, job_id, url_filter, after, query_data.limit + 1)
    page, next_cursor = cut_page(rows, query_data.limit, lambda row: {"after": row.seq})
    return CrawlUrlsOut(data=[_url_out(row) for row in page], next_cursor=next_cursor), 200, link_header(next_cursor)


def _url_out(row: CrawlUrl) -> CrawlUrlOut:
    reason = None if row.reason_code is None else ReasonOut(code=row.reason_code, detail=row.reason_detail)
    return CrawlUrlOut(
        url=row.url,
        kind=row.kind,
        state=row.state,
        reason=reason,
        status=row.status,
        depth=row.depth,
        referrer=row.referrer,
        item_id=row.item_id,
        found_at=row.found_at,
        settled_at=row.settled_at,
    )
