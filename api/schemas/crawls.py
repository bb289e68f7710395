"""Crawls: how far they go, and what they met."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.common import Input, PageQuery, Text
from core.fetching.urls import MAX_URL
from db.tables import UrlKind, UrlState
from db.views.job import Output, Time

Url = Annotated[str, Field(max_length=MAX_URL)]
Host = Annotated[Text, Field(min_length=1, max_length=253)]


class CrawlLimitsIn(Input):
    """How far a crawl goes; the server may allow less."""

    pages: int = Field(200, ge=1)
    pictures: int = Field(2_000, ge=1)
    bytes: int = Field(2**30, ge=1, description="received in all")
    depth: int = Field(3, ge=0, le=100, description="links from a start URL")
    minutes: int = Field(30, ge=1)
    hosts: list[Host] = Field([], max_length=100, description="further hosts that pages may be on")


class CrawlIn(Input):
    """A shop to be crawled."""

    start_urls: list[Url] = Field([], max_length=100, description="pages, listings, sitemaps or feeds")
    recipe: str | None = Field(None, max_length=100, description="name of a site recipe; else whichever matches")
    query: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None, description="word to search for, where a recipe knows how"
    )
    limits: CrawlLimitsIn = CrawlLimitsIn()
    since: Annotated[Text, Field(max_length=40)] | None = Field(
        None, description="a crawl of yours to repeat; it gives whatever is not given here"
    )


class UrlsQuery(PageQuery):
    kind: UrlKind | None = None
    state: UrlState | None = None


class ReasonOut(Output):
    code: str
    detail: str | None


class CrawlUrlOut(Output):
    """A URL that a crawl met, and what became of it."""

    url: str
    kind: UrlKind
    state: UrlState
    reason: ReasonOut | None
    status: int | None = Field(description="of the last answer, by HTTP")
    depth: int
    referrer: str | None = Field(description="where it was met first")
    item_id: str | None = Field(description="of a picture: the item that it became")
    found_at: Time
    settled_at: Time | None


class CrawlUrlsOut(Output):
    data: list[CrawlUrlOut]
    next_cursor: str | None
