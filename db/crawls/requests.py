"""Creates crawls and lists the URLs that they met. The steps of a running crawl are in db/steps/crawling.py."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from db.crawls.progress import Progress
from db.tables import Crawl, CrawlUrl, UrlKind, UrlReason, UrlState


@dataclass(frozen=True, slots=True)
class CrawlLimits:
    """The limits of a crawl. URLs beyond a limit are left out and counted."""

    pages: int
    pictures: int
    bytes: int
    """Maximum number of bytes received from all hosts together."""
    depth: int
    """Maximum number of links from a start URL."""
    minutes: int
    """Counted from the moment when a worker takes up the crawl for the first time."""
    hosts: tuple[str, ...] = ()
    """Further hosts on which pages may be, besides the hosts of the start URLs."""


@dataclass(frozen=True, slots=True)
class CrawlRequest:
    """The request of a crawl."""

    start_urls: tuple[str, ...]
    limits: CrawlLimits
    recipe: str | None = None
    """The name of a site recipe. None: the recipe that matches each page, if one does."""
    query: str | None = None
    """The words to search for, on sites whose recipe says how."""
    since: str | None = None
    """The job of the crawl that this one repeats."""

    def stored(self) -> dict[str, Any]:
        """Return the request as `Crawl.request` keeps it. `since` has a column of its own."""
        kept = asdict(self)
        del kept["since"]
        return kept

    @classmethod
    def of(cls, crawl: Crawl) -> CrawlRequest:
        """Return the request of a stored crawl."""
        kept = crawl.request
        limits = CrawlLimits(**kept["limits"] | {"hosts": tuple(kept["limits"]["hosts"])})
        return cls(tuple(kept["start_urls"]), limits, kept["recipe"], kept["query"], crawl.since_job_id)


def digest_of(canonical: str) -> str:
    """Return the key of a URL within its crawl, for the URL's canonical spelling."""
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def add(session: Session, job_id: str, request: CrawlRequest) -> None:
    """Store the crawl of a new job."""
    session.execute(
        insert(Crawl).values(job_id=job_id, request=request.stored(), since_job_id=request.since, progress={})
    )


@dataclass(frozen=True, slots=True)
class UrlFilter:
    """Which URLs to list: those that match every field that is not None."""

    kind: UrlKind | None = None
    state: UrlState | None = None


def list_urls(session: Session, job_id: str, url_filter: UrlFilter, after: int, limit: int) -> Sequence[CrawlUrl]:
    """Return URLs of a crawl with a `seq` greater than `after`, in the order in which the crawl met them."""
    query = select(CrawlUrl).where(CrawlUrl.job_id == job_id, CrawlUrl.seq > after).order_by(CrawlUrl.seq).limit(limit)
    if url_filter.kind:
        query = query.where(CrawlUrl.kind == url_filter.kind)
    if url_filter.state:
        query = query.where(CrawlUrl.state == url_filter.state)
    return session.scalars(query).all()


def leave_out_queued(session: Session, crawl: Crawl, reasons: Mapping[UrlKind, str], now: datetime) -> None:
    """Leave out the queued URLs of these kinds, each kind for its reason. The caller has locked the job's row."""
    queued = (CrawlUrl.job_id == crawl.job_id) & (CrawlUrl.state == UrlState.QUEUED)
    progress = Progress(crawl.progress)
    counts = session.execute(select(CrawlUrl.kind, func.count()).where(queued).group_by(CrawlUrl.kind)).all()
    for kind, number in counts:
        if kind not in reasons:
            continue
        session.execute(
            update(CrawlUrl)
            .where(queued, CrawlUrl.kind == kind)
            .values(state=UrlState.LEFT_OUT, reason_code=reasons[kind], settled_at=now)
            .execution_options(synchronize_session=False)
        )
        progress.count_move(kind, UrlState.QUEUED, UrlState.LEFT_OUT, reasons[kind], number)
    progress.set_waiting_on([])
    crawl.progress = progress.stored
    session.flush()


def cancel(session: Session, job_id: str, now: datetime) -> None:
    """Leave out the queued URLs of a job that is being canceled. Nothing happens if the job is no crawl."""
    crawl = session.get(Crawl, job_id, populate_existing=True)
    if crawl is not None:
        leave_out_queued(session, crawl, dict.fromkeys(UrlKind, UrlReason.CANCELED), now)
