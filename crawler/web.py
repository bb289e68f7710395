"""Requests the URLs of a crawl in threads: pages into memory, pictures into the spool, all by the guarded fetcher."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.fetching import Fetched, Fetcher, FetchLimits
from core.fetching.politeness import Clock
from core.fetching.urls import parse_url, redirect_target
from core.item_errors import FetchForbidden, ItemError
from core.pictures import inspect
from core.types import PictureInfo
from crawler import robots
from crawler.feeds import MAX_BYTES as MAX_FEED_BYTES
from crawler.rendering import Renderer
from crawler.urls import canonical_url
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.crawls.met_urls import QueuedUrl
from db.tables import UrlKind

PAGE_LIMITS = FetchLimits(max_bytes=10 * 2**20)
FEED_LIMITS = FetchLimits(max_bytes=MAX_FEED_BYTES)

_ACCEPT = {
    UrlKind.PICTURE: "image/avif,image/webp,image/*;q=0.9,*/*;q=0.5",
    UrlKind.PAGE: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
}
_MAX_SPELLING_REDIRECTS = 5
"""Maximum number of consecutive redirects that only change the spelling of a URL."""


@dataclass(slots=True)
class Answer:
    """An answer or an error, and how long the request took."""

    fetched: Fetched | None = None
    error: Exception | None = None
    moved_to: str | None = None
    """The URL that a redirect leads to."""
    writer: BlobWriter | None = None
    """The bytes of a picture. The receiver of the answer aborts the writer in the end."""
    info: PictureInfo | None = None
    """The format and size in the picture's header. None if the header cannot be read."""
    seconds: float = 0.0
    """How long the request took. The delay of the host follows it."""


class CrawlFetcher:
    """Requests URLs and robots.txt files. Threads share it."""

    def __init__(
        self,
        fetcher: Fetcher,
        blobs: BlobStore,
        max_picture_bytes: int,
        clock: Clock = time.monotonic,
        renderer: Renderer | None = None,
    ) -> None:
        self._fetcher = fetcher
        self._renderer = renderer
        self._blobs = blobs
        self._clock = clock
        self._picture_limits = FetchLimits(max_bytes=max_picture_bytes)

    def ask(self, url: QueuedUrl) -> Answer:
        """Request a URL. An error is returned in the answer and not raised.

        Redirects are not followed, because a redirect leads to a URL with its own row, host and robots.txt.
        """
        return self._timed(lambda: self._ask(url))

    def ask_robots(self, origin: str) -> Answer:
        """Request the robots.txt of an origin, and follow redirects, as RFC 9309 demands. Never raises."""
        return self._timed(lambda: Answer(self._fetcher.get(f"{origin}/robots.txt", limits=robots.LIMITS)))

    def _timed(self, request: Callable[[], Answer]) -> Answer:
        """Return the answer to a request, or the error that it raised, with the seconds that it took."""
        began = self._clock()
        try:
            answer = request()
        except Exception as error:  # noqa: BLE001 (`Visits` decides what it means)
            answer = Answer(error=error)
        answer.seconds = self._clock() - began
        return answer

    def _ask(self, queued: QueuedUrl) -> Answer:
        """Request a URL, and follow redirects that only change its spelling, because these have the same row."""
        headers = {"Accept": _ACCEPT.get(queued.kind, _ACCEPT[UrlKind.PAGE])}
        if queued.earlier.etag:
            headers["If-None-Match"] = queued.earlier.etag
        if queued.earlier.last_modified:
            headers["If-Modified-Since"] = queued.earlier.last_modified
        url = queued.url
        for _ in range(_MAX_SPELLING_REDIRECTS):
            answer = self._picture(url, headers) if queued.kind is UrlKind.PICTURE else self._page(url, headers)
            assert answer.fetched is not None
            answer.moved_to = redirect_url(answer.fetched)
            if answer.moved_to is None or canonical_url(answer.moved_to) != canonical_url(url):
                return answer
            url = answer.moved_to
        raise FetchForbidden(
            f"expected a page or a picture, got {_MAX_SPELLING_REDIRECTS} redirects to spellings of the same URL"
        )

    def _page(self, url: str, headers: dict[str, str]) -> Answer:
        limits = FEED_LIMITS if parse_url(url).path.partition("?")[0].endswith((".xml", ".gz", ".txt")) else PAGE_LIMITS
        fetched = self._fetcher.get(url, headers=headers, limits=limits, follow=False)
        if self._renderer is not None and fetched.ok and self._renderer.draws(fetched.url) and _is_html(fetched):
            fetched = self._renderer.render(fetched)
        return Answer(fetched)

    def _picture(self, url: str, headers: dict[str, str]) -> Answer:
        writer = self._blobs.writer()
        try:
            fetched = self._fetcher.download(
                url, writer.write, headers=headers, limits=self._picture_limits, follow=False
            )
            if not fetched.ok:
                writer.abort()
                return Answer(fetched)
            writer.finish()
            return Answer(fetched, writer=writer, info=_picture_info(writer.path))
        except BaseException:
            writer.abort()
            raise


def redirect_url(fetched: Fetched) -> str | None:
    """Return the absolute URL to which an answer redirects, or None."""
    location = fetched.headers.get("location")
    if fetched.status not in {301, 302, 303, 307, 308} or not location:
        return None
    return str(redirect_target(parse_url(fetched.url), location))


def _is_html(fetched: Fetched) -> bool:
    return "html" in fetched.headers.get("content-type", "html")


def _picture_info(path: str) -> PictureInfo | None:
    """Return the format and size in the picture's header. Return None for an unreadable one: its item fails later."""
    try:
        with Path(path).open("rb") as file:
            return inspect(file)
    except ItemError:
        return None
