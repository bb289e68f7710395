"""What an answer means: what becomes of its URL, what is met by it, and the item that a picture becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from core.errors import (
    BlockedAddress,
    FetchForbidden,
    FetchRefused,
    ItemError,
    LookbookError,
    NotAnImage,
)
from core.fetching import Fetched
from core.fetching.politeness import requested_pause
from core.fetching.urls import parse_url
from core.ids import new_id
from crawler import robots
from crawler.extraction import LeftOut, PageKind, RepeatedImages, extract
from crawler.feeds import Feed, is_feed, read_feed
from crawler.frontier import TRIES, Frontier, Wanted
from crawler.meetings import LONGEST_TEXT, PRODUCT, START, Meetings
from crawler.recipes import Recipe
from crawler.robots import Rules
from crawler.urls import PatternBound
from crawler.web import Answer
from db.crawls.requests import CrawlRequest
from db.steps.crawling import OWN_NOTES, Settled
from db.steps.submitting import NewItem, StoredBlob
from db.tables import UrlKind, UrlReason, UrlState

log = structlog.get_logger(__name__)

SMALLEST_SIDE, WIDEST = 100, 4.0
"""A picture whose longer side has fewer pixels, or is so many times the shorter one, shows no garment."""
MOST_REDIRECTS = 10
_LONGEST_TAG = 500
_GONE = (404, 410)


class Visits:
    """Reads what comes, for one crawl."""

    def __init__(
        self,
        request: CrawlRequest,
        frontier: Frontier,
        start_urls: Iterable[str],
        sites: list[Recipe],
        now: Callable[[], datetime],
    ) -> None:
        """`start_urls`: those of the request and whatever they moved to; pages may be on their hosts."""
        self._request = request
        self._frontier = frontier
        frontier.refuse = self.refused
        self._now = now
        self.meetings = Meetings(request, frontier, start_urls, sites)
        self._repeated_images: dict[str, RepeatedImages] = {}
        self._bound = PatternBound()

    def refused(self, wanted: Wanted, rules: Rules) -> None:
        """What robots.txt does not allow; a host that does not answer when it is asked for that is not there."""
        if rules.error is not None:
            self._give_up(wanted, UrlState.FAILED, rules.error)
        else:
            self._settle(wanted, UrlState.BLOCKED_BY_ROBOTS, reason=UrlReason.ROBOTS, detail=rules.closed)

    def admit(self, wanted: Wanted) -> bool:
        """Whether to ask for a URL after all: one of ever new pages with nothing on them is left out."""
        waiting = wanted.waiting
        if waiting.kind is UrlKind.PICTURE or waiting.priority == START or wanted.tries > 1:
            return True
        if self._bound.admit(waiting.url):
            return True
        self._settle(wanted, UrlState.LEFT_OUT, reason=UrlReason.ENDLESS_PATTERN)
        self._frontier.asked["pages"] -= 1
        return False

    def new(self, pages: dict[str, set[str]], new: set[str]) -> None:
        """Which URLs turned out to be new, of those that were met on these pages."""
        for url, digests in pages.items():
            if digests & new:
                self._bound.mark_fruitful(url)

    def learn_robots(self, origin: str, answer: Answer) -> None:
        """What an origin's robots.txt says, or that it cannot be had."""
        fetched, error = answer.fetched, answer.error
        if fetched is not None:
            self._frontier.bytes += fetched.wire_bytes
            self._frontier.results.bytes += fetched.wire_bytes
            rules = robots.read(fetched)
        elif isinstance(error, BlockedAddress | FetchForbidden):
            # The pages will not be asked for either, and each says so itself.
            rules = Rules()
        elif isinstance(error, ItemError):
            rules = Rules(error=type(error)(f"robots.txt cannot be had: {error.detail}"))
        else:
            self._frontier.fail(error or FetchRefused())
            return
        url = f"{origin}/robots.txt"
        digest = self.meetings.meet(url, UrlKind.ROBOTS, START, 0, None)
        status = None if fetched is None else fetched.status
        state = UrlState.FAILED if rules.closed or rules.error else UrlState.GONE if status in _GONE else UrlState.DONE
        if isinstance(error, BlockedAddress):
            state = UrlState.BLOCKED_ADDRESS
        elif isinstance(error, FetchForbidden):
            state = UrlState.NOT_ALLOWED
        code = error.code if isinstance(error, LookbookError) else None
        detail = error.detail if isinstance(error, LookbookError) else rules.closed
        self._frontier.settle(Settled(digest, UrlKind.ROBOTS, state, code, detail, status))
        self._frontier.learn(origin, rules)

    def answered(self, wanted: Wanted, answer: Answer) -> None:
        """Whatever came of a request."""
        results = self._frontier.results
        fetched = answer.fetched
        if fetched is None:
            self._failed(wanted, answer.error or FetchRefused())
            return
        self._frontier.bytes += fetched.wire_bytes
        results.bytes += fetched.wire_bytes
        if fetched.status == 304 and (wanted.waiting.before.etag or wanted.waiting.before.last_modified):
            self._not_modified(wanted, fetched)
        elif answer.moved_to is not None:
            self._moved(wanted, fetched, answer.moved_to)
        elif (pause := requested_pause(fetched, self._now())) is not None:
            self._asked_to_wait(wanted, fetched, pause)
        elif not fetched.ok:
            self._refused(wanted, fetched)
        elif wanted.waiting.kind is UrlKind.PICTURE:
            self._picture(wanted, fetched, answer)
        else:
            self._page(wanted, fetched)

    def broke(self, wanted: Wanted, error: BaseException) -> None:
        """Reading an answer has failed, by a fault of ours: that URL alone is lost."""
        log.error("not_read", url=wanted.waiting.url, error=repr(error), exc_info=error)
        self._settle(wanted, UrlState.FAILED, reason=UrlReason.INTERNAL_ERROR, detail=repr(error))

    def _failed(self, wanted: Wanted, error: Exception) -> None:
        if not isinstance(error, ItemError):
            # The store is full or away, or the fault is ours: whoever runs the crawl decides.
            raise error
        if error.retryable and wanted.tries < TRIES:
            self._frontier.again(wanted)
            return
        state = UrlState.FAILED
        if isinstance(error, BlockedAddress):
            state = UrlState.BLOCKED_ADDRESS
        elif isinstance(error, FetchForbidden):
            state = UrlState.NOT_ALLOWED
        self._give_up(wanted, state, error)

    def _asked_to_wait(self, wanted: Wanted, fetched: Fetched, seconds: float) -> None:
        self._frontier.hosts.pause(wanted.host, seconds)
        if wanted.tries < TRIES:
            self._frontier.again(wanted, seconds)
        else:
            self._refused(wanted, fetched)

    def _refused(self, wanted: Wanted, fetched: Fetched) -> None:
        try:
            fetched.expect_ok()
        except ItemError as error:
            if error.retryable and wanted.tries < TRIES:
                self._frontier.again(wanted)
                return
            state = UrlState.GONE if fetched.status in _GONE else UrlState.FAILED
            self._give_up(wanted, state, error, fetched.status)

    def _give_up(self, wanted: Wanted, state: UrlState, error: ItemError, status: int | None = None) -> None:
        item_id = None
        results = self._frontier.results
        if wanted.waiting.kind is UrlKind.PICTURE:
            if state is UrlState.GONE and wanted.waiting.before.sha256:
                results.count("changes", "gone")
            else:
                item_id = self._add_item(wanted, None, error)
        self._settle(wanted, state, reason=error.code, detail=error.detail, status=status, item_id=item_id)

    def _moved(self, wanted: Wanted, fetched: Fetched, target: str) -> None:
        waiting, frontier = wanted.waiting, self._frontier
        redirects = int(waiting.known.get("redirects", 0)) + 1
        if redirects > MOST_REDIRECTS:
            error = FetchForbidden(f"expected at most {MOST_REDIRECTS} redirects, got another")
            self._give_up(wanted, UrlState.NOT_ALLOWED, error, fetched.status)
            return
        starts = waiting.priority == START and waiting.depth == 0
        if starts:
            # Whoever names a shop by an old address means the new one.
            self.meetings.allow_host_of(target)
        known = {**waiting.known, "redirects": redirects}
        self.meetings.meet(target, waiting.kind, waiting.priority, waiting.depth, waiting.url, known)
        frontier.asked["pictures" if waiting.kind is UrlKind.PICTURE else "pages"] -= 1
        self._settle(wanted, UrlState.MOVED, detail=target, status=fetched.status)

    def _not_modified(self, wanted: Wanted, fetched: Fetched) -> None:
        waiting, results = wanted.waiting, self._frontier.results
        item_id = None
        if waiting.kind is UrlKind.PICTURE:
            blob = StoredBlob(waiting.before.sha256 or "", 0)
            item_id = self._add_item(wanted, blob, None)
            results.reused.add(blob.sha256)
            results.count("changes", "unchanged")
        else:
            results.unchanged.append(waiting.url)
        before = waiting.before
        self._settle(
            wanted,
            UrlState.NOT_MODIFIED,
            status=304,
            etag=_tag(fetched, "etag") or before.etag,
            last_modified=_tag(fetched, "last-modified") or before.last_modified,
            sha256=before.sha256,
            item_id=item_id,
        )

    def _picture(self, wanted: Wanted, fetched: Fetched, answer: Answer) -> None:
        results, before = self._frontier.results, wanted.waiting.before
        assert answer.writer is not None
        info = answer.info
        if fetched.size == 0:
            self._give_up(wanted, UrlState.FAILED, NotAnImage("expected a picture, got an empty body"), fetched.status)
            return
        if info is not None:
            longer, shorter = max(info.width, info.height), max(1, min(info.width, info.height))
            reason = LeftOut.SPACER if longer < SMALLEST_SIDE else LeftOut.BANNER if longer / shorter > WIDEST else None
            if reason is not None:
                detail = f"{info.width} x {info.height} pixels"
                self._settle(wanted, UrlState.LEFT_OUT, reason=reason, detail=detail, status=fetched.status)
                return
        results.writers.append(answer.writer)
        blob, answer.writer = StoredBlob(answer.writer.sha256, fetched.size), None
        if self._request.since is not None:
            change = "new" if before.sha256 is None else "unchanged" if before.sha256 == blob.sha256 else "changed"
            results.count("changes", change)
        item_id = self._add_item(wanted, blob, None)
        self._settle(
            wanted,
            UrlState.DONE,
            status=fetched.status,
            etag=_tag(fetched, "etag"),
            last_modified=_tag(fetched, "last-modified"),
            sha256=blob.sha256,
            item_id=item_id,
        )

    def _add_item(self, wanted: Wanted, blob: StoredBlob | None, error: ItemError | None) -> str:
        waiting, item_id = wanted.waiting, new_id("itm")
        provenance = {name: value for name, value in waiting.known.items() if name not in OWN_NOTES}
        name = parse_url(waiting.url).name[:LONGEST_TEXT]
        item = NewItem(name, blob, error=error, source_url=waiting.url, provenance=provenance or None, id=item_id)
        self._frontier.results.items.append(item)
        return item_id

    def _page(self, wanted: Wanted, fetched: Fetched) -> None:
        if is_feed(fetched.body, fetched.headers.get("content-type")):
            self._feed(wanted, fetched, read_feed(fetched.body, fetched.url))
            return
        waiting, host = wanted.waiting, urlsplit(fetched.url).netloc
        recipe = self.meetings.recipe(fetched.url)
        extraction = extract(
            fetched.body,
            fetched.url,
            fetched.headers,
            fetched.status,
            recipe=recipe,
            query=self._request.query,
            repeated_images=self._repeated_images.setdefault(host, RepeatedImages()),
        )
        results = self._frontier.results
        if recipe is not None and recipe.delay:
            self._frontier.hosts.slow_down(wanted.host, recipe.delay)
        for reason, many in extraction.left_out.items():
            results.count("left_out", reason.value, many)
        results.count("page_kinds", extraction.kind.value)
        self.meetings.follow(waiting, extraction, recipe)
        failed = extraction.kind is PageKind.ERROR
        self._settle(
            wanted,
            UrlState.FAILED if failed else UrlState.DONE,
            reason=UrlReason.ERROR_PAGE if failed else extraction.kind.value,
            detail=extraction.title,
            status=fetched.status,
            etag=_tag(fetched, "etag"),
            last_modified=_tag(fetched, "last-modified"),
        )

    def _feed(self, wanted: Wanted, fetched: Fetched, feed: Feed) -> None:
        waiting, results = wanted.waiting, self._frontier.results
        page = results.pages.setdefault(waiting.url, set())
        for url in feed.sitemaps:
            page.add(self.meetings.meet(url, UrlKind.SITEMAP, START, waiting.depth, waiting.url))
        for entry in feed.entries:
            page.add(self.meetings.meet(entry.url, UrlKind.PAGE, PRODUCT, waiting.depth + 1, waiting.url))
        if feed.refused:
            results.count("left_out", LeftOut.BAD_URL.value, feed.refused)
        if feed.cut:
            results.count("left_out", LeftOut.TOO_MANY.value)
        head = fetched.body[:4096].lower()
        kind = UrlKind.FEED if b"<rss" in head or b"<feed" in head or b"<rdf:rdf" in head else UrlKind.SITEMAP
        # Not asked for conditionally the next time: what it names may have changed where it has not.
        self._settle(wanted, UrlState.DONE, kind=kind, detail=f"{len(feed.entries)} URLs", status=fetched.status)

    def _settle(self, wanted: Wanted, state: UrlState, *, kind: UrlKind | None = None, **what: Any) -> None:
        self._frontier.settle(Settled(wanted.waiting.digest, kind or wanted.waiting.kind, state, **what))


def _tag(fetched: Fetched, name: str) -> str | None:
    value = fetched.headers.get(name)
    return value if value and len(value) <= _LONGEST_TAG and value.isprintable() else None


def reason_of(error: BaseException) -> str:
    """What is written down of an error that ends a crawl's process."""
    return error.detail if isinstance(error, LookbookError) else repr(error)
