"""Asking for one URL of a crawl, in a thread: pages into memory, pictures into the spool, all through the guarded
fetcher."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import FetchForbidden, ItemError
from core.fetching import Fetched, Fetcher, FetchLimits
from core.fetching.urls import parse_url, redirect_target
from core.pictures import inspect
from core.types import PictureInfo
from crawler import robots
from crawler.feeds import MAX_BYTES as MAX_FEED_BYTES
from crawler.urls import canonical_url
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.crawls.met_urls import Waiting
from db.tables import UrlKind

PAGE_LIMITS = FetchLimits(max_bytes=10 * 2**20)
FEED_LIMITS = FetchLimits(max_bytes=MAX_FEED_BYTES)
ROBOTS_LIMITS = FetchLimits(seconds=15.0, max_bytes=robots.MAX_BYTES, max_redirects=5)

_ACCEPTED = {
    UrlKind.PICTURE: "image/avif,image/webp,image/*;q=0.9,*/*;q=0.5",
    UrlKind.PAGE: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
}
_SAME_PAGE = 5
"""Most redirects that change a URL's spelling only."""


@dataclass(slots=True)
class Answer:
    """What came of a request: an answer or an error, and how long it took, in seconds."""

    seconds: float
    fetched: Fetched | None = None
    error: Exception | None = None
    moved_to: str | None = None
    """Where a redirect leads."""
    writer: BlobWriter | None = None
    """The bytes of a picture; whoever has the answer aborts it in the end."""
    info: PictureInfo | None = None
    """What its header says, if that can be read."""


class CrawlFetcher:
    """Everything that a crawl asks for. Threads share it."""

    def __init__(self, fetcher: Fetcher, blobs: BlobStore, max_picture_bytes: int) -> None:
        self._fetcher = fetcher
        self._blobs = blobs
        self._picture_limits = FetchLimits(max_bytes=max_picture_bytes)

    def ask(self, wanted: Waiting) -> Answer:
        """Ask for a URL. Redirects are not followed: where one leads is a URL of its own, with a host and rules of its
        own. Never raises: what went wrong is in the answer."""
        began = time.monotonic()
        try:
            answer = self._asked(wanted)
        except Exception as error:  # noqa: BLE001 (whoever asked decides)
            answer = Answer(0.0, error=error)
        return replace(answer, seconds=time.monotonic() - began)

    def robots(self, origin: str) -> Answer:
        """Ask for the robots.txt of an origin; redirects are followed, as RFC 9309 has it."""
        began = time.monotonic()
        try:
            return Answer(0.0, self._fetcher.get(f"{origin}/robots.txt", limits=ROBOTS_LIMITS))
        except Exception as error:  # noqa: BLE001
            return Answer(time.monotonic() - began, error=error)

    def _asked(self, wanted: Waiting) -> Answer:
        headers = {"Accept": _ACCEPTED.get(wanted.kind, _ACCEPTED[UrlKind.PAGE])}
        if wanted.before.etag:
            headers["If-None-Match"] = wanted.before.etag
        if wanted.before.last_modified:
            headers["If-Modified-Since"] = wanted.before.last_modified
        url = wanted.url
        for _ in range(_SAME_PAGE):
            answer = self._picture(url, headers) if wanted.kind is UrlKind.PICTURE else self._page(url, headers)
            assert answer.fetched is not None
            answer.moved_to = _target(answer.fetched)
            if answer.moved_to is None or canonical_url(answer.moved_to) != canonical_url(url):
                return answer
            url = answer.moved_to
        raise FetchForbidden(f"expected redirects that end somewhere, got {_SAME_PAGE} to spellings of the same URL")

    def _page(self, url: str, headers: dict[str, str]) -> Answer:
        limits = FEED_LIMITS if parse_url(url).path.partition("?")[0].endswith((".xml", ".gz", ".txt")) else PAGE_LIMITS
        return Answer(0.0, self._fetcher.get(url, headers=headers, limits=limits, follow=False))

    def _picture(self, url: str, headers: dict[str, str]) -> Answer:
        writer = self._blobs.writer()
        try:
            fetched = self._fetcher.download(
                url, writer.write, headers=headers, limits=self._picture_limits, follow=False
            )
            if not fetched.ok:
                writer.abort()
                return Answer(0.0, fetched)
            writer.finish()
            return Answer(0.0, fetched, writer=writer, info=_info(writer.path))
        except BaseException:
            writer.abort()
            raise


def _target(fetched: Fetched) -> str | None:
    location = fetched.headers.get("location")
    if fetched.status not in {301, 302, 303, 307, 308} or not location:
        return None
    return str(redirect_target(parse_url(fetched.url), location))


def _info(path: str) -> PictureInfo | None:
    """None: whoever decodes it will say what is wrong with it."""
    try:
        with Path(path).open("rb") as file:
            return inspect(file)
    except ItemError:
        return None
