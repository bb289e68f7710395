"""Finds the links of a page: the next page of its listing, other pages, feeds, and the rules for robots."""

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

_MAX_LINKS = 5_000
_PAGE_PARAMETERS = frozenset(
    words("page p pg pageno page_no pagenum pagenumber paged pagingindex currentpage cpage offset start")
)
_PAGE_PATH = re.compile(r"/page[/-]?\d{1,5}/?$", re.I)
_OTHER_FILES = re.compile(
    r"\.(?:pdf|zip|gz|rar|7z|docx?|xlsx?|pptx?|mp[34]|mov|avi|exe|dmg|apk|css|js|json|xml|ics|woff2?)$", re.I
)
_FEEDS = ("application/rss+xml", "application/atom+xml")


def find_links(page: Page, products: Collection[str], next_page: str | None = None) -> Links:
    """Return all links of a page.

    `products`: the URLs of product pages that other rules have found. `next_page`: the next page according to a recipe.
    """
    own = urlsplit(page.url)
    robots, feeds, next_pages, canonical_link = _head_links(page)
    found: dict[str, tuple[str, str]] = {}
    """Canonical URL → (URL, kind of the link)."""
    for url in products:
        found.setdefault(canonical_url(url), (url, "product"))
    for url in [*([next_page] if next_page else []), *next_pages]:
        found.setdefault(canonical_url(url), (url, "page"))
    for anchor in page.find("//a[@href] | //area[@href]")[:_MAX_LINKS]:
        href = anchor.get("href")
        if href.startswith("#") or "nofollow" in (anchor.get("rel") or "").lower() or is_picture_name(href):
            continue
        target = page.absolute(href)
        parts = urlsplit(target or "")
        if target is None or parts.netloc != own.netloc or _OTHER_FILES.search(parts.path):
            continue
        key = canonical_url(target)
        if key not in found:
            paging = "next" in (anchor.get("rel") or "").lower().split() or _is_other_page_of_list(own, parts)
            found[key] = (target, "page" if paging else "other")
    found.pop(canonical_url(page.url), None)
    urls_by_kind: dict[str, list[str]] = {"product": [], "page": [], "other": []}
    for url, kind in found.values():
        urls_by_kind[kind].append(url)
    return Links(
        products=tuple(urls_by_kind["product"]),
        pages=tuple(urls_by_kind["page"]),
        others=tuple(urls_by_kind["other"]),
        feeds=feeds,
        canonical=canonical_link,
        nofollow="nofollow" in robots or "none" in robots,
        noindex="noindex" in robots or "none" in robots,
    )


def _head_links(page: Page) -> tuple[set[str], tuple[str, ...], list[str], str | None]:
    """Return the words for robots, the feeds, the next pages and the canonical URL from the head of a page."""
    robots: list[str] = [page.headers.get("x-robots-tag", "").lower()]
    for meta in page.find("//meta[@name][@content]"):
        if meta.get("name").lower() in {"robots", "lookbook"}:
            robots.append(meta.get("content").lower())
    feeds: dict[str, None] = {}
    next_pages: list[str] = []
    canonical_link = None
    for link in page.find("//link[@rel][@href]"):
        relations = link.get("rel").lower().split()
        url = page.absolute(link.get("href"))
        if url is None:
            continue
        if "next" in relations:
            next_pages.append(url)
        elif "canonical" in relations and canonical_link is None:
            canonical_link = url
        elif "alternate" in relations and (link.get("type") or "").lower() in _FEEDS:
            feeds[url] = None
    return set(re.split(r"[\s,;:]+", " ".join(robots))), tuple(feeds), next_pages, canonical_link


def _is_other_page_of_list(own: Any, other: Any) -> bool:
    """Return whether a URL differs from the page's own URL only in its page number."""
    if own.path == other.path:
        before, after = dict(parse_qsl(own.query)), dict(parse_qsl(other.query))
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        return len(changed) == 1 and all(
            name.lower() in _PAGE_PARAMETERS and after.get(name, "1").isdigit() for name in changed
        )
    base_path = _PAGE_PATH.sub("", own.path).rstrip("/")
    return _PAGE_PATH.search(other.path) is not None and _PAGE_PATH.sub("", other.path).rstrip("/") == base_path
