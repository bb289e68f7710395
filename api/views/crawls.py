"""The URLs that a crawl found."""

from __future__ import annotations

from apiflask import APIBlueprint

from api.answers.paging import cut_page, decode_cursor_value, link_header
from api.door.access import require_job
from api.schemas.common import Answer
from api.schemas.crawls import CrawlUrlOut, CrawlUrlsOut, ReasonOut, UrlsQuery
from api.services import current_services
from db.crawls import requests
from db.crawls.requests import UrlFilter
from db.tables import CrawlUrl

bp = APIBlueprint("crawls", __name__, tag="Jobs")


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
