"""URLs that a crawl meets, and what an earlier crawl of the same shop knows about them if this one repeats it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.bulk import in_values
from db.tables import Crawl, CrawlPriority, CrawlUrl, UrlKind, UrlReason, UrlState

_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class EarlierVisit:
    """The earlier crawl's data about a URL. All fields are None if it has none.

    The earlier crawl is the one that this crawl repeats.
    """

    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    """The SHA-256 of a picture's bytes."""


@dataclass(frozen=True, slots=True)
class QueuedUrl:
    """A URL that waits to be requested."""

    digest: str
    url: str
    kind: UrlKind
    priority: CrawlPriority
    depth: int
    known: Mapping[str, Any]
    earlier: EarlierVisit


@dataclass(frozen=True, slots=True)
class MetUrl:
    """A URL that a crawl met. It changes nothing if the crawl met the URL before."""

    digest: str
    """`db.crawls.requests.digest_of` the canonical spelling."""
    url: str
    kind: UrlKind
    priority: CrawlPriority
    depth: int
    referrer: str | None = None
    known: Mapping[str, Any] | None = None
    left_out: UrlReason | None = None
    """Why the URL will not be requested. None if it will be."""


def list_unreached_pages(session: Session, crawl: Crawl, after: int) -> tuple[list[MetUrl], int]:
    """Return pages that the repeated crawl read and this one has not met, from a part of its rows behind `after`.

    The number that is returned with them is the `after` of the next call. It equals `after` at the end of the rows.
    """
    read = CrawlUrl.state.in_((UrlState.DONE, UrlState.NOT_MODIFIED)) & (CrawlUrl.kind == UrlKind.PAGE)
    rows = session.scalars(
        select(CrawlUrl)
        .where(CrawlUrl.job_id == crawl.since_job_id, CrawlUrl.seq > after, read)
        .order_by(CrawlUrl.seq)
        .limit(_ROWS_AT_ONCE)
    ).all()
    if not rows:
        return [], after
    met = find_met(session, crawl.job_id, [row.digest for row in rows])
    max_depth = crawl.request["limits"]["depth"]
    return [_as_met(row, max_depth) for row in rows if row.digest not in met], rows[-1].seq


def count_vanished_pictures(session: Session, crawl: Crawl, after: int) -> tuple[int, int]:
    """Return how many pictures of the repeated crawl no page shows any more, from a part of its rows behind `after`.

    The second number is the `after` of the next call, as in `list_unreached_pages`.
    """
    kept = CrawlUrl.state.in_((UrlState.DONE, UrlState.NOT_MODIFIED)) & (CrawlUrl.kind == UrlKind.PICTURE)
    rows = session.execute(
        select(CrawlUrl.digest, CrawlUrl.seq)
        .where(CrawlUrl.job_id == crawl.since_job_id, CrawlUrl.seq > after, kept)
        .order_by(CrawlUrl.seq)
        .limit(_ROWS_AT_ONCE)
    ).all()
    if not rows:
        return 0, after
    met = find_met(session, crawl.job_id, [row.digest for row in rows])
    return sum(row.digest not in met for row in rows), rows[-1].seq


def list_children(session: Session, crawl: Crawl, pages: Collection[str]) -> list[MetUrl]:
    """Return the URLs that these pages led to in the crawl that this one repeats."""
    if not pages or crawl.since_job_id is None:
        return []
    children = select(CrawlUrl).where(CrawlUrl.job_id == crawl.since_job_id, CrawlUrl.referrer.in_(pages))
    # A URL that was left out because of a limit may be requested now. Other reasons hold again.
    wanted = (CrawlUrl.state != UrlState.LEFT_OUT) | CrawlUrl.reason_code.startswith("limit_")
    max_depth = crawl.request["limits"]["depth"]
    return [_as_met(row, max_depth) for row in session.scalars(children.where(wanted))]


def find_earlier_visits(session: Session, crawl: Crawl, digests: Sequence[str]) -> dict[str, EarlierVisit]:
    """Return the earlier crawl's data about these URLs, by digest."""
    if crawl.since_job_id is None:
        return {}
    rows = select(CrawlUrl.digest, CrawlUrl.etag, CrawlUrl.last_modified, CrawlUrl.blob_sha256).where(
        CrawlUrl.job_id == crawl.since_job_id, in_values(session, CrawlUrl.digest, digests)
    )
    return {digest: EarlierVisit(*known) for digest, *known in session.execute(rows)}


def find_met(session: Session, job_id: str, digests: Sequence[str]) -> set[str]:
    """Return those of the digests whose URLs the crawl has met."""
    query = select(CrawlUrl.digest).where(CrawlUrl.job_id == job_id, in_values(session, CrawlUrl.digest, digests))
    return set(session.scalars(query))


def _as_met(row: CrawlUrl, max_depth: int) -> MetUrl:
    left_out = UrlReason.LIMIT_DEPTH if row.kind is not UrlKind.PICTURE and row.depth > max_depth else None
    priority = CrawlPriority(row.priority)
    return MetUrl(row.digest, row.url, row.kind, priority, row.depth, row.referrer, row.known, left_out)
