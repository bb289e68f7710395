"""Reads files that name many pages: sitemaps, sitemap indexes, RSS and Atom (also product feeds), also in gzip.

Entities are never resolved, and the size of a file is limited. A file may name pages of its own host only.
docs/adr/0024-the-feed-reader.md explains why no library is used.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from lxml import etree

from crawler.extraction.found import FoundPicture, Product, Rule
from crawler.extraction.page import decoded, tidy
from crawler.extraction.prices import Price, read_price
from crawler.urls import absolute_url, without_www

MAX_BYTES = 50 * 2**20
MAX_URLS = 50_000
"""Limits of one uncompressed file, which are those of sitemaps.org (https://www.sitemaps.org/protocol.html)."""
_MAX_IMAGES = 1_000
"""Maximum number of images of one page, which is Google's limit."""
_GZIP = b"\x1f\x8b"
_MAX_LAYERS = 3
"""Shops have sitemaps that are packed twice: by the program that writes them, and by their server."""
_PRODUCT_SITEMAP = re.compile(
    r"product|produkt|produit|producto|prodotto|goods|(?<![a-z])(?:items?|prd|prod|skus?|articles?)(?![a-z])|상품|%EC%83%81%ED%92%88",
    re.I,
)
_ENTRIES = ("{*}url", "{*}sitemap", "{*}item", "{*}entry")


@dataclass(frozen=True, slots=True)
class Entry:
    """One page that a sitemap or a feed names."""

    url: str
    title: str | None = None
    price: Price | None = None
    """The current price, from the `g:` elements of a product feed."""
    images: tuple[str, ...] = ()
    """The pictures of an entry of RSS or Atom. The main picture comes first."""
    translations: tuple[str, ...] = ()
    """The same page in other languages, on the same host. They are no entries of the file."""

    def pictures(self, feed_url: str) -> list[FoundPicture]:
        """Return the pictures of the entry, as found on the page `feed_url`."""
        amount, currency = (self.price.amount, self.price.currency) if self.price else (None, None)
        values = {"title": self.title, "price": amount, "currency": currency, "url": self.url}
        sources = {name: Rule.FEED for name, value in values.items() if value is not None}
        product = Product(title=self.title, price=amount, currency=currency, url=self.url, sources=sources)
        return [
            FoundPicture(url, feed_url, Rule.FEED, rank, product, product_url=self.url)
            for rank, url in enumerate(self.images, 1)
        ]


@dataclass(frozen=True, slots=True)
class Feed:
    """The content of one file, in its order and without repetitions."""

    entries: tuple[Entry, ...] = ()
    sitemaps: tuple[str, ...] = ()
    """The URLs of further sitemaps, if the file is an index. Those of products come first."""
    refused: int = 0
    """Number of URLs that are of other hosts or may not be fetched."""
    cut: bool = False
    """Whether the file exceeds a limit, so that its end was not read."""

    @property
    def other_sitemaps(self) -> frozenset[str]:
        """The sitemaps of an index that are not about products, if its other sitemaps are by their names."""
        others = frozenset(url for url in self.sitemaps if not _is_about_products(url))
        return others if len(others) < len(self.sitemaps) else frozenset()


def is_feed(body: bytes, content_type: str | None = None) -> bool:
    """Return whether a response body is a sitemap or a feed, and not a page."""
    head = _unpacked(body[:65_536], 65_536)[0][:4096].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if any(mark in head for mark in (b"<urlset", b"<sitemapindex", b"<rss", b"<feed", b"<rdf:rdf")):
        return not head.startswith((b"<!doctype html", b"<html"))
    return body.startswith(_GZIP) or (
        head.startswith(b"<?xml") and b"<html" not in head and "xml" in (content_type or "")
    )


def read_feed(body: bytes, url: str) -> Feed:
    """Read a sitemap or a feed. It never raises: the entries before the damage in a broken file are returned.

    Args:
        body: the body of the response, which may be in gzip, also twice.
        url: the URL that gave the response.
    """
    data, cut = _unpacked(body, MAX_BYTES)
    reader = _Reader(url)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        for element in _elements(data):
            if not reader.add(element):
                cut = True
                break
    else:
        cut = reader.add_lines(decoded(data, "text/plain")[1]) or cut
    sitemaps = sorted(reader.sitemaps, key=lambda url: not _is_about_products(url))
    return Feed(tuple(reader.entries.values()), tuple(sitemaps), reader.refused, cut)


class _Reader:
    def __init__(self, url: str) -> None:
        self._url = url
        self._host = without_www(urlsplit(url).hostname)
        self.entries: dict[str, Entry] = {}
        self.sitemaps: dict[str, None] = {}
        self.refused = 0
        self._translations: set[str] = set()

    def add(self, element: Any) -> bool:
        """Add the entry of one element, and return whether the limit allows more."""
        tag = _local_name(element)
        members = [child for child in element if isinstance(child.tag, str)]
        if tag in {"item", "entry"}:
            self._add_entry(members)
        else:
            url = self._url_on_same_host(_child_text(members, "loc"))
            if url and tag == "sitemap":
                self.sitemaps.setdefault(url)
            elif url and url not in self._translations:
                self.entries.setdefault(url, Entry(url, translations=self._other_languages(members, url)))
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
        links = [child for child in members if _local_name(child) == "link"]
        alternate = [link for link in links if link.get("rel", "alternate") == "alternate"]
        reference = next((link.get("href") or _element_text(link) for link in alternate), None)
        url = self._url_on_same_host(reference)
        if url:
            references = [_picture_reference(child) for child in members][:_MAX_IMAGES]
            images = dict.fromkeys(image for each in references if (image := absolute_url(self._url, each)))
            price = read_price(_child_text(members, "sale_price")) or read_price(_child_text(members, "price"))
            self.entries.setdefault(url, Entry(url, _child_text(members, "title"), price, tuple(images)))

    def _other_languages(self, members: list[Any], url: str) -> tuple[str, ...]:
        """Return the URLs in `<xhtml:link rel="alternate" hreflang="…">`, and remember that they are no entries."""
        links = (c.get("href") for c in members if c.get("hreflang") and c.get("rel") == "alternate")
        found = dict.fromkeys(
            other
            for reference in links
            if (other := absolute_url(self._url, reference)) is not None
            and other != url
            and without_www(urlsplit(other).hostname) == self._host
            and other not in self.entries
        )
        self._translations.update(found)
        return tuple(found)

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


def _local_name(element: Any) -> str:
    """Return the name of an element without its namespace. Many feeds use `g:` and do not declare it."""
    name: str = element.tag
    return name.rpartition("}")[2].rpartition(":")[2]


def _child_text(members: list[Any], name: str) -> str | None:
    named = (c for c in members if isinstance(c.tag, str) and _local_name(c) == name)
    return next((_element_text(child) for child in named), None)


def _element_text(element: Any) -> str | None:
    """Return the text of an element, or None if it contains an entity, because entities are never resolved."""
    return tidy(element.text, 4096) if len(element) == 0 else None


def _picture_reference(element: Any) -> Any:
    """Return the picture that a child of an RSS or Atom entry names, or None if it names none."""
    name, media_type = _local_name(element), element.get("type") or ""
    if name in {"image_link", "additional_image_link"}:
        return _element_text(element)
    is_enclosure = name == "enclosure" or (name == "link" and element.get("rel") == "enclosure")
    if is_enclosure and media_type.startswith("image/"):
        return element.get("url") or element.get("href")
    is_media = name in {"content", "thumbnail"} and (element.get("medium") or media_type or "image").startswith("image")
    return element.get("url") if is_media else None


def _is_about_products(sitemap: str) -> bool:
    return _PRODUCT_SITEMAP.search(urlsplit(sitemap).path) is not None


def _unpacked(data: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Return at most `max_bytes` of the data without its layers of gzip, and whether there are more."""
    cut = len(data) > max_bytes
    for _ in range(_MAX_LAYERS):
        if not data.startswith(_GZIP):
            break
        data, cut = _gunzip(data, max_bytes)
    return data[:max_bytes], cut


def _gunzip(data: bytes, max_bytes: int) -> tuple[bytes, bool]:
    """Return at most `max_bytes` unpacked bytes, and whether there are more. Damaged data ends at the damage.

    A gzip file may have several members, one behind the other (RFC 1952, 2.2).
    """
    parts: list[bytes] = []
    room = max_bytes
    while data.startswith(_GZIP):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(data, room))
        except zlib.error:
            break
        room -= len(parts[-1])
        if room <= 0:
            return b"".join(parts), bool(unpacker.unconsumed_tail or unpacker.unused_data)
        data = unpacker.unused_data
    return b"".join(parts), False
