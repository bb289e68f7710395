"""What the service answers of crawls, as lookbook/answers.py has the rest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlLimits(Answer):
    """How far a crawl goes."""

    pages: int
    pictures: int
    bytes: int
    depth: int
    minutes: int
    hosts: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlCounts(Answer):
    """How many URLs are in which state; `seen` is their sum."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Answer):
    """A host that wants to be left alone for a while."""

    host: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Answer):
    """Pictures, against the crawl that is repeated."""

    new: int
    changed: int
    unchanged: int
    gone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl(Answer):
    """What a crawl was asked for, and how far it is."""

    start_urls: list[str]
    recipe: str | None
    query: str | None
    since: str | None
    """The id of the crawl that it repeats."""
    limits: CrawlLimits
    pages: UrlCounts
    """Sitemaps and feeds among them."""
    pictures: UrlCounts
    left_out: dict[str, int]
    """What was not asked for or not used: reason -> how many."""
    bytes: int
    """Received so far."""
    waiting_on: list[Waiting]
    changes: Changes | None
    """Of a crawl that repeats another."""
    verdict: str | None
    """Why it found nothing, or ended early; docs/http-api.md lists them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason(Answer):
    code: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlUrl(Answer):
    """A URL that a crawl met, and what became of it."""

    url: str
    kind: str
    """page, picture, sitemap, feed or robots."""
    state: str
    """queued, or another of those that `UrlCounts` counts: all of them are final."""
    reason: Reason | None
    status: int | None
    """Of the last answer, by HTTP."""
    depth: int
    referrer: str | None
    """Where it was met first."""
    item_id: str | None
    """Of a picture: the item that it became."""
    found_at: datetime
    settled_at: datetime | None
