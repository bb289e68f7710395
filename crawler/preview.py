"""Reads one page of a shop as a crawl would: `python -m crawler.preview`, with the request as JSON on standard input.

It prints what the page yields as one JSON object. A worker runs it in a process of its own, because pages and pictures
come from strangers, and kills it after `PREVIEW_SECONDS`.
"""

from __future__ import annotations

import base64
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from core.fetching import Fetched, Fetcher, FetchLimits
from core.item_errors import CrawlForbidden, FetchForbidden, ItemError, ShopUnreachable
from core.pictures import thumbnail
from core.settings import Settings
from crawler import recipes, robots
from crawler.extraction import extract
from crawler.extraction.found import Extraction, FoundPicture
from crawler.feeds import is_feed, read_feed
from crawler.recipes import Recipe
from crawler.robots import Rules
from crawler.web import redirect_url

PREVIEW_SECONDS = 40.0
"""Seconds after which the process is killed."""
_MAX_MEMORY = 2**30
"""Address space of the process, in bytes. Linux enforces it."""
_PAGE_LIMITS = FetchLimits(seconds=10.0, max_bytes=5 * 2**20)
_PICTURE_LIMITS = FetchLimits(seconds=10.0, max_bytes=5 * 2**20)
_MAX_REDIRECTS = 5
_MAX_PICTURES = 24
"""Pictures of the page that are listed."""
_MAX_THUMBNAILS = 12
_THUMBNAIL_SIDE = 200
_THUMBNAILS_UNTIL = 15.0
"""Seconds after the start of the process after which no further thumbnail is begun."""
_MAX_TEXT = 300
_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5"


class PageReader:
    """Fetches one page and its pictures, if the robots.txt of their hosts allows it."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._rules: dict[str, Rules] = {}
        self._ends = time.monotonic() + _THUMBNAILS_UNTIL

    def read(self, url: str, recipe_name: str | None, query: str | None) -> dict[str, Any]:
        """Return what the page yields, in the form of `PreviewPageOut` of the API.

        Raises:
            ItemError: The page may not or cannot be fetched, or there is no such recipe.
        """
        known = recipes.load_recipes()
        chosen = next((recipe for recipe in known if recipe.name == recipe_name), None)
        start = chosen or recipes.find_recipe(known, url)
        if start is not None and query is not None:
            url = start.with_query(url, query)
        if chosen is not None:
            url = chosen.list_url(url) or url
        fetched = self._page(url)
        if is_feed(fetched.body, fetched.headers.get("content-type")):
            feed = read_feed(fetched.body, fetched.url)
            entries = len(feed.entries) + len(feed.sitemaps)
            return _page_out(fetched, "sitemap", None, [], {}, {"products": entries, "pages": 0, "others": 0})
        recipe = chosen or recipes.recipe_of_page(known, fetched.url, fetched.body)
        found = extract(fetched.body, fetched.url, fetched.headers, fetched.status, recipe=recipe, query=query)
        links = {name: len(getattr(found.links, name)) for name in ("products", "pages", "others")}
        left_out = {str(reason): count for reason, count in found.left_out.items()}
        return _page_out(fetched, str(found.kind), found, self._pictures(found.pictures), left_out, links, recipe)

    def _page(self, url: str) -> Fetched:
        for _ in range(_MAX_REDIRECTS):
            self._check(url)
            fetched = self._fetcher.get(url, headers={"Accept": _ACCEPT}, limits=_PAGE_LIMITS, follow=False)
            target = redirect_url(fetched)
            if target is None:
                return fetched
            url = target
        raise FetchForbidden(f"expected a page, got {_MAX_REDIRECTS} redirects")

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._rules:
            try:
                answer = self._fetcher.get(f"{origin}/robots.txt", limits=robots.LIMITS)
                self._rules[origin] = robots.read_rules(answer)
            except ItemError as error:
                self._rules[origin] = robots.rules_without_answer(error)
        rules = self._rules[origin]
        if rules.closed_reason is not None:
            raise ShopUnreachable(rules.closed_reason)
        if rules.error is not None:
            raise rules.error
        if not rules.allow(url):
            raise CrawlForbidden(f"the robots.txt of {origin} forbids {parts.path or '/'}")

    def _pictures(self, pictures: Sequence[FoundPicture]) -> list[dict[str, Any]]:
        listed = pictures[:_MAX_PICTURES]
        with ThreadPoolExecutor(4) as threads:
            thumbnails = list(threads.map(self._thumbnail, [picture.url for picture in listed[:_MAX_THUMBNAILS]]))
        thumbnails += [None] * (len(listed) - len(thumbnails))
        return [_picture_out(picture, data) for picture, data in zip(listed, thumbnails, strict=True)]

    def _thumbnail(self, url: str) -> str | None:
        """Return a picture as a small `data:` URL, or None if it cannot be shown in time."""
        if time.monotonic() >= self._ends:
            return None
        try:
            self._check(url)
            fetched = self._fetcher.get(url, limits=_PICTURE_LIMITS)
            data = thumbnail(fetched.body, side=_THUMBNAIL_SIDE) if fetched.ok else None
        except (ItemError, MemoryError):
            return None
        return None if data is None else f"data:image/jpeg;base64,{base64.b64encode(data).decode('ascii')}"


def _page_out(
    fetched: Fetched,
    kind: str,
    found: Extraction | None,
    pictures: list[dict[str, Any]],
    left_out: Mapping[str, int],
    links: Mapping[str, int],
    recipe: Recipe | None = None,
) -> dict[str, Any]:
    return {
        "url": fetched.url,
        "status": fetched.status,
        "kind": kind,
        "title": _text(found.title) if found else None,
        "recipe": recipe.name if recipe else None,
        "found": len(found.pictures) if found else 0,
        "pictures": pictures,
        "left_out": dict(left_out),
        "links": dict(links),
    }


def _picture_out(picture: FoundPicture, data: str | None) -> dict[str, Any]:
    return {
        "url": picture.url,
        "title": _text(picture.product.title or picture.alt),
        "price": None if picture.product.price is None else str(picture.product.price),
        "currency": _text(picture.product.currency),
        "page_url": picture.product_url,
        "thumbnail": data,
    }


def _text(text: str | None) -> str | None:
    return None if text is None else text[:_MAX_TEXT]


def preview(fetcher: Fetcher, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{"page": …}`, or `{"error": …}` with the code and the detail of the reason why there is none."""
    try:
        return {"page": PageReader(fetcher).read(request["url"], request.get("recipe"), request.get("query"))}
    except ItemError as error:
        return {"error": {"code": error.code, "detail": error.detail, "retryable": error.retryable}}


def main() -> None:
    """Answer the request on standard input."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY, _MAX_MEMORY))
    request = json.load(sys.stdin)
    with Fetcher(allow=Settings.read().fetch_allow) as fetcher:
        json.dump(preview(fetcher, request), sys.stdout)


if __name__ == "__main__":
    main()
