"""A crawl while it runs, as the database sees it (docs/adr/0022-crawling.md).

What was met and what became of it, the items that came of it, the counts and the lease are committed together, batch by
batch: whoever goes on with it next finds exactly what is still to be asked for, so that no picture is lost and none is
an item twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.orm import Session

from core.errors import CookieWall, CrawlForbidden, ItemError, LeaseLost, NothingFound, ShopUnreachable
from core.messages import ChunkMessage
from db.access import usage
from db.bulk import in_values
from db.crawls import met_urls, requests
from db.crawls.met_urls import Before, Met, Waiting
from db.crawls.progress import Progress
from db.steps import chunks, discoveries, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import LeasedSource
from db.steps.submitting import NewItem
from db.tables import Blob, Crawl, CrawlUrl, Job, UrlKind, UrlReason, UrlState

_URLS = cast(Table, CrawlUrl.__table__)

_MOST_URLS = 1_000_000
"""Beyond that a crawl only counts what it meets."""
_AT_ONCE = 5_000

FALLBACK = 9
"""The priority of a picture that is asked for only if its product's page (`known["product_digest"]`) is not read."""

OWN_NOTES = ("redirects", "product_digest")
"""What is noted of a URL beside what its item shows."""

DETAIL = 500
"""Most characters of a reason's detail."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a URL that waited."""

    digest: str
    kind: UrlKind
    """What it turned out to be."""
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
    """What has happened since the last commit."""

    met: Sequence[Met] = ()
    settled: Sequence[Settled] = ()
    unchanged: Collection[str] = ()
    """URLs of pages that are as the crawl that this one repeats has found them: they lead where they led then."""
    items: Sequence[NewItem] = ()
    reused: Collection[str] = ()
    """SHA-256 of blobs of these items whose bytes did not come now, but are believed to be kept."""
    counted: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """(group, name) of `Progress` -> how many more."""
    bytes: int = 0
    waiting_on: Sequence[dict[str, str]] = ()

    @property
    def empty(self) -> bool:
        return not (self.met or self.settled or self.counted)


@dataclass(frozen=True, slots=True)
class Committed:
    """What committing a batch led to."""

    taken: LeasedSource
    chunks: list[ChunkMessage]
    """To be sent after the commit."""
    new: set[str]
    """Digests of the URLs that had not been met before."""
    job_terminal: bool = False
    webhook: bool = False


def take(session: Session, worker: str, policy: ChunkPolicy, now: datetime) -> LeasedSource | None:
    """Take up the crawl that has waited longest, if one does."""
    job_id = discoveries.find_next_waiting(session, now, crawls=True)
    job = None if job_id is None else lifecycle.lock_job(session, job_id)
    taken = None if job is None else discoveries.take(session, job, worker, policy, now)
    if job is None or taken is None:
        return None
    crawl = session.get(Crawl, job.id)
    if crawl is not None and crawl.begun_at is None:
        crawl.begun_at = now
    lifecycle.start_job(session, job, now, now)
    return taken


def commit(session: Session, taken: LeasedSource, batch: CrawlBatch, policy: ChunkPolicy, now: datetime) -> Committed:
    """Store what has happened.

    Raises:
        LeaseLost: the transaction is to be rolled back.
        QuotaExceeded: its owner may not submit that many any more this month.
    """
    items = _with_bytes(session, batch, now)
    job = lifecycle.lock_job(session, taken.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is not None:
        raise LeaseLost
    taken = _get_on(session, taken, batch, policy, now)
    crawl = session.get_one(Crawl, taken.job_id, populate_existing=True)
    progress = Progress(crawl.progress)
    met = [*batch.met, *met_urls.known_children(session, crawl, batch.unchanged)]
    new = _store_met(session, crawl, progress, met, now)
    # Every attempt asks for robots.txt anew; the first answer is the one that is listed.
    settled = [one for one in batch.settled if one.kind is not UrlKind.ROBOTS or one.digest in new]
    _store_settled(session, job.id, progress, settled, now)
    for (group, name), change in batch.counted.items():
        progress.count(group, name, change)
    progress.bytes += batch.bytes
    progress.waiting_on(list(batch.waiting_on))
    crawl.progress = progress.stored
    submitting.append_items(session, job, items, now)
    lifecycle.update_job_state(session, job, now)
    messages = chunks.claim(session, job, policy, now)
    usage.add(session, job.key_id, now, items=len(items))
    return Committed(taken, messages, new)


def finish(
    session: Session, taken: LeasedSource, left_out: Mapping[UrlKind, str], verdict: ItemError | None, now: datetime
) -> Committed:
    """End a crawl: whatever still waits is left out, for the reason that its kind has.

    Raises:
        LeaseLost: the transaction is to be rolled back.
    """
    job = lifecycle.lock_job(session, taken.job_id)
    if job is None or not job.discovering or job.cancel_requested_at is not None:
        raise LeaseLost
    if not discoveries.release(session, taken):
        raise LeaseLost
    crawl = session.get_one(Crawl, job.id, populate_existing=True)
    requests.leave_out_waiting(session, crawl, left_out, now)
    end(session, job, verdict, now)
    return Committed(taken, [], set(), job.terminal, job.webhook is not None)


def end(session: Session, job: Job, error: ItemError | None, now: datetime) -> None:
    """A crawl is over, with an error if it was not by itself. The caller holds the job's row."""
    crawl = session.get_one(Crawl, job.id, populate_existing=True)
    requests.leave_out_waiting(session, crawl, dict.fromkeys(UrlKind, error.code if error else UrlReason.CANCELED), now)
    if job.total == 0:
        error = error or _nothing_found(Progress(crawl.progress))
        crawl.verdict = error.code
        lifecycle.fail_job(session, job, error, now)
        return
    if error is not None:
        crawl.verdict = error.code
        job.error = {"code": error.code, "detail": error.detail, "retryable": error.retryable}
    job.discovering = False
    lifecycle.update_job_state(session, job, now)


def _nothing_found(progress: Progress) -> NothingFound:
    if progress.counted("page_kinds", "consent"):
        return CookieWall("expected pictures, found a page that asks for consent first, and nothing behind it")
    if progress.counted("pages", UrlState.DONE) or progress.counted("pages", UrlState.NOT_MODIFIED):
        return NothingFound("expected pictures of products, found none on any page")
    if progress.counted("pages", UrlState.BLOCKED_BY_ROBOTS):
        return CrawlForbidden("expected pages, the shop's robots.txt forbids every one that was met")
    return ShopUnreachable("expected pages, none could be had: the list of URLs says why")


def waiting(session: Session, job_id: str, limit: int, *, pictures: bool) -> list[Waiting]:
    """The URLs that are to be asked for next: pictures, or everything else."""
    # Pictures alone have the first priority.
    lane = CrawlUrl.priority == 0 if pictures else CrawlUrl.priority.between(1, FALLBACK - 1)
    query = (
        select(CrawlUrl)
        .where(CrawlUrl.job_id == job_id, CrawlUrl.state == UrlState.QUEUED, lane)
        .order_by(CrawlUrl.priority, CrawlUrl.seq)
        .limit(limit)
    )
    return [
        Waiting(
            row.digest,
            row.url,
            row.kind,
            row.priority,
            row.depth,
            row.known or {},
            Before(row.etag, row.last_modified, row.blob_sha256),
        )
        for row in session.scalars(query)
    ]


def fall_back(session: Session, taken: LeasedSource, now: datetime) -> int:
    """No page waits any more: decide on pictures that lists have shown of products. How many were decided on.

    Those of products whose own page was read are left out; the others wait like any picture.

    Raises:
        LeaseLost: the transaction is to be rolled back.
    """
    job = lifecycle.lock_job(session, taken.job_id)
    if job is None or not job.discovering or discoveries.get_held(session, job.id, job.source, taken.worker) is None:
        raise LeaseLost
    fallbacks = (
        select(CrawlUrl)
        .where(CrawlUrl.job_id == job.id, CrawlUrl.state == UrlState.QUEUED, CrawlUrl.priority == FALLBACK)
        .order_by(CrawlUrl.seq)
        .limit(_AT_ONCE)
    )
    rows = session.scalars(fallbacks).all()
    read = _read(session, job.id, [(row.known or {}).get("product_digest", "") for row in rows])
    crawl = session.get_one(Crawl, job.id, populate_existing=True)
    progress = Progress(crawl.progress)
    for row in rows:
        if (row.known or {}).get("product_digest") not in read:
            row.priority = 0
            continue
        row.state, row.reason_code, row.settled_at = UrlState.LEFT_OUT, UrlReason.PRODUCT_PAGE_READ, now
        progress.moved(row.kind, UrlState.QUEUED, UrlState.LEFT_OUT, row.reason_code)
    crawl.progress = progress.stored
    return len(rows)


def _read(session: Session, job_id: str, digests: Sequence[str]) -> set[str]:
    """Those of these pages that were read, or have moved to one that will have been."""
    states = (UrlState.DONE, UrlState.NOT_MODIFIED, UrlState.MOVED)
    query = select(CrawlUrl.digest).where(CrawlUrl.job_id == job_id, CrawlUrl.state.in_(states))
    return set(session.scalars(query.where(in_values(session, CrawlUrl.digest, digests))))


def start_hosts(session: Session, job_id: str) -> list[str]:
    """The start URLs of a crawl, and where these have moved."""
    started = (CrawlUrl.job_id == job_id) & (CrawlUrl.priority == 1) & (CrawlUrl.depth == 0)
    return list(session.scalars(select(CrawlUrl.url).where(started, CrawlUrl.kind != UrlKind.ROBOTS)))


def _with_bytes(session: Session, batch: CrawlBatch, now: datetime) -> list[NewItem]:
    """The items, their blobs' rows stored; one whose known bytes were removed meanwhile is to be downloaded again."""
    sizes = {item.blob.sha256: item.blob.bytes for item in batch.items if item.blob}
    theirs = sorted(sizes.keys() & set(batch.reused))
    known: dict[str, int] = {}
    if theirs:
        rows = session.execute(select(Blob.sha256, Blob.bytes).where(Blob.sha256.in_(theirs)).with_for_update())
        known = {row.sha256: row.bytes for row in rows}
    sizes = {sha256: size for sha256, size in sizes.items() if sha256 not in theirs} | known
    submitting.store_blobs(session, sizes, now)
    return [replace(item, blob=None) if item.blob and item.blob.sha256 not in sizes else item for item in batch.items]


def _get_on(
    session: Session, taken: LeasedSource, batch: CrawlBatch, policy: ChunkPolicy, now: datetime
) -> LeasedSource:
    # A robots.txt is asked for by every attempt, and seeds are no progress either.
    position = taken.position + sum(one.kind is not UrlKind.ROBOTS for one in batch.settled)
    if position > taken.position:
        still = discoveries.advance(session, taken, position, policy, now)
    else:
        still = discoveries.renew(session, taken, policy, now)
    if not still:
        raise LeaseLost
    return taken.at(position)


def _store_met(session: Session, crawl: Crawl, progress: Progress, met: Sequence[Met], now: datetime) -> set[str]:
    """Insert what was not met before; its digests."""
    by_digest: dict[str, Met] = {}
    for one in met:
        by_digest.setdefault(one.digest, one)
    if progress.met + len(by_digest) > _MOST_URLS:
        progress.count("left_out", UrlReason.LIMIT_URLS, len(by_digest))
        return set()
    # The job's row is held: nobody else adds to its URLs.
    for digest in met_urls.present(session, crawl.job_id, list(by_digest)):
        del by_digest[digest]
    if not by_digest:
        return set()
    before = met_urls.before(session, crawl, list(by_digest))
    rows = []
    for seq, one in enumerate(by_digest.values(), progress.met + 1):
        known = before.get(one.digest, Before())
        rows.append(
            {
                "job_id": crawl.job_id,
                "digest": one.digest,
                "seq": seq,
                "url": one.url,
                "kind": one.kind,
                "state": UrlState.LEFT_OUT if one.left_out else UrlState.QUEUED,
                "priority": one.priority,
                "depth": one.depth,
                "referrer": one.referrer,
                "known": one.known or None,
                "reason_code": one.left_out,
                "etag": known.etag,
                "last_modified": known.last_modified,
                "blob_sha256": known.sha256,
                "found_at": now,
                "settled_at": now if one.left_out else None,
            }
        )
    progress.met += len(rows)
    session.connection().execute(insert(_URLS), rows)
    for one in by_digest.values():
        state = UrlState.LEFT_OUT if one.left_out else UrlState.QUEUED
        progress.moved(one.kind, None, state, one.left_out)
    return set(by_digest)


def _store_settled(
    session: Session, job_id: str, progress: Progress, settled: Sequence[Settled], now: datetime
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
            "p_digest": one.digest,
            "p_kind": one.kind,
            "p_state": one.state,
            "p_reason_code": one.reason,
            "p_reason_detail": one.detail[:DETAIL] if one.detail else None,
            "p_status": one.status,
            "p_etag": one.etag,
            "p_last_modified": one.last_modified,
            "p_sha256": one.sha256,
            "p_item_id": one.item_id,
        }
        for one in settled
    ]
    session.connection().execute(statement, rows)
    for one in settled:
        progress.moved(one.kind, UrlState.QUEUED, one.state, one.reason)
