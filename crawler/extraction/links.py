"""Where a page leads: the next page of its listing, other pages, feeds, and what it says to robots."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from crawler.extraction.found import Links
from crawler.extraction.images import is_picture_name
from crawler.extraction.page import Page
from crawler.urls import canonical_url
from crawler.words import words

_MOST = 5_000
_PAGE_PARAMETERS = frozenset(
    words("page p pg pageno page_no pagenum pagenumber paged pagingindex currentpage cpage offset start")
)
_PAGE_PATH = re.compile(r"/page[/-]?\d{1,5}/?$", re.I)
_OTHER_FILES = re.compile(
    r"\.(?:pdf|zip|gz|rar|7z|docx?|xlsx?|pptx?|mp[34]|mov|avi|exe|dmg|apk|css|js|json|xml|ics|woff2?)$", re.I
)
_FEEDS = ("application/rss+xml", "application/atom+xml")


def links(page: Page, products: Collection[str], next_page: str | None = None) -> Links:
    """All links of a page.

    `products`: URLs that extraction knows to be products' pages. `next_page`: where a recipe says that the list goes
    on.
    """
    here = urlsplit(page.url)
    told, feeds, nexts, canonical_link = _head(page)
    found: dict[str, tuple[str, str]] = {}
    """Canonical spelling → URL, and which of the lists it belongs to."""
    for url in products:
        found.setdefault(canonical_url(url), (url, "product"))
    for url in [*([next_page] if next_page else []), *nexts]:
        found.setdefault(canonical_url(url), (url, "page"))
    for anchor in page.find("//a[@href] | //area[@href]")[:_MOST]:
        href = anchor.get("href")
        if href.startswith("#") or "nofollow" in (anchor.get("rel") or "").lower() or is_picture_name(href):
            continue
        target = page.absolute(href)
        parts = urlsplit(target or "")
        if target is None or parts.netloc != here.netloc or _OTHER_FILES.search(parts.path):
            continue
        key = canonical_url(target)
        if key not in found:
            paging = "next" in (anchor.get("rel") or "").lower().split() or _turns_the_page(here, parts)
            found[key] = (target, "page" if paging else "other")
    found.pop(canonical_url(page.url), None)
    lists: dict[str, list[str]] = {"product": [], "page": [], "other": []}
    for one, kind in found.values():
        lists[kind].append(one)
    return Links(
        products=tuple(lists["product"]),
        pages=tuple(lists["page"]),
        others=tuple(lists["other"]),
        feeds=feeds,
        canonical=canonical_link,
        nofollow="nofollow" in told or "none" in told,
        noindex="noindex" in told or "none" in told,
    )


def _head(page: Page) -> tuple[set[str], tuple[str, ...], list[str], str | None]:
    """What robots are told; feeds; the next page by `<link>`; the canonical URL."""
    told: list[str] = [page.headers.get("x-robots-tag", "").lower()]
    for meta in page.find("//meta[@name][@content]"):
        if meta.get("name").lower() in {"robots", "lookbook"}:
            told.append(meta.get("content").lower())
    feeds: dict[str, None] = {}
    nexts: list[str] = []
    canonical_link = None
    for link in page.find("//link[@rel][@href]"):
        words = link.get("rel").lower().split()
        url = page.absolute(link.get("href"))
        if url is None:
            continue
        if "next" in words:
            nexts.append(url)
        elif "canonical" in words and canonical_link is None:
            canonical_link = url
        elif "alternate" in words and (link.get("type") or "").lower() in _FEEDS:
            feeds[url] = None
    return set(re.split(r"[\s,;:]+", " ".join(told))), tuple(feeds), nexts, canonical_link


def _turns_the_page(here: Any, there: Any) -> bool:
    """Whether a URL is this one's with another page number."""
    if here.path == there.path:
        before, after = dict(parse_qsl(here.query)), dict(parse_qsl(there.query))
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        return len(changed) == 1 and all(
            name.lower() in _PAGE_PARAMETERS and after.get(name, "1").isdigit() for name in changed
        )
    bare = _PAGE_PATH.sub("", here.path).rstrip("/")
    return _PAGE_PATH.search(there.path) is not None and _PAGE_PATH.sub("", there.path).rstrip("/") == bare
