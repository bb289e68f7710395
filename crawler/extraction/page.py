"""A page for extraction: its text is decoded, its HTML is parsed, and its URLs are absolute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from lxml import etree
from w3lib.encoding import html_to_unicode

from crawler.extraction.found import LeftOut
from crawler.extraction.json_answers import is_json, json_as_html
from crawler.urls import absolute_url

MAX_BYTES = 8 * 2**20
"""Maximum number of bytes of a page that are read."""

_UNESCAPED = r"A-Za-z0-9_~!$&()*+,=:@%.\-"
_SIMPLE_PATH = re.compile(rf"/(?:[{_UNESCAPED}][{_UNESCAPED}/]*)?(?:\?[{_UNESCAPED}/?]+)?(?:#[\w-]*)?", re.ASCII)
"""Matches a path on the same site, with or without a query, that already has its canonical escapes."""
_MAX_SIMPLE = 1_000
"""Maximum number of characters for the fast conversion. `absolute_url` handles longer references."""
_WHITE_SPACE = re.compile(r"[\s\x00]+")
_TEXT_PARTS = (
    ".//text()[not(parent::script or parent::style)] | .//br | .//div | .//p | .//li | .//td | .//dd | .//h2 | .//h3"
)
_TEXT_PARTS_WITH_PLACE = etree.XPath(_TEXT_PARTS)
_TEXTS = etree.XPath(".//text()[normalize-space()]")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@cache
def xpath(expression: str) -> Any:
    """Return a compiled XPath expression from the cache."""
    return etree.XPath(expression, smart_strings=False)


class Page:
    """One fetched page. No bytes make the constructor raise an error."""

    def __init__(self, body: bytes, url: str, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        """`url`: the URL that gave the response. `headers`: the headers, with names in lower case."""
        self.url = url
        self.status = status
        self.headers = dict(headers or {})
        self.encoding, self.text = decoded(body[:MAX_BYTES], self.headers.get("content-type"))
        self.left_out: dict[str, LeftOut] = {}
        """Reference in the page → the reason why it is not a picture."""
        self._absolute: dict[str, str | None] = {}

    @cached_property
    def is_json(self) -> bool:
        """Whether the answer is JSON. Its `tree` is that of a page with the same content."""
        return is_json(self.text, self.headers.get("content-type", ""))

    @cached_property
    def tree(self) -> Any:
        """Return the root element."""
        text = _NOT_IN_XML.sub("", json_as_html(self.text) if self.is_json else self.text).strip() or "<html/>"
        # huge_tree raises the maximum depth from 256 to 2048 elements, which unclosed tags reach. MAX_BYTES limits the
        # size.
        parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
        try:
            root = etree.fromstring(text.encode(), parser)
        except etree.LxmlError:
            root = None
        if root is None:
            return etree.Element("html")
        # Content behind </html> can become a second root, which XPath finds and a walk from the first root does not.
        root.extend(list(root.itersiblings()))
        return root

    @cached_property
    def base(self) -> str:
        href = self.first("string(//base/@href)").strip()
        return (absolute_url(self.url, href) if href else None) or self.url

    @cached_property
    def title(self) -> str | None:
        return tidy(self.first("string(//title)"))

    def find(self, expression: str) -> list[Any]:
        found = xpath(expression)(self.tree)
        return found if isinstance(found, list) else [found]

    def first(self, expression: str) -> str:
        return str(xpath(expression)(self.tree))

    def has(self, word: str) -> bool:
        """Return whether the text of the page contains `word`. A search in the tree would cost more."""
        return word in self.text

    def absolute(self, reference: str | None) -> str | None:
        """Return a reference of this page as an http or https URL without a fragment, or None for others."""
        if not reference:
            return None
        if reference not in self._absolute:
            self._absolute[reference] = self._simple_url(reference) or absolute_url(self.base, reference.strip())
        return self._absolute[reference]

    def _simple_url(self, reference: str) -> str | None:
        """Return the URL of a common reference in a tenth of the time of `absolute_url`, or None for others."""
        path = reference.removeprefix(self._origin)
        if len(reference) > _MAX_SIMPLE or "/." in path or not _SIMPLE_PATH.fullmatch(path):
            return None
        return self._origin + path.partition("#")[0]

    @cached_property
    def _origin(self) -> str:
        whole = absolute_url(self.base, "/")
        return whole.removesuffix("/") if whole else "\n"

    def picture(self, reference: object) -> str | None:
        """Return the absolute URL of a picture, or None. Record a reference that is not a URL in `left_out`."""
        if not isinstance(reference, str) or not reference.strip():
            return None
        data = reference.lstrip()[:5].lower() == "data:"
        url = None if data else self.absolute(reference)
        if url is None:
            self.left_out[reference[:200]] = LeftOut.DATA_URI if data else LeftOut.BAD_URL
        return url


def xpath_texts(element: Any) -> list[Any]:
    """Return the texts of an element that are not only white space. Each has `getparent()` and `is_tail`."""
    return list(_TEXTS(element))


def tidy(text: object, max_length: int = 1000) -> str | None:
    """Return a text in one line, or None if it is empty or not a text."""
    return (_WHITE_SPACE.sub(" ", text).strip()[:max_length] or None) if isinstance(text, str) else None


def text_of(element: Any) -> str | None:
    """Return the text of an element without scripts and styles. Spaces separate the texts of block elements."""
    return tidy("".join(part if isinstance(part, str) else " " for part in xpath(_TEXT_PARTS)(element)))


def text_parts(element: Any) -> list[Any]:
    """Return the texts of an element, without scripts and styles, and in their order the block elements among them.

    Each text has `getparent()` and `is_tail`.
    """
    return list(_TEXT_PARTS_WITH_PLACE(element))


def decoded(body: bytes, content_type: str | None = None) -> tuple[str, str]:
    """Return the encoding and the text of a page.

    The declaration in the header or page counts, in the order and with the aliases of browsers (EUC-KR is CP949).
    If the bytes do not fit the declaration but are valid UTF-8 or CP949, that encoding is used.
    """
    try:
        encoding, text = html_to_unicode(content_type, body, default_encoding="utf-8", auto_detect_fun=_guessed)
    except (LookupError, ValueError):
        encoding, text = "utf-8", body.decode("utf-8", "replace")
    if "\ufffd" in text:
        for other in ("utf-8", "cp949"):
            try:
                return other, body.decode(other)
            except UnicodeDecodeError:
                continue
    return encoding, text


def _guessed(body: bytes) -> str:
    for encoding in ("utf-8", "cp949"):
        try:
            body.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "cp1252"
