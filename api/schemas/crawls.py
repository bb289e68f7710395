"""Models of crawls: their options, limits and URLs."""

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
    """The limits of a crawl. The server may set lower maximums."""

    pages: int = Field(200, ge=1)
    pictures: int = Field(2_000, ge=1)
    bytes: int = Field(2**30, ge=1, description="Bytes to receive in total.")
    depth: int = Field(3, ge=0, le=100, description="Links to follow from a start URL.")
    minutes: int = Field(30, ge=1)
    hosts: list[Host] = Field(
        [], max_length=100, description="Hosts whose pages may be visited besides those of the start URLs."
    )


class CrawlIn(Input):
    """The shop to crawl."""

    start_urls: list[Url] = Field([], max_length=100, description="URLs of pages, listings, sitemaps or feeds.")
    recipe: str | None = Field(
        None, max_length=100, description="The name of a site recipe. Without it, the recipe that matches is used."
    )
    query: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None, description="A word to search the shop for. The recipe must support searches."
    )
    limits: CrawlLimitsIn = CrawlLimitsIn()
    since: Annotated[Text, Field(max_length=40)] | None = Field(
        None, description="The id of one of your crawls to repeat. Options that are not given are taken from it."
    )


class UrlsQuery(PageQuery):
    kind: UrlKind | None = None
    state: UrlState | None = None


class ReasonOut(Output):
    code: str
    detail: str | None


class CrawlUrlOut(Output):
    """A URL that a crawl found, and its state."""

    url: str
    kind: UrlKind
    state: UrlState
    reason: ReasonOut | None
    status: int | None = Field(description="The HTTP status of the last response.")
    depth: int
    referrer: str | None = Field(description="The page on which the URL was found first.")
    item_id: str | None = Field(description="The item that was created from the picture.")
    found_at: Time
    settled_at: Time | None


class CrawlUrlsOut(Output):
    data: list[CrawlUrlOut]
    next_cursor: str | None
