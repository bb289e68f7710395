"""The steps of a running crawl in the database (docs/adr/0022-crawling.md).

Each crawl batch commits together: URLs that were met, URLs that were settled, items, counts and the lease. The worker
that continues a crawl therefore finds exactly the URLs that are still to be requested. No picture is lost, and none
becomes an item twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from core import metrics
from core.errors import LeaseLost
from core.item_errors import CookieWall, CrawlForbidden, ItemError, NothingFound, ShopUnreachable
from core.messages import ChunkMessage
from db.access import usage
from db.bulk import in_values
from db.crawls import met_urls, requests
from db.crawls.met_urls import EarlierVisit, MetUrl, QueuedUrl
from db.crawls.progress import Progress
from db.database import after_commit
from db.steps import chunks, discoveries, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import LeasedSource
from db.steps.submitting import NewItem
from db.tables import Blob, Crawl, CrawlPriority, CrawlUrl, Job, Lane, UrlKind, UrlReason, UrlState

_URLS = cast(Table, CrawlUrl.__table__)

_MAX_URLS = 1_000_000
"""Maximum number of URLs that a crawl stores. Further URLs are only counted."""
_ROWS_AT_ONCE = 5_000

INTERNAL_NOTES = ("redirects", "product_digest")
"""The keys of `known` that the item of a picture does not show."""

MAX_DETAIL = 500
"""Maximum number of characters of a reason's detail."""


@dataclass(frozen=True, slots=True)
class SettledUrl:
    """The final state of a URL that was queued."""

    digest: str
    kind: UrlKind
    """The kind of the content. It may differ from the kind as which the URL was met."""
    state: UrlState
    reason: str | None = None
    detail: str | None = None
    status: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    sha256: str | None = None
    item_id: str | None = None


@dataclass(frozen=True, slots=True)
class CrawlBatch:
    """Everything that happened since the last commit."""

    met: Sequence[MetUrl] = ()
    settled: Sequence[SettledUrl] = ()
    postponed: Collection[str] = ()
    """Digests of queued URLs that are to be requested after all others."""
    unchanged: Collection[str] = ()
    """URLs of pages that did not change since the crawl that this one repeats. They lead to the same URLs again."""
    items: Sequence[NewItem] = ()
    reused: Collection[str] = ()
    """SHA-256 of the items' blobs that were not downloaded again, because an earlier crawl stored their bytes."""
    counted: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Changes of the counts in `Progress`, by (group, name)."""
    bytes: int = 0
    """Received since the last commit."""
    seconds: float = 0.0
    """Time since the last commit, or since the start of the process."""
    waiting_on: Sequence[dict[str, str]] = ()
    """Hosts that are paused now."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The result of a commit."""

    lease: LeasedSource
    """The lease at its new position."""
    chunks: list[ChunkMessage]
    """To be sent after the commit."""
    job_finished: bool = False
    webhook: bool = False


def take(session: Session, worker: str, policy: ChunkPolicy, now: datetime) -> LeasedSource | None:
    """Take up the crawl that has waited longest, and return its lease. Return None if no crawl waits."""
    job_id = discoveries.find_next_waiting(session, now, crawls=True)
    job = None if job_id is None else lifecycle.lock_job(session, job_id)
    lease = None if job is None else discoveries.take(session, job, worker, policy, now)
    if job is None or lease is None:
        return None
    crawl = session.get(Crawl, job.id)
    if crawl is not None and crawl.begun_at is None:
        crawl.begun_at = now
    lifecycle.start_job(session, job, now, now)
    return lease


def _count_urls(by_state: Mapping[tuple[str, str], int]) -> None:
    for (kind, state), count in by_state.items():
        metrics.CRAWL_URLS.labels(kind, state).inc(count)


def commit(session: Session, lease: LeasedSource, batch: CrawlBatch, policy: ChunkPolicy, now: datetime) -> Committed:
    """Store a crawl batch and renew the lease.

    Raises:
        LeaseLost: the crawl is canceled or belongs to another worker. The caller rolls back.
        QuotaExceeded: the owner may not submit that many pictures this month.
    """
    items = _store_blobs(session, batch, now)
    job = lifecycle.lock_job(session, lease.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is not None:
        raise LeaseLost
    lease = _advance_lease(session, lease, batch, policy, now)
    crawl = session.get_one(Crawl, lease.job_id, populate_existing=True)
    progress = Progress(crawl.progress)
    met = [*batch.met, *met_urls.list_children(session, crawl, batch.unchanged)]
    new = _store_met(session, crawl, progress, met, now)
    # Each attempt requests robots.txt again, and the list of URLs shows only the first answer.
    settled = [url for url in batch.settled if url.kind is not UrlKind.ROBOTS or url.digest in new]
    _store_settled(session, job.id, progress, settled, now)
    _postpone(session, job.id, batch.postponed)
    for (group, name), change in batch.counted.items():
        progress.count(group, name, change)
    progress.bytes += batch.bytes
    progress.seconds += batch.seconds
    progress.set_waiting_on(list(batch.waiting_on))
    crawl.progress = progress.stored
    submitting.append_items(session, job, items, now)
    lifecycle.update_job_state(session, job, now)
    messages = chunks.claim(session, job, policy, now)
    usage.add(session, job.key_id, now, items=len(items))
    by_state = Counter((url.kind.value, url.state.value) for url in settled)
    after_commit(session, lambda: _count_urls(by_state))
    return Committed(lease, messages)


def finish(
    session: Session, lease: LeasedSource, left_out: Mapping[UrlKind, str], verdict: ItemError | None, now: datetime
) -> Committed:
    """End a crawl and release its lease. URLs that are still queued are left out, each kind for its reason.

    Raises:
        LeaseLost: the crawl is canceled or belongs to another worker. The caller rolls back.
    """
    job = lifecycle.lock_job(session, lease.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is not None:
        raise LeaseLost
    if not discoveries.release(session, lease):
        raise LeaseLost
    crawl = session.get_one(Crawl, job.id, populate_existing=True)
    requests.leave_out_queued(session, crawl, left_out, now)
    end_crawl(session, job, verdict, now)
    return Committed(lease, [], job.finished, job.webhook is not None)


def end_crawl(session: Session, job: Job, error: ItemError | None, now: datetime) -> None:
    """Mark a crawl as ended, with an error if it ended early. The caller has locked the job's row."""
    crawl = session.get_one(Crawl, job.id, populate_existing=True)
    requests.leave_out_queued(session, crawl, dict.fromkeys(UrlKind, error.code if error else UrlReason.CANCELED), now)
    if job.total == 0:
        error = error or _nothing_found_error(Progress(crawl.progress))
        crawl.verdict = error.code
        lifecycle.fail_job(session, job, error, now)
        return
    if error is not None:
        crawl.verdict = error.code
        job.error = {"code": error.code, "detail": error.detail, "retryable": error.retryable}
    job.discovering = False
    lifecycle.update_job_state(session, job, now)


def _nothing_found_error(progress: Progress) -> NothingFound:
    if progress.counted("page_kinds", "consent"):
        return CookieWall("expected pictures, found only a page that asks for consent first")
    if progress.counted("pages", UrlState.DONE) or progress.counted("pages", UrlState.NOT_MODIFIED):
        return NothingFound("No page shows a picture of a product.")
    if progress.counted("pages", UrlState.BLOCKED_BY_ROBOTS):
        return CrawlForbidden("expected pages, but the shop's robots.txt forbids all that were found")
    return ShopUnreachable("expected pages, but none could be read; the list of URLs says why")


def list_queued(session: Session, job_id: str, lane: Lane, limit: int) -> list[QueuedUrl]:
    """Return the URLs of a lane that are to be requested next. Fallback pictures are in no lane."""
    if lane is Lane.PICTURES:
        in_lane = CrawlUrl.priority == CrawlPriority.PICTURE
    else:
        in_lane = CrawlUrl.priority.between(CrawlPriority.START, CrawlPriority.VIEW)
    query = (
        select(CrawlUrl)
        .where(CrawlUrl.job_id == job_id, CrawlUrl.state == UrlState.QUEUED, in_lane)
        .order_by(CrawlUrl.priority, CrawlUrl.seq)
        .limit(limit)
    )
    return [
        QueuedUrl(
            row.digest,
            row.url,
            row.kind,
            CrawlPriority(row.priority),
            row.depth,
            row.known or {},
            EarlierVisit(row.etag, row.last_modified, row.blob_sha256),
        )
        for row in session.scalars(query)
    ]


def decide_fallbacks(session: Session, lease: LeasedSource, now: datetime) -> int:
    """Decide about fallback pictures when no page is queued any more. Return the number of pictures decided about.

    A picture is left out if its product's own page was read. Otherwise it is queued like any other picture.

    Raises:
        LeaseLost: the crawl is canceled or belongs to another worker. The caller rolls back.
    """
    job = lifecycle.lock_job(session, lease.job_id)
    if job is None or not job.discovering or discoveries.get_held(session, job.id, job.source, lease.worker) is None:
        raise LeaseLost
    fallbacks = (
        select(CrawlUrl)
        .where(
            CrawlUrl.job_id == job.id, CrawlUrl.state == UrlState.QUEUED, CrawlUrl.priority == CrawlPriority.FALLBACK
        )
        .order_by(CrawlUrl.seq)
        .limit(_ROWS_AT_ONCE)
    )
    rows = session.scalars(fallbacks).all()
    read = _find_read_pages(session, job.id, [(row.known or {}).get("product_digest", "") for row in rows])
    crawl = session.get_one(Crawl, job.id, populate_existing=True)
    progress = Progress(crawl.progress)
    for row in rows:
        if (row.known or {}).get("product_digest") not in read:
            row.priority = CrawlPriority.PICTURE
            continue
        row.state, row.reason_code, row.settled_at = UrlState.LEFT_OUT, UrlReason.PRODUCT_PAGE_READ, now
        progress.count_move(row.kind, UrlState.QUEUED, UrlState.LEFT_OUT, row.reason_code)
    crawl.progress = progress.stored
    return len(rows)


def _find_read_pages(session: Session, job_id: str, digests: Sequence[str]) -> set[str]:
    """Return those of these pages that were read, or that redirect to another page."""
    states = (UrlState.DONE, UrlState.NOT_MODIFIED, UrlState.MOVED)
    query = select(CrawlUrl.digest).where(CrawlUrl.job_id == job_id, CrawlUrl.state.in_(states))
    return set(session.scalars(query.where(in_values(session, CrawlUrl.digest, digests))))


def list_start_urls(session: Session, job_id: str) -> list[str]:
    """Return the start URLs of a crawl and the URLs that they redirect to."""
    started = (CrawlUrl.job_id == job_id) & (CrawlUrl.priority == CrawlPriority.START) & (CrawlUrl.depth == 0)
    return list(session.scalars(select(CrawlUrl.url).where(started, CrawlUrl.kind != UrlKind.ROBOTS)))


def _store_blobs(session: Session, batch: CrawlBatch, now: datetime) -> list[NewItem]:
    """Store the rows of the items' blobs, and return the items.

    If a blob that was not downloaded again was removed in the meantime, its item has no blob and is fetched later.
    """
    sizes = {item.blob.sha256: item.blob.bytes for item in batch.items if item.blob}
    reused = sorted(sizes.keys() & set(batch.reused))
    kept: dict[str, int] = {}
    if reused:
        rows = session.execute(select(Blob.sha256, Blob.bytes).where(Blob.sha256.in_(reused)).with_for_update())
        kept = {row.sha256: row.bytes for row in rows}
    sizes = {sha256: size for sha256, size in sizes.items() if sha256 not in reused} | kept
    submitting.store_blobs(session, sizes, now)
    return [replace(item, blob=None) if item.blob and item.blob.sha256 not in sizes else item for item in batch.items]


def _advance_lease(
    session: Session, lease: LeasedSource, batch: CrawlBatch, policy: ChunkPolicy, now: datetime
) -> LeasedSource:
    # Only settled URLs are progress. Each attempt requests robots.txt again, therefore these do not count.
    position = lease.position + sum(url.kind is not UrlKind.ROBOTS for url in batch.settled)
    if position > lease.position:
        held = discoveries.advance(session, lease, position, policy, now)
    else:
        held = discoveries.renew(session, lease, policy, now)
    if not held:
        raise LeaseLost
    return lease.at(position)


def _store_met(session: Session, crawl: Crawl, progress: Progress, met: Sequence[MetUrl], now: datetime) -> set[str]:
    """Insert the URLs that the crawl has not met before, and return their digests."""
    by_digest: dict[str, MetUrl] = {}
    for url in met:
        first = by_digest.setdefault(url.digest, url)
        if first.priority is CrawlPriority.FALLBACK and url.priority is CrawlPriority.PICTURE:
            by_digest[url.digest] = url
    if progress.met + len(by_digest) > _MAX_URLS:
        progress.count("left_out", UrlReason.LIMIT_URLS, len(by_digest))
        return set()
    # The job's row is locked, therefore no other transaction adds URLs in the meantime.
    known_urls = [by_digest.pop(digest) for digest in met_urls.find_met(session, crawl.job_id, list(by_digest))]
    _promote_fallbacks(session, crawl.job_id, known_urls)
    if not by_digest:
        return set()
    earlier_visits = met_urls.find_earlier_visits(session, crawl, list(by_digest))
    rows = []
    for seq, url in enumerate(by_digest.values(), progress.met + 1):
        earlier = earlier_visits.get(url.digest, EarlierVisit())
        rows.append(
            {
                "job_id": crawl.job_id,
                "digest": url.digest,
                "seq": seq,
                "url": url.url,
                "kind": url.kind,
                "state": UrlState.LEFT_OUT if url.left_out else UrlState.QUEUED,
                "priority": url.priority,
                "depth": url.depth,
                "referrer": url.referrer,
                "known": url.known or None,
                "reason_code": url.left_out,
                "etag": earlier.etag,
                "last_modified": earlier.last_modified,
                "blob_sha256": earlier.sha256,
                "found_at": now,
                "settled_at": now if url.left_out else None,
            }
        )
    progress.met += len(rows)
    session.connection().execute(insert(_URLS), rows)
    for url in by_digest.values():
        state = UrlState.LEFT_OUT if url.left_out else UrlState.QUEUED
        progress.count_move(url.kind, None, state, url.left_out)
    return set(by_digest)


def _promote_fallbacks(session: Session, job_id: str, met: Sequence[MetUrl]) -> None:
    """Queue the fallback pictures that the page of their product shows in the same file as the list did."""
    rows = [{"p_digest": url.digest, "p_known": url.known} for url in met if url.priority is CrawlPriority.PICTURE]
    if rows:
        is_fallback = (_URLS.c.state == UrlState.QUEUED) & (_URLS.c.priority == CrawlPriority.FALLBACK)
        statement = (
            update(_URLS)
            .where(_URLS.c.job_id == job_id, _URLS.c.digest == bindparam("p_digest"), is_fallback)
            .values(priority=CrawlPriority.PICTURE, known=bindparam("p_known"))
        )
        session.connection().execute(statement, rows)


def _postpone(session: Session, job_id: str, digests: Collection[str]) -> None:
    if digests:
        queued = (CrawlUrl.job_id == job_id) & (CrawlUrl.state == UrlState.QUEUED)
        session.execute(
            update(CrawlUrl)
            .where(queued, in_values(session, CrawlUrl.digest, list(digests)))
            .values(priority=CrawlPriority.VIEW)
            .execution_options(synchronize_session=False)
        )


def _store_settled(
    session: Session, job_id: str, progress: Progress, settled: Sequence[SettledUrl], now: datetime
) -> None:
    if not settled:
        return
    columns: dict[str, Any] = {
        name: bindparam(f"p_{name}")
        for name in ("kind", "state", "reason_code", "reason_detail", "status", "etag", "last_modified", "item_id")
    }
    statement = (
        update(_URLS)
        .where(_URLS.c.job_id == job_id, _URLS.c.digest == bindparam("p_digest"), _URLS.c.state == UrlState.QUEUED)
        .values(columns | {"blob_sha256": bindparam("p_sha256"), "settled_at": now})
    )
    rows = [
        {
            "p_digest": url.digest,
            "p_kind": url.kind,
            "p_state": url.state,
            "p_reason_code": url.reason,
            "p_reason_detail": url.detail[:MAX_DETAIL] if url.detail else None,
            "p_status": url.status,
            "p_etag": url.etag,
            "p_last_modified": url.last_modified,
            "p_sha256": url.sha256,
            "p_item_id": url.item_id,
        }
        for url in settled
    ]
    session.connection().execute(statement, rows)
    for url in settled:
        progress.count_move(url.kind, UrlState.QUEUED, url.state, url.reason)
