"""Models of crawls: their options, limits and URLs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.common import Input, PageQuery, Text
from core.fetching.urls import MAX_URL
from db.tables import UrlKind, UrlState
from db.views.job import ErrorOut, Output, Time

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


class PreviewIn(Input):
    """A page of a shop."""

    url: Url
    recipe: str | None = Field(None, max_length=100, description="As in a crawl.")
    query: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(None, description="As in a crawl.")


class PreviewPictureOut(Output):
    """A picture on the page. All texts are those of the page."""

    url: str
    title: str | None
    price: str | None
    currency: str | None
    page_url: str | None = Field(description="The page of the product.")
    thumbnail: str | None = Field(description="A small JPEG as a `data:` URL. Null beyond the first pictures.")


class PreviewLinksOut(Output):
    """How many pages a crawl would follow from this one."""

    products: int
    pages: int = Field(description="Other pages of this listing.")
    others: int


class PreviewPageOut(Output):
    url: str = Field(description="The URL after redirects.")
    status: int
    kind: str = Field(description="`product`, `listing`, `other`, `empty`, `consent`, `error` or `sitemap`.")
    title: str | None
    recipe: str | None
    found: int = Field(description="Pictures of products on the page. `pictures` has the first of them.")
    pictures: list[PreviewPictureOut]
    left_out: dict[str, int] = Field(description="Pictures that show no product, by reason.")
    links: PreviewLinksOut


class PreviewOut(Output):
    """The yield of the first page of a crawl."""

    id: str
    state: Literal["running", "done", "failed"]
    page: PreviewPageOut | None
    error: ErrorOut | None


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
