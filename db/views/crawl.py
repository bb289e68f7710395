"""The field `crawl` of a job in the HTTP API (docs/http-api.md)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from db.tables import Crawl, UrlState


class CrawlLimitsOut(BaseModel):
    pages: int
    pictures: int
    bytes: int
    depth: int
    minutes: int
    hosts: list[str]


class UrlCountsOut(BaseModel):
    """The number of URLs in each state. `seen` is their sum."""

    seen: int
    queued: int
    done: int
    not_modified: int
    moved: int
    gone: int
    failed: int
    blocked_by_robots: int
    blocked_address: int
    not_allowed: int
    left_out: int


class WaitingOut(BaseModel):
    """A host that has asked for a pause, and the end of the pause."""

    host: str
    until: str


class ChangesOut(BaseModel):
    """The number of pictures, by how they differ from the crawl that this one repeats."""

    new: int
    changed: int
    unchanged: int
    gone: int


class CrawlOut(BaseModel):
    start_urls: list[str]
    recipe: str | None
    query: str | None
    since: str | None = Field(description="The crawl that this one repeats.")
    limits: CrawlLimitsOut
    pages: UrlCountsOut = Field(description="Pages, sitemaps and feeds.")
    pictures: UrlCountsOut
    left_out: dict[str, int] = Field(description="URLs that were not fetched or not used, by reason.")
    bytes: int = Field(description="Bytes received so far.")
    waiting_on: list[WaitingOut]
    changes: ChangesOut | None = Field(description="Null unless the crawl repeats another one.")
    verdict: str | None = Field(description="Why the crawl found nothing or ended early.")


def crawl_out(crawl: Crawl) -> CrawlOut:
    """Return a crawl as the HTTP API shows it."""
    request, progress = crawl.request, crawl.progress
    changes = None
    if crawl.since_job_id is not None:
        counted = progress.get("changes", {})
        changes = ChangesOut(**{name: counted.get(name, 0) for name in ChangesOut.model_fields})
    return CrawlOut(
        start_urls=request["start_urls"],
        recipe=request["recipe"],
        query=request["query"],
        since=crawl.since_job_id,
        limits=CrawlLimitsOut(**request["limits"]),
        pages=_counts(progress.get("pages", {})),
        pictures=_counts(progress.get("pictures", {})),
        left_out=progress.get("left_out", {}),
        bytes=progress.get("bytes", 0),
        waiting_on=[WaitingOut(**waiting) for waiting in progress.get("waiting_on", [])],
        changes=changes,
        verdict=crawl.verdict,
    )


def _counts(by_state: dict[str, Any]) -> UrlCountsOut:
    return UrlCountsOut(
        seen=sum(by_state.values()), **{state.value: by_state.get(state.value, 0) for state in UrlState}
    )
