"""What a crawl meets, and what the crawl that it repeats, if it does, knows of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.bulk import in_values
from db.tables import Crawl, CrawlUrl, UrlKind, UrlReason, UrlState

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Before:
    """What the crawl that this one repeats knows of a URL."""

    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A URL that waits to be asked for."""

    digest: str
    url: str
    kind: UrlKind
    priority: int
    depth: int
    known: Mapping[str, Any]
    before: Before


@dataclass(frozen=True, slots=True)
class Met:
    """A URL that was met; nothing, if it was met before."""

    digest: str
    """`crawls.digest_of` its canonical spelling."""
    url: str
    kind: UrlKind
    priority: int
    depth: int
    referrer: str | None = None
    known: Mapping[str, Any] | None = None
    left_out: str | None = None
    """Why it will not be asked for."""


def unreached(session: Session, crawl: Crawl, after: int) -> tuple[list[Met], int]:
    """Of the crawl that this one repeats: pages that were read then and have not been met now, from a place on.

    And the place where to go on; no pages: that was all.
    """
    read = CrawlUrl.state.in_((UrlState.DONE, UrlState.NOT_MODIFIED)) & (CrawlUrl.kind == UrlKind.PAGE)
    rows = session.scalars(
        select(CrawlUrl)
        .where(CrawlUrl.job_id == crawl.since_job_id, CrawlUrl.seq > after, read)
        .order_by(CrawlUrl.seq)
        .limit(_AT_ONCE)
    ).all()
    if not rows:
        return [], after
    here = present(session, crawl.job_id, [row.digest for row in rows])
    deepest = crawl.request["limits"]["depth"]
    return [_as_met(row, deepest) for row in rows if row.digest not in here], rows[-1].seq


def vanished(session: Session, crawl: Crawl, after: int) -> tuple[int, int]:
    """How many pictures of the crawl that this one repeats no page shows any more; and as `unreached`."""
    kept = CrawlUrl.state.in_((UrlState.DONE, UrlState.NOT_MODIFIED)) & (CrawlUrl.kind == UrlKind.PICTURE)
    rows = session.execute(
        select(CrawlUrl.digest, CrawlUrl.seq)
        .where(CrawlUrl.job_id == crawl.since_job_id, CrawlUrl.seq > after, kept)
        .order_by(CrawlUrl.seq)
        .limit(_AT_ONCE)
    ).all()
    if not rows:
        return 0, after
    here = present(session, crawl.job_id, [row.digest for row in rows])
    return sum(row.digest not in here for row in rows), rows[-1].seq


def known_children(session: Session, crawl: Crawl, pages: Collection[str]) -> list[Met]:
    if not pages or crawl.since_job_id is None:
        return []
    children = select(CrawlUrl).where(CrawlUrl.job_id == crawl.since_job_id, CrawlUrl.referrer.in_(pages))
    # What was left out for its own sake is left out again; what a limit left out may have its turn now.
    wanted = (CrawlUrl.state != UrlState.LEFT_OUT) | CrawlUrl.reason_code.startswith("limit_")
    deepest = crawl.request["limits"]["depth"]
    return [_as_met(row, deepest) for row in session.scalars(children.where(wanted))]


def before(session: Session, crawl: Crawl, digests: Sequence[str]) -> dict[str, Before]:
    if crawl.since_job_id is None:
        return {}
    of_then = select(CrawlUrl.digest, CrawlUrl.etag, CrawlUrl.last_modified, CrawlUrl.blob_sha256).where(
        CrawlUrl.job_id == crawl.since_job_id, in_values(session, CrawlUrl.digest, digests)
    )
    return {digest: Before(*known) for digest, *known in session.execute(of_then)}


def present(session: Session, job_id: str, digests: Sequence[str]) -> set[str]:
    query = select(CrawlUrl.digest).where(CrawlUrl.job_id == job_id, in_values(session, CrawlUrl.digest, digests))
    return set(session.scalars(query))


def _as_met(row: CrawlUrl, deepest: int) -> Met:
    left_out = UrlReason.LIMIT_DEPTH if row.kind is not UrlKind.PICTURE and row.depth > deepest else None
    return Met(row.digest, row.url, row.kind, row.priority, row.depth, row.referrer, row.known, left_out)
