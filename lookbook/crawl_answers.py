"""The answers of the service about crawls. lookbook/answers.py and lookbook/key_answers.py have the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlLimits(Answer):
    """The limits of a crawl."""

    pages: int
    pictures: int
    bytes: int
    depth: int
    minutes: int
    hosts: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlCounts(Answer):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Answer):
    """A host that the crawl must not ask before a certain time."""

    host: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes(Answer):
    """Pictures compared with the crawl that is repeated."""

    new: int
    changed: int
    unchanged: int
    gone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crawl(Answer):
    """The options and the progress of a crawl."""

    start_urls: list[str]
    recipe: str | None
    query: str | None
    since: str | None
    """The id of the crawl that it repeats."""
    limits: CrawlLimits
    pages: UrlCounts
    """Including sitemaps and feeds."""
    pictures: UrlCounts
    left_out: dict[str, int]
    """The number of URLs that were not fetched or not used, by reason."""
    bytes: int
    """Bytes received so far."""
    waiting_on: list[Waiting]
    changes: Changes | None
    """None unless the crawl repeats another one."""
    verdict: str | None
    """Why the crawl found nothing or ended early. docs/http-api.md lists the values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason(Answer):
    code: str
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CrawlUrl(Answer):
    """A URL that a crawl found, and its state."""

    url: str
    kind: str
    """page, picture, sitemap, feed or robots."""
    state: str
    """queued, or one of the other states of `UrlCounts`, all of which are final."""
    reason: Reason | None
    status: int | None
    """The HTTP status of the last response."""
    depth: int
    referrer: str | None
    """The page on which the URL was found first."""
    item_id: str | None
    """The item that was created from the picture."""
    found_at: datetime
    settled_at: datetime | None
