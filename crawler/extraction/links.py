"""Finds the links of a page: the next page of its listing, other pages, feeds, and the rules for robots."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from crawler.extraction.continuations import OFFSETS, PAGE_NUMBERS, find_continuations
from crawler.extraction.found import Links
from crawler.extraction.images import is_picture_name
from crawler.extraction.page import Page
from crawler.urls import canonical_url, is_tracking_or_session, parameters

_MAX_LINKS = 5_000
_MAX_TRANSLATIONS = 100
_PAGE_PATH = re.compile(r"/page[/-]?\d{1,5}/?$", re.I)
_OTHER_FILES = re.compile(
    r"\.(?:pdf|zip|gz|rar|7z|docx?|xlsx?|pptx?|mp[34]|mov|avi|exe|dmg|apk|css|js|json|xml|ics|woff2?)$", re.I
)
_FEEDS = ("application/rss+xml", "application/atom+xml")


@dataclass(slots=True)
class _Head:
    """The links and the rules for robots in the head of a page."""

    robots: set[str]
    feeds: dict[str, None] = field(default_factory=dict)
    next_pages: list[str] = field(default_factory=list)
    canonical: str | None = None
    languages: list[tuple[str, str]] = field(default_factory=list)
    """Language and URL of the versions of this page."""


def find_links(page: Page, products: Collection[str], next_page: str | None = None, *, shown: int = 0) -> Links:
    """Return all links of a page.

    Args:
        products: the URLs of product pages that other rules have found.
        next_page: the next page according to a recipe.
        shown: the number of products on a listing that may go on without a link.
    """
    own = urlsplit(page.url)
    head = _read_head(page)
    found: dict[str, tuple[str, str]] = {}
    """Canonical URL → (URL, kind of the link)."""
    for url in products:
        found.setdefault(canonical_url(url), (url, "product"))
    for url in [*([next_page] if next_page else []), *head.next_pages]:
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
            is_next = "next" in (anchor.get("rel") or "").lower().split()
            found[key] = (target, "page" if is_next else _kind_of_link(own, parts))
    found.pop(canonical_url(page.url), None)
    urls_by_kind: dict[str, list[str]] = {"product": [], "page": [], "view": [], "other": []}
    for url, kind in found.values():
        urls_by_kind[kind].append(url)
    is_last = not any(_is_behind(own, urlsplit(url)) for url in urls_by_kind["page"])
    return Links(
        products=tuple(urls_by_kind["product"]),
        pages=tuple(urls_by_kind["page"]),
        more=find_continuations(page, shown) if is_last else (),
        views=tuple(urls_by_kind["view"]),
        others=tuple(urls_by_kind["other"]),
        translations=_translations(page, head),
        feeds=tuple(head.feeds),
        canonical=head.canonical,
        nofollow="nofollow" in head.robots or "none" in head.robots,
        noindex="noindex" in head.robots or "none" in head.robots,
    )


def _read_head(page: Page) -> _Head:
    robots: list[str] = [page.headers.get("x-robots-tag", "").lower()]
    for meta in page.find("//meta[@name][@content]"):
        if meta.get("name").lower() in {"robots", "lookbook"}:
            robots.append(meta.get("content").lower())
    head = _Head(set(re.split(r"[\s,;:]+", " ".join(robots))))
    for link in page.find("//link[@rel][@href]"):
        relations = link.get("rel").lower().split()
        url = page.absolute(link.get("href"))
        if url is None:
            continue
        if "next" in relations:
            head.next_pages.append(url)
        elif "canonical" in relations and head.canonical is None:
            head.canonical = url
        elif "alternate" in relations and (link.get("type") or "").lower() in _FEEDS:
            head.feeds[url] = None
        elif "alternate" in relations and link.get("hreflang"):
            head.languages.append((link.get("hreflang").lower(), url))
    return head


def _translations(page: Page, head: _Head) -> tuple[str, ...]:
    """Return the versions of this page in other languages.

    Many shops forget the page number in these URLs, so that the page's own version is not its URL. In that case the
    language of the page tells it.
    """
    own_urls = {canonical_url(url) for url in (page.url, head.canonical) if url}
    others = [(name, url) for name, url in head.languages[:_MAX_TRANSLATIONS] if canonical_url(url) not in own_urls]
    if len(others) == len(head.languages[:_MAX_TRANSLATIONS]):
        own_language = page.first("string(/html/@lang)").lower().partition("-")[0]
        if not own_language:
            return ()
        own = {url for name, url in others if name.partition("-")[0] == own_language}
        others = [(name, url) for name, url in others if url not in own]
    return tuple(dict.fromkeys(url for _, url in others))


def _kind_of_link(own: Any, other: Any) -> str:
    """Return whether a link leads to another `page` of the list, to another `view` of the same page, or to an `other`.

    A view has the parameters of the page and more of them.
    """
    if own.path == other.path:
        before, after = _parameters(own.query), _parameters(other.query)
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        if len(changed) == 1 and all(_is_page_parameter(name, after.get(name, "1")) for name in changed):
            return "page"
        kept = {name: value for name, value in before.items() if not _is_page_parameter(name, value)}
        return "view" if kept.items() < after.items() else "other"
    base_path = _PAGE_PATH.sub("", own.path).rstrip("/")
    is_page = _PAGE_PATH.search(other.path) is not None and _PAGE_PATH.sub("", other.path).rstrip("/") == base_path
    return "page" if is_page else "other"


def _is_behind(own: Any, other: Any) -> bool:
    """Return whether another page of the list comes after this one, as far as their URLs tell."""
    return _place(other) is None or (_place(own) or 0) < (_place(other) or 0)


def _place(parts: Any) -> int | None:
    """Return the page number or the offset in a URL, or None if it has none."""
    in_path = _PAGE_PATH.search(parts.path)
    texts = re.findall(r"\d+", in_path.group()) if in_path else []
    texts += [value for name, value in _parameters(parts.query).items() if _is_page_parameter(name, value)]
    return int(texts[0]) if texts and len(texts[0]) < 10 else None


def _parameters(query: str) -> dict[str, str]:
    return {name: value for name, value in parameters(query) if not is_tracking_or_session(name, value)}


def _is_page_parameter(name: str, value: str) -> bool:
    return (name.lower() in PAGE_NUMBERS or name.lower() in OFFSETS) and value.isascii() and value.isdecimal()
