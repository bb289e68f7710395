"""Crawls: what was asked for, how far it is, and every URL that was met."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, enum


class UrlKind(StrEnum):
    """What a URL was met as."""

    PAGE = "page"
    PICTURE = "picture"
    SITEMAP = "sitemap"
    """A sitemap, or an index of some."""
    FEED = "feed"
    """RSS or Atom."""
    ROBOTS = "robots"
    """A host's robots.txt."""


class UrlState(StrEnum):
    """queued -> one of the others, each of which is final. docs/states.md says what leads where."""

    QUEUED = "queued"
    """Not asked for yet, or to be asked for again."""
    DONE = "done"
    """A page was read; a picture is an item with bytes."""
    NOT_MODIFIED = "not_modified"
    """As it was when the crawl that this one repeats was there: nothing was downloaded."""
    MOVED = "moved"
    """It led to another URL, which is in the list as well."""
    GONE = "gone"
    """The server says that it is not there (404, 410), or no page shows it any more."""
    FAILED = "failed"
    """No usable answer, after all tries."""
    BLOCKED_BY_ROBOTS = "blocked_by_robots"
    """The host's robots.txt forbids it, or could not be had."""
    BLOCKED_ADDRESS = "blocked_address"
    """It leads to an address that is not public."""
    NOT_ALLOWED = "not_allowed"
    """It is not one that may be fetched: by its scheme, its port, or its redirects."""
    LEFT_OUT = "left_out"
    """Not asked for, or not used; the reason says why: a limit, another host, a spacer."""


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
    """One of many URLs of the same form whose pages show nothing new."""
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
    """What a crawl job was asked to do, and how far it is."""

    __tablename__ = "crawls"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    request: Mapped[dict[str, Any]]
    """`start_urls`, `recipe`, `query`, `limits`, as they apply (defaults and ceilings included)."""
    since_job_id: Mapped[str | None] = mapped_column(String(40))
    """The crawl that this one repeats."""
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Counts, as db/crawls/progress.py keeps them: changed with the URLs that they count."""
    verdict: Mapped[str | None] = mapped_column(String(50))
    """Why a crawl that is over found nothing, or ended early; None if there is nothing to say."""
    begun_at: Mapped[datetime | None]
    """When a worker first took it up: its minutes count from then."""


class CrawlUrl(Base):
    """One URL of a crawl: what waits to be asked for, and what became of everything else."""

    __tablename__ = "crawl_urls"
    __table_args__ = (
        Index("ix_crawl_urls_seq", "job_id", "seq", unique=True),
        Index("ix_crawl_urls_waiting", "job_id", "state", "priority", "seq"),
        Index("ix_crawl_urls_kind", "job_id", "kind", "seq"),
        # What a page led to, if a later crawl finds it unchanged.
        Index("ix_crawl_urls_referrer", "job_id", "referrer"),
    )

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The first 128 bits of the SHA-256 of the URL's canonical spelling, in hex: one URL is met once."""
    seq: Mapped[int]
    """In the order in which they were met."""
    url: Mapped[str] = mapped_column(Text)
    """As it was met: what is asked for."""
    kind: Mapped[UrlKind] = mapped_column(enum(UrlKind, "kind"))
    state: Mapped[UrlState] = mapped_column(enum(UrlState, "state"), default=UrlState.QUEUED)
    priority: Mapped[int] = mapped_column(default=0)
    """What is asked for first: the lowest."""
    depth: Mapped[int] = mapped_column(default=0)
    """Links from a start URL; further pages of a listing are as deep as the first."""
    referrer: Mapped[str | None] = mapped_column(Text)
    """Where it was met first; None for a start URL."""
    known: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """Of a picture what its item shows as its source; of what was redirected, how often (`redirects`)."""
    reason_code: Mapped[str | None] = mapped_column(String(50))
    reason_detail: Mapped[str | None] = mapped_column(Text)
    status: Mapped[int | None]
    """Of the last answer, by HTTP."""
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    blob_sha256: Mapped[str | None] = mapped_column(String(64))
    """Of a picture: its bytes, as they were then. Not a reference: they go when no item shows them any more."""
    item_id: Mapped[str | None] = mapped_column(String(40))
    found_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
