"""Crawls: making them, and listing what they met. What happens while one runs is in db/steps/crawling.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.crawls.progress import Progress
from db.tables import Crawl, CrawlUrl, UrlKind, UrlReason, UrlState


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """How far a crawl goes. What is beyond is left out, and counted."""

    pages: int
    pictures: int
    bytes: int
    """Received in all, from all hosts."""
    depth: int
    """Links from a start URL."""
    minutes: int
    """Since it was first taken up."""
    hosts: tuple[str, ...] = ()
    """On which pages may be, beside those of the start URLs."""


@dataclass(frozen=True, slots=True)
class CrawlRequest:
    """What a crawl job is asked to do."""

    start_urls: tuple[str, ...]
    limits: CrawlLimits
    recipe: str | None = None
    """The name of a site recipe; None: whichever matches a page."""
    query: str | None = None
    """The word to search for, where a recipe knows how."""
    since: str | None = field(default=None)
    """The job that this one repeats."""

    def stored(self) -> dict[str, Any]:
        """As a column keeps it."""
        kept = asdict(self)
        del kept["since"]
        return kept

    @classmethod
    def of(cls, crawl: Crawl) -> CrawlRequest:
        kept = crawl.request
        limits = CrawlLimits(**kept["limits"] | {"hosts": tuple(kept["limits"]["hosts"])})
        return cls(tuple(kept["start_urls"]), limits, kept["recipe"], kept["query"], crawl.since_job_id)


def digest_of(canonical: str) -> str:
    """What a URL is known by within a crawl, from its canonical spelling."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def add(session: Session, job_id: str, request: CrawlRequest) -> None:
    """Store what a job is to crawl."""
    session.execute(
        insert(Crawl).values(job_id=job_id, request=request.stored(), since_job_id=request.since, progress={})
    )


@dataclass(frozen=True, slots=True)
class UrlFilter:
    """Which URLs to list; everything given must hold."""

    kind: UrlKind | None = None
    state: UrlState | None = None


def list_urls(session: Session, job_id: str, wanted: UrlFilter, after: int, limit: int) -> Sequence[CrawlUrl]:
    """URLs of a crawl behind `after`, in the order in which they were met."""
    query = select(CrawlUrl).where(CrawlUrl.job_id == job_id, CrawlUrl.seq > after).order_by(CrawlUrl.seq).limit(limit)
    if wanted.kind:
        query = query.where(CrawlUrl.kind == wanted.kind)
    if wanted.state:
        query = query.where(CrawlUrl.state == wanted.state)
    return session.scalars(query).all()


def leave_out_waiting(session: Session, crawl: Crawl, reasons: Mapping[UrlKind, str], now: datetime) -> None:
    """queued -> left_out for every URL of these kinds that still waits. The caller holds the job's row."""
    waiting = (CrawlUrl.job_id == crawl.job_id) & (CrawlUrl.state == UrlState.QUEUED)
    progress = Progress(crawl.progress)
    for kind, many in session.execute(select(CrawlUrl.kind, func.count()).where(waiting).group_by(CrawlUrl.kind)).all():
        if kind not in reasons:
            continue
        session.execute(
            update(CrawlUrl)
            .where(waiting, CrawlUrl.kind == kind)
            .values(state=UrlState.LEFT_OUT, reason_code=reasons[kind], settled_at=now)
            .execution_options(synchronize_session=False)
        )
        progress.moved(kind, UrlState.QUEUED, UrlState.LEFT_OUT, reasons[kind], many)
    progress.waiting_on([])
    crawl.progress = progress.stored
    session.flush()


def cancel(session: Session, job_id: str, now: datetime) -> None:
    """Nothing more of a crawl is asked for: its job is to be canceled."""
    crawl = session.get(Crawl, job_id, populate_existing=True)
    if crawl is not None:
        leave_out_waiting(session, crawl, dict.fromkeys(UrlKind, UrlReason.CANCELED), now)
