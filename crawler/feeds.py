"""Reads files that name many pages: sitemaps and sitemap indexes with their images, RSS and Atom, also in gzip.

Entities are never resolved, and the size of a file is limited. A file may name pages of its own host only.
docs/adr/0024-the-feed-reader.md explains why no library is used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from crawler.extraction.page import decoded, tidy
from crawler.urls import absolute_url, without_www

MAX_BYTES = 50 * 2**20
MAX_URLS = 50_000
"""Limits of one uncompressed file, which are those of sitemaps.org (https://www.sitemaps.org/protocol.html)."""
_MAX_IMAGES = 1_000
"""Maximum number of images of one page, which is Google's limit."""
_GZIP = b"\x1f\x8b"
_ENTRIES = ("{*}url", "{*}sitemap", "{*}item", "{*}entry")


@dataclass(frozen=True, slots=True)
class Entry:
    """One page that a sitemap or a feed names."""

    url: str
    modified: str | None = None
    """The date as the file has it, mostly in ISO 8601 or RFC 2822."""
    title: str | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """The content of one file, in its order and without repetitions."""

    entries: tuple[Entry, ...] = ()
    sitemaps: tuple[str, ...] = ()
    """The URLs of further sitemaps, if the file is an index."""
    refused: int = 0
    """Number of URLs that are of other hosts or may not be fetched."""
    cut: bool = False
    """Whether the file exceeds a limit, so that its end was not read."""


def is_feed(body: bytes, content_type: str | None = None) -> bool:
    """Return whether a response body is a sitemap or a feed, and not a page."""
    head = (
        (_gunzip(body[:4096], 65_536)[0] if body.startswith(_GZIP) else body)[:4096]
        .lstrip(b"\xef\xbb\xbf \t\r\n")
        .lower()
    )
    if any(mark in head for mark in (b"<urlset", b"<sitemapindex", b"<rss", b"<feed", b"<rdf:rdf")):
        return not head.startswith((b"<!doctype html", b"<html"))
    return body.startswith(_GZIP) or (
        head.startswith(b"<?xml") and b"<html" not in head and "xml" in (content_type or "")
    )


def read_feed(body: bytes, url: str) -> Feed:
    """Read a sitemap or a feed. It never raises: the entries before the damage in a broken file are returned.

    Args:
        body: the body of the response, which may be in gzip.
        url: the URL that gave the response.
    """
    data, cut = _gunzip(body, MAX_BYTES) if body.startswith(_GZIP) else (body[:MAX_BYTES], len(body) > MAX_BYTES)
    reader = _Reader(url)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        for element in _elements(data):
            if not reader.add(element):
                cut = True
                break
    else:
        cut = reader.add_lines(decoded(data, "text/plain")[1]) or cut
    return Feed(tuple(reader.entries.values()), tuple(reader.sitemaps), reader.refused, cut)


class _Reader:
    def __init__(self, url: str) -> None:
        self._url = url
        self._host = without_www(urlsplit(url).hostname)
        self.entries: dict[str, Entry] = {}
        self.sitemaps: dict[str, None] = {}
        self.refused = 0

    def add(self, element: Any) -> bool:
        """Add the entry of one element, and return whether the limit allows more."""
        tag = etree.QName(element).localname
        members = [child for child in element if isinstance(child.tag, str)]
        if tag in {"item", "entry"}:
            self._add_entry(members)
        else:
            url = self._url_on_same_host(_child_text(members, "loc"))
            if url and tag == "sitemap":
                self.sitemaps.setdefault(url)
            elif url:
                self.entries.setdefault(url, Entry(url, _child_text(members, "lastmod"), images=self._images(members)))
        return len(self.entries) + len(self.sitemaps) < MAX_URLS

    def add_lines(self, text: str) -> bool:
        """Add the lines of a sitemap in plain text, and return whether the limit cut it."""
        for line in text.splitlines():
            url = self._url_on_same_host(line.strip()) if line.strip().startswith("http") else None
            if url:
                self.entries.setdefault(url, Entry(url))
            if len(self.entries) >= MAX_URLS:
                return True
        return False

    def _add_entry(self, members: list[Any]) -> None:
        links = [child for child in members if etree.QName(child).localname == "link"]
        alternate = [link for link in links if link.get("rel", "alternate") == "alternate"]
        reference = next((link.get("href") or _element_text(link) for link in alternate), None)
        url = self._url_on_same_host(reference)
        if url:
            references = [c.get("url") or c.get("href") for c in members if _is_picture(c)][:_MAX_IMAGES]
            images = dict.fromkeys(image for each in references if (image := absolute_url(self._url, each)))
            modified = _child_text(members, "pubDate") or _child_text(members, "updated")
            self.entries.setdefault(url, Entry(url, modified, _child_text(members, "title"), tuple(images)))

    def _images(self, members: list[Any]) -> tuple[str, ...]:
        images = [child for child in members if etree.QName(child).localname == "image"][:_MAX_IMAGES]
        found = [absolute_url(self._url, _child_text(list(image), "loc")) for image in images]
        return tuple(dict.fromkeys(url for url in found if url))

    def _url_on_same_host(self, reference: str | None) -> str | None:
        url = absolute_url(self._url, reference)
        if reference and (url is None or without_www(urlsplit(url).hostname) != self._host):
            self.refused += 1
            return None
        return url


def _elements(data: bytes) -> Iterator[Any]:
    """Yield the elements of the entries, one at a time. Each is removed before the next one is read, to save memory."""
    options = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False, "recover": True}
    try:
        for _, element in etree.iterparse(
            BytesIO(data), events=("end",), tag=_ENTRIES, remove_comments=True, **options
        ):
            yield element
            element.clear()
            while element.getprevious() is not None and element.getparent() is not None:
                del element.getparent()[0]
    except etree.LxmlError:
        return


def _child_text(members: list[Any], name: str) -> str | None:
    named = (c for c in members if isinstance(c.tag, str) and etree.QName(c).localname == name)
    return next((_element_text(child) for child in named), None)


def _element_text(element: Any) -> str | None:
    """Return the text of an element, or None if it contains an entity, because entities are never resolved."""
    return tidy(element.text, 4096) if len(element) == 0 else None


def _is_picture(element: Any) -> bool:
    name, media_type = etree.QName(element).localname, element.get("type") or ""
    if name == "link":
        return element.get("rel") == "enclosure" and media_type.startswith("image/")
    return (name == "enclosure" and media_type.startswith("image/")) or (
        name in {"content", "thumbnail"}
        and element.get("url") is not None
        and (element.get("medium") or media_type or "image").startswith("image")
    )


def _gunzip(data: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Return at most `max_bytes` unpacked bytes, and whether there are more. Damaged data ends at the damage."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, max_bytes)
    except zlib.error:
        return b"", False
    return unpacked, bool(unpacker.unconsumed_tail)
