"""What leads to many pages at once: sitemaps (index and URL sets, gzip, with their images), RSS and Atom.

Entities are never resolved, and nothing is taken beyond the caps. A sitemap speaks for its own host only.
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
"""Of one file, uncompressed: what sitemaps.org allows (https://www.sitemaps.org/protocol.html)."""
_MAX_IMAGES = 1_000
"""Of one page, as Google allows."""
_GZIP = b"\x1f\x8b"
_ENTRIES = ("{*}url", "{*}sitemap", "{*}item", "{*}entry")


@dataclass(frozen=True, slots=True)
class Entry:
    """A page that a sitemap or a feed names."""

    url: str
    modified: str | None = None
    """As written, mostly ISO 8601 or RFC 2822."""
    title: str | None = None
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """What one file names, each once, in its order."""

    entries: tuple[Entry, ...] = ()
    sitemaps: tuple[str, ...] = ()
    """Further sitemaps, of an index."""
    refused: int = 0
    """URLs of other hosts, or such as may not be fetched."""
    cut: bool = False
    """Whether it went on beyond a cap."""


def is_feed(body: bytes, content_type: str | None = None) -> bool:
    """Whether what a URL gave is a sitemap or a feed rather than a page."""
    head = (
        (_unpacked(body[:4096], 65_536)[0] if body.startswith(_GZIP) else body)[:4096]
        .lstrip(b"\xef\xbb\xbf \t\r\n")
        .lower()
    )
    if any(mark in head for mark in (b"<urlset", b"<sitemapindex", b"<rss", b"<feed", b"<rdf:rdf")):
        return not head.startswith((b"<!doctype html", b"<html"))
    return body.startswith(_GZIP) or (
        head.startswith(b"<?xml") and b"<html" not in head and "xml" in (content_type or "")
    )


def read_feed(body: bytes, url: str) -> Feed:
    """Read a sitemap or a feed. Never raises: of a broken one, what stands before the break is taken.

    Args:
        body: as it came, or in gzip.
        url: that answered.
    """
    data, cut = _unpacked(body, MAX_BYTES) if body.startswith(_GZIP) else (body[:MAX_BYTES], len(body) > MAX_BYTES)
    reading = _Reading(url)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        for element in _elements(data):
            if not reading.take(element):
                cut = True
                break
    else:
        cut = reading.take_lines(decoded(data, "text/plain")[1]) or cut
    return Feed(tuple(reading.entries.values()), tuple(reading.sitemaps), reading.refused, cut)


class _Reading:
    def __init__(self, url: str) -> None:
        self._url = url
        self._host = without_www(urlsplit(url).hostname)
        self.entries: dict[str, Entry] = {}
        self.sitemaps: dict[str, None] = {}
        self.refused = 0

    def take(self, element: Any) -> bool:
        """Whether there is room for more."""
        kind = etree.QName(element).localname
        members = [child for child in element if isinstance(child.tag, str)]
        if kind in {"item", "entry"}:
            self._take_entry(members)
        else:
            url = self._own(_text(members, "loc"))
            if url and kind == "sitemap":
                self.sitemaps.setdefault(url)
            elif url:
                self.entries.setdefault(url, Entry(url, _text(members, "lastmod"), images=self._images(members)))
        return len(self.entries) + len(self.sitemaps) < MAX_URLS

    def take_lines(self, text: str) -> bool:
        """A sitemap that is a list of URLs; whether it was cut."""
        for line in text.splitlines():
            url = self._own(line.strip()) if line.strip().startswith("http") else None
            if url:
                self.entries.setdefault(url, Entry(url))
            if len(self.entries) >= MAX_URLS:
                return True
        return False

    def _take_entry(self, members: list[Any]) -> None:
        links = [child for child in members if etree.QName(child).localname == "link"]
        alternate = [link for link in links if link.get("rel", "alternate") == "alternate"]
        reference = next((link.get("href") or _own_text(link) for link in alternate), None)
        url = self._own(reference)
        if url:
            enclosed = [c.get("url") or c.get("href") for c in members if _is_picture(c)]
            images = [image for reference in enclosed[:_MAX_IMAGES] if (image := absolute_url(self._url, reference))]
            modified = _text(members, "pubDate") or _text(members, "updated")
            self.entries.setdefault(url, Entry(url, modified, _text(members, "title"), tuple(dict.fromkeys(images))))

    def _images(self, members: list[Any]) -> tuple[str, ...]:
        images = [child for child in members if etree.QName(child).localname == "image"][:_MAX_IMAGES]
        found = [absolute_url(self._url, _text(list(image), "loc")) for image in images]
        return tuple(dict.fromkeys(url for url in found if url))

    def _own(self, reference: str | None) -> str | None:
        url = absolute_url(self._url, reference)
        if reference and (url is None or without_www(urlsplit(url).hostname) != self._host):
            self.refused += 1
            return None
        return url


def _elements(data: bytes) -> Iterator[Any]:
    """The entries of a file, one at a time, each gone once the next is asked for."""
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


def _text(members: list[Any], name: str) -> str | None:
    return next((_own_text(c) for c in members if isinstance(c.tag, str) and etree.QName(c).localname == name), None)


def _own_text(element: Any) -> str | None:
    """The text of an element; None if an entity is in it, for what that stands for is not looked up."""
    return tidy(element.text, 4096) if len(element) == 0 else None


def _is_picture(element: Any) -> bool:
    name, kind = etree.QName(element).localname, element.get("type") or ""
    if name == "link":
        return element.get("rel") == "enclosure" and kind.startswith("image/")
    return (name == "enclosure" and kind.startswith("image/")) or (
        name in {"content", "thumbnail"}
        and element.get("url") is not None
        and (element.get("medium") or kind or "image").startswith("image")
    )


def _unpacked(data: bytes, most: int) -> tuple[bytes, bool]:
    """At most so many bytes of what is in gzip, and whether there is more; what is broken ends where it breaks."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        out = unpacker.decompress(data, most)
    except zlib.error:
        return b"", False
    return out, bool(unpacker.unconsumed_tail)
