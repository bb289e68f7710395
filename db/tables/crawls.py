"""Crawls: what each was asked to do, how far it is, and every URL that it met."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, enum


class UrlKind(StrEnum):
    """The kind of content at a URL. A crawl may meet a sitemap or a feed as a page, and corrects that on reading it."""

    PAGE = "page"
    PICTURE = "picture"
    SITEMAP = "sitemap"
    """A sitemap, or an index of sitemaps."""
    FEED = "feed"
    """RSS or Atom."""
    ROBOTS = "robots"
    """A host's robots.txt."""


class Lane(StrEnum):
    """The two lists of waiting URLs that a crawl keeps in memory. Their values are also the counts in `progress`."""

    PICTURES = "pictures"
    PAGES = "pages"
    """Pages, sitemaps and feeds."""

    @classmethod
    def of(cls, kind: UrlKind) -> Lane:
        """Return the lane in which URLs of a kind wait."""
        return cls.PICTURES if kind is UrlKind.PICTURE else cls.PAGES


class CrawlPriority(IntEnum):
    """In which order the URLs of a crawl are requested: the lowest number first."""

    PICTURE = 0
    """Pictures come before pages, so that classification begins with the first one."""
    START = 1
    """Start URLs, what these moved to, and sitemaps."""
    PRODUCT = 2
    """The page of a product."""
    NEXT_PAGE = 3
    """A further page of a listing."""
    OTHER_PAGE = 4
    VIEW = 5
    """The same products in another order or selection, or a page whose pattern has shown nothing new."""
    FALLBACK = 9
    """A picture that a listing shows. It is requested only if its product's own page is not read in the end."""


class UrlState(StrEnum):
    """The state of a URL: `queued`, then exactly one of the others, which are final (docs/states.md)."""

    QUEUED = "queued"
    """The URL waits for its first or its next request."""
    DONE = "done"
    """The page was read, or the picture became an item with bytes."""
    NOT_MODIFIED = "not_modified"
    """The content is the same as in the crawl that this one repeats. Nothing was downloaded."""
    MOVED = "moved"
    """The server redirects to another URL, which is in the list as well."""
    GONE = "gone"
    """The server says that the URL does not exist (404, 410)."""
    FAILED = "failed"
    """No request got a usable answer."""
    BLOCKED_BY_ROBOTS = "blocked_by_robots"
    """The host's robots.txt forbids the URL, or could not be read."""
    BLOCKED_ADDRESS = "blocked_address"
    """The host of the URL has an IP address that is not public."""
    NOT_ALLOWED = "not_allowed"
    """The URL may not be fetched because of its scheme, its port or its redirects."""
    LEFT_OUT = "left_out"
    """The URL was not requested, or its content was not used. The reason says why: a limit, another host, a spacer."""


class UrlReason(StrEnum):
    """Why a URL is in its state, where neither the code of an error nor a value of `crawler.extraction` says it."""

    LIMIT_PAGES = "limit_pages"
    LIMIT_PICTURES = "limit_pictures"
    LIMIT_BYTES = "limit_bytes"
    LIMIT_DEPTH = "limit_depth"
    LIMIT_MINUTES = "limit_minutes"
    LIMIT_URLS = "limit_urls"
    """The crawl stores no further URLs: it only counts them."""
    OTHER_HOST = "other_host"
    ENDLESS_PATTERN = "endless_pattern"
    """One of many URLs of the same form whose pages show nothing new: filters, sort orders, calendars, session ids."""
    TRANSLATION = "translation"
    """The same page in another language (`hreflang`), of which the crawl has met one already."""
    PRODUCT_IN_LIST = "product_in_list"
    """A list that a recipe reads has all data of the product already."""
    PRODUCT_PAGE_READ = "product_page_read"
    """A list shows the picture of a product whose own page was read."""
    NOINDEX = "noindex"
    """The page asks not to be indexed."""
    CANCELED = "canceled"
    ROBOTS = "robots"
    """The host's robots.txt forbids it, or could not be read."""
    ERROR_PAGE = "error_page"
    """The page is an error message, although the HTTP status may say otherwise."""
    INTERNAL_ERROR = "internal_error"
    """Reading the answer failed because of a bug in the crawler."""


class Crawl(Base):
    """Request and progress of a crawl."""

    __tablename__ = "crawls"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    request: Mapped[dict[str, Any]]
    """`start_urls`, `recipe`, `query` and `limits` as they apply, with defaults within the server's maximums."""
    since_job_id: Mapped[str | None] = mapped_column(String(40))
    """The job of the crawl that this one repeats."""
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Counts (db/crawls/progress.py). They change in the same transaction as the URLs that they count."""
    verdict: Mapped[str | None] = mapped_column(String(50))
    """Why the crawl found nothing or ended early. None if it did neither."""
    begun_at: Mapped[datetime | None]
    """When a worker took up the crawl for the first time. The previous version counts the time limit from then."""


class CrawlUrl(Base):
    """One URL that a crawl met: it waits to be requested, or has reached its final state."""

    __tablename__ = "crawl_urls"
    __table_args__ = (
        Index("ix_crawl_urls_seq", "job_id", "seq", unique=True),
        Index("ix_crawl_urls_waiting", "job_id", "state", "priority", "seq"),
        Index("ix_crawl_urls_kind", "job_id", "kind", "seq"),
        # Finds what a page led to, when a later crawl finds the page unchanged.
        Index("ix_crawl_urls_referrer", "job_id", "referrer"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The first 128 bits of the SHA-256 of the URL's canonical spelling, in hex. Each canonical URL has one row."""
    seq: Mapped[int]
    """1 for the URL that the crawl met first, then 2, 3 and so on."""
    url: Mapped[str] = mapped_column(Text)
    """The URL as it was met. This spelling is requested."""
    kind: Mapped[UrlKind] = mapped_column(enum(UrlKind, "kind"))
    state: Mapped[UrlState] = mapped_column(enum(UrlState, "state"), default=UrlState.QUEUED)
    priority: Mapped[int] = mapped_column(default=CrawlPriority.PICTURE)
    """A value of `CrawlPriority`."""
    depth: Mapped[int] = mapped_column(default=0)
    """Number of links from a start URL. Further pages of a listing are as deep as its first page."""
    referrer: Mapped[str | None] = mapped_column(Text)
    """The URL of the page on which it was met first. None for a start URL."""
    known: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """For a picture, the `source` that its item will show; for a redirected URL, the number of redirects."""
    reason_code: Mapped[str | None] = mapped_column(String(50))
    """A value of `UrlReason` or `LeftOut`, the kind of the page, or the code of an error."""
    reason_detail: Mapped[str | None] = mapped_column(Text)
    status: Mapped[int | None]
    """The HTTP status of the last answer."""
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    blob_sha256: Mapped[str | None] = mapped_column(String(64))
    """The SHA-256 of a picture's bytes. This is no reference: the blob is removed when no item shows it any more."""
    item_id: Mapped[str | None] = mapped_column(String(40))
    found_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
