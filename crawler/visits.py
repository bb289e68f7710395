"""Reads the answers of a crawl: settles URLs, meets the URLs that a page leads to, and adds the items of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from core.errors import LookbookError
from core.fetching import Fetched
from core.fetching.politeness import requested_pause
from core.fetching.urls import parse_url
from core.ids import new_id
from core.item_errors import BlockedAddress, EmptyFile, FetchForbidden, FetchRefused, ItemError
from crawler import robots
from crawler.extraction import Extraction, LeftOut, PageKind, RepeatedImages, extract
from crawler.feeds import Feed, is_feed, read_feed
from crawler.findings import Change, Findings
from crawler.frontier import MAX_TRIES, Frontier, RobotsRequest, UrlRequest
from crawler.meetings import MAX_TEXT, Meetings, shown_by
from crawler.patterns import Admission, Patterns
from crawler.recipes import Recipe
from crawler.rendering import Renderer
from crawler.robots import Rules
from crawler.web import Answer
from db.crawls.met_urls import QueuedUrl
from db.crawls.requests import CrawlRequest
from db.steps.crawling import INTERNAL_NOTES, SettledUrl
from db.steps.submitting import NewItem, StoredBlob
from db.tables import CrawlPriority, UrlKind, UrlReason, UrlState

log = structlog.get_logger(__name__)

MIN_LONGER_SIDE = 100
"""Pixels. A picture whose longer side is shorter shows no garment."""
MAX_ASPECT = 4.0
"""Maximum ratio of the longer to the shorter side. A picture beyond it shows no garment."""
MAX_REDIRECTS = 10
_MAX_VALIDATOR = 500
"""Maximum number of characters of an ETag or a Last-Modified that is kept. A longer one is ignored."""
_GONE_STATUSES = (404, 410)


class Visits:
    """Reads the answers of one crawl."""

    def __init__(
        self,
        crawl: CrawlRequest,
        frontier: Frontier,
        findings: Findings,
        start_urls: Iterable[str],
        site_recipes: list[Recipe],
        now: Callable[[], datetime],
        renderer: Renderer | None = None,
    ) -> None:
        """Read answers.

        Args:
            start_urls: the start URLs and the URLs that they redirect to. Pages may be on the hosts of all of them.
            renderer: draws pages, if the settings allow it.
        """
        self._renderer = renderer
        self._hosts_with_products: set[str] = set()
        self._crawl = crawl
        self._frontier = frontier
        self._findings = findings
        self._now = now
        self._patterns = Patterns()
        self.meetings = Meetings(crawl, findings, self._patterns, start_urls, site_recipes)
        self._repeated_images: dict[str, RepeatedImages] = {}
        """By host."""

    def admit(self, url: QueuedUrl) -> bool:
        """Return whether to request a URL now. If not, it is left out or comes later."""
        if url.kind is not UrlKind.PAGE or url.priority is CrawlPriority.START:
            return True
        admission = self._patterns.admit(url.url)
        if url.digest in self.meetings.products_in_lists:
            reason = UrlReason.PRODUCT_IN_LIST
        elif admission is Admission.NEVER:
            reason = UrlReason.ENDLESS_PATTERN
        elif admission is Admission.LATER and url.priority is not CrawlPriority.VIEW:
            self._findings.add_postponed(url.digest)
            return False
        else:
            return True
        self._findings.add_settled(SettledUrl(url.digest, url.kind, UrlState.LEFT_OUT, reason))
        return False

    def blocked_by_robots(self, request: UrlRequest, rules: Rules) -> None:
        """Settle a URL that robots.txt forbids. If the host did not answer at all, the URL has failed."""
        if rules.error is not None:
            self._give_up(request, UrlState.FAILED, rules.error)
        else:
            self._settle(request, UrlState.BLOCKED_BY_ROBOTS, reason=UrlReason.ROBOTS, detail=rules.closed_reason)

    def read_robots(self, request: RobotsRequest, answer: Answer) -> None:
        """Read the robots.txt of an origin, and give its rules to the frontier, or have it requested again."""
        origin, fetched, error = request.origin, answer.fetched, answer.error
        if fetched is not None:
            self._count_received(fetched)
            rules = robots.read_rules(fetched)
        elif isinstance(error, ItemError):
            rules = robots.rules_without_answer(error)
        else:
            self._frontier.fail(error or FetchRefused())
            return
        if rules.closed_reason or rules.error:
            pause = robots.pause_before_retry(fetched, request.tries, self._now())
            if pause is not None:
                self._frontier.retry_robots(origin, pause)
                return
        digest = self.meetings.meet(f"{origin}/robots.txt", UrlKind.ROBOTS, CrawlPriority.START, 0, None)
        status = None if fetched is None else fetched.status
        if isinstance(error, BlockedAddress | FetchForbidden):
            state = _state_of(error)
        elif rules.closed_reason or rules.error:
            state = UrlState.FAILED
        else:
            state = UrlState.GONE if status in _GONE_STATUSES else UrlState.DONE
        code = error.code if isinstance(error, LookbookError) else None
        detail = error.detail if isinstance(error, LookbookError) else rules.closed_reason
        self._findings.add_settled(SettledUrl(digest, UrlKind.ROBOTS, state, code, detail, status))
        self._frontier.learn_rules(origin, rules)

    def read_answer(self, request: UrlRequest, answer: Answer) -> None:
        """Read the answer to a request: settle its URL, or have it requested again.

        Raises:
            Exception: an outage or a bug. It concerns the whole crawl.
        """
        fetched = answer.fetched
        if fetched is None:
            self._request_failed(request, answer.error or FetchRefused())
            return
        self._count_received(fetched)
        earlier = request.url.earlier
        if fetched.status == 304 and (earlier.etag or earlier.last_modified):
            self._not_modified(request, fetched)
        elif answer.moved_to is not None:
            self._moved(request, fetched, answer.moved_to)
        elif (pause := requested_pause(fetched, self._now())) is not None:
            self._pause_requested(request, fetched, pause)
        elif not fetched.ok:
            self._bad_status(request, fetched)
        elif request.url.kind is UrlKind.PICTURE:
            self._picture(request, fetched, answer)
        else:
            self._page(request, fetched)

    def reading_failed(self, request: UrlRequest, error: BaseException) -> None:
        """Settle a URL whose answer could not be read because of a bug. The crawl goes on without it."""
        log.error("not_read", url=request.url.url, error=repr(error), exc_info=error)
        self._settle(request, UrlState.FAILED, reason=UrlReason.INTERNAL_ERROR, detail=repr(error))

    def _request_failed(self, request: UrlRequest, error: Exception) -> None:
        if not isinstance(error, ItemError):
            # The error is an outage or a bug. The URL did not cause it.
            raise error
        if error.retryable and request.tries < MAX_TRIES:
            self._frontier.retry(request)
        else:
            self._give_up(request, _state_of(error), error)

    def _pause_requested(self, request: UrlRequest, fetched: Fetched, seconds: float) -> None:
        self._frontier.pause_host(request.host, seconds)
        if request.tries < MAX_TRIES:
            self._frontier.retry(request, seconds)
        else:
            self._bad_status(request, fetched)

    def _bad_status(self, request: UrlRequest, fetched: Fetched) -> None:
        try:
            fetched.expect_ok()
        except ItemError as error:
            if error.retryable and request.tries < MAX_TRIES:
                self._frontier.retry(request)
                return
            state = UrlState.GONE if fetched.status in _GONE_STATUSES else UrlState.FAILED
            self._give_up(request, state, error, fetched.status)

    def _give_up(self, request: UrlRequest, state: UrlState, error: ItemError, status: int | None = None) -> None:
        """Settle a URL that cannot be downloaded. A picture becomes a failed item unless an earlier crawl had it."""
        item_id = None
        if request.url.kind is UrlKind.PICTURE:
            if state is UrlState.GONE and request.url.earlier.sha256:
                self._findings.count_change("gone")
            else:
                item_id = self._add_item(request, None, error)
        else:
            self._patterns.note(request.url.url, set())
        self._settle(request, state, reason=error.code, detail=error.detail, status=status, item_id=item_id)

    def _moved(self, request: UrlRequest, fetched: Fetched, target: str) -> None:
        url = request.url
        redirects = int(url.known.get("redirects", 0)) + 1
        if redirects > MAX_REDIRECTS:
            error = FetchForbidden(f"expected at most {MAX_REDIRECTS} redirects, got another")
            self._give_up(request, UrlState.NOT_ALLOWED, error, fetched.status)
            return
        if url.priority is CrawlPriority.START and url.depth == 0:
            # The shop has moved, therefore its pages are on the new host.
            self.meetings.allow_host_of(target)
        known = {**url.known, "redirects": redirects}
        self.meetings.meet(target, url.kind, url.priority, url.depth, url.url, known)
        self._frontier.uncount(request)
        self._settle(request, UrlState.MOVED, detail=target, status=fetched.status)

    def _not_modified(self, request: UrlRequest, fetched: Fetched) -> None:
        url, earlier, item_id = request.url, request.url.earlier, None
        if url.kind is UrlKind.PICTURE:
            blob = StoredBlob(earlier.sha256 or "", 0)
            item_id = self._add_item(request, blob, None)
            self._findings.add_reused_blob(blob.sha256)
            self._findings.count_change("unchanged")
        else:
            self._findings.add_unchanged_page(url.url)
        self._settle(
            request,
            UrlState.NOT_MODIFIED,
            status=304,
            etag=_validator(fetched, "etag") or earlier.etag,
            last_modified=_validator(fetched, "last-modified") or earlier.last_modified,
            sha256=earlier.sha256,
            item_id=item_id,
        )

    def _picture(self, request: UrlRequest, fetched: Fetched, answer: Answer) -> None:
        assert answer.writer is not None
        info = answer.info
        if fetched.size == 0:
            error = EmptyFile("expected a picture, got an empty body")
            self._give_up(request, UrlState.FAILED, error, fetched.status)
            return
        if info is not None:
            longer, shorter = max(info.width, info.height), max(1, min(info.width, info.height))
            too_small, too_long = longer < MIN_LONGER_SIDE, longer / shorter > MAX_ASPECT
            if too_small or too_long:
                reason = LeftOut.SPACER if too_small else LeftOut.BANNER
                detail = f"{info.width} x {info.height} pixels"
                self._settle(request, UrlState.LEFT_OUT, reason=reason, detail=detail, status=fetched.status)
                return
        # The next commit aborts the writer, and the spider aborts only writers that are still in the answer.
        writer, answer.writer = answer.writer, None
        self._findings.add_bytes_of_picture(writer)
        blob = StoredBlob(writer.sha256, fetched.size)
        if self._crawl.since is not None:
            self._findings.count_change(_change(request.url.earlier.sha256, blob.sha256))
        item_id = self._add_item(request, blob, None)
        self._settle(
            request,
            UrlState.DONE,
            status=fetched.status,
            etag=_validator(fetched, "etag"),
            last_modified=_validator(fetched, "last-modified"),
            sha256=blob.sha256,
            item_id=item_id,
        )

    def _add_item(self, request: UrlRequest, blob: StoredBlob | None, error: ItemError | None) -> str:
        """Add the item of a picture, and return its id."""
        url, item_id = request.url, new_id("itm")
        provenance = {name: value for name, value in url.known.items() if name not in INTERNAL_NOTES}
        name = parse_url(url.url).name[:MAX_TEXT]
        item = NewItem(name, blob, error=error, source_url=url.url, provenance=provenance or None, id=item_id)
        self._findings.add_item(item)
        return item_id

    def _page(self, request: UrlRequest, fetched: Fetched) -> None:
        if is_feed(fetched.body, fetched.headers.get("content-type")):
            self._feed(request, fetched, read_feed(fetched.body, fetched.url))
            return
        host = urlsplit(fetched.url).netloc
        recipe = self.meetings.recipe_for(request.url, fetched.url, fetched.body)
        extraction = extract(
            fetched.body,
            fetched.url,
            fetched.headers,
            fetched.status,
            recipe=recipe,
            query=self._crawl.query,
            repeated_images=self._repeated_images.setdefault(host, RepeatedImages()),
            from_listing=request.url.priority is CrawlPriority.PRODUCT,
        )
        if recipe is not None and recipe.delay:
            self._frontier.slow_down_host(request.host, recipe.delay)
        if self._renderer is not None and self._must_be_drawn(self._renderer, request, fetched, extraction, recipe):
            self._renderer.hosts.add(request.host)
            self._frontier.retry(request, 0.0)
            return
        for reason, number in extraction.left_out.items():
            self._findings.count_left_out(reason, number)
        self._findings.count_page_kind(extraction.kind)
        fruitful = self._patterns.note(request.url.url, shown_by(extraction))
        self.meetings.meet_list_of_engine(request.url, fetched.url, fetched.body)
        self.meetings.follow(request.url, extraction, recipe, fruitful=fruitful)
        failed = extraction.kind is PageKind.ERROR
        self._settle(
            request,
            UrlState.FAILED if failed else UrlState.DONE,
            reason=UrlReason.ERROR_PAGE if failed else extraction.kind,
            detail=extraction.title,
            status=fetched.status,
            etag=_validator(fetched, "etag"),
            last_modified=_validator(fetched, "last-modified"),
        )

    def _must_be_drawn(
        self, renderer: Renderer, request: UrlRequest, fetched: Fetched, extraction: Extraction, recipe: Recipe | None
    ) -> bool:
        """Return whether the pages of a host must be drawn: by its recipe, or because its first page shows nothing.

        The page of a product that shows no picture without its scripts shows nothing, even if it says a price.
        """
        is_bare = extraction.kind is PageKind.PRODUCT and not extraction.pictures
        if extraction.kind in {PageKind.PRODUCT, PageKind.LISTING} and not is_bare:
            self._hosts_with_products.add(request.host)
        if request.host in renderer.hosts or request.tries >= MAX_TRIES:
            return False
        if recipe is not None and recipe.render:
            return True
        shows_nothing = is_bare or extraction.kind in {PageKind.EMPTY, PageKind.CONSENT}
        is_drawn_by_script = shows_nothing and b"<script" in fetched.body.lower()
        return renderer.for_empty_hosts and is_drawn_by_script and request.host not in self._hosts_with_products

    def _feed(self, request: UrlRequest, fetched: Fetched, feed: Feed) -> None:
        self.meetings.follow_feed(request.url, feed)
        if feed.refused:
            self._findings.count_left_out(LeftOut.BAD_URL, feed.refused)
        if feed.cut:
            self._findings.count_left_out(LeftOut.TOO_MANY)
        head = fetched.body[:4096].lower()
        kind = UrlKind.FEED if b"<rss" in head or b"<feed" in head or b"<rdf:rdf" in head else UrlKind.SITEMAP
        # No ETag is kept. The next crawl requests the feed again, because the pages in an unchanged feed may change.
        self._settle(request, UrlState.DONE, kind=kind, detail=f"{len(feed.entries)} URLs", status=fetched.status)

    def _settle(self, request: UrlRequest, state: UrlState, *, kind: UrlKind | None = None, **values: Any) -> None:
        self._findings.add_settled(SettledUrl(request.url.digest, kind or request.url.kind, state, **values))

    def _count_received(self, fetched: Fetched) -> None:
        self._frontier.count_received(fetched.wire_bytes)
        self._findings.count_received(fetched.wire_bytes)


def _state_of(error: ItemError) -> UrlState:
    """Return the final state of a URL whose request failed with this error."""
    if isinstance(error, BlockedAddress):
        return UrlState.BLOCKED_ADDRESS
    if isinstance(error, FetchForbidden):
        return UrlState.NOT_ALLOWED
    return UrlState.FAILED


def _change(earlier: str | None, now: str) -> Change:
    """Return how a picture has changed, by the SHA-256 of its bytes in the earlier crawl and now."""
    if earlier is None:
        return "new"
    return "unchanged" if earlier == now else "changed"


def _validator(fetched: Fetched, header: str) -> str | None:
    """Return an ETag or a Last-Modified, if it is one that can be kept and sent back."""
    value = fetched.headers.get(header)
    return value if value and len(value) <= _MAX_VALIDATOR and value.isprintable() else None


def reason_of(error: BaseException) -> str:
    """Return the text of an error that ends the process of a crawl, for the database and the log."""
    return error.detail if isinstance(error, LookbookError) else repr(error)
