"""A page as extraction reads it: decoded, parsed, its URLs absolute."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any

from lxml import etree
from w3lib.encoding import html_to_unicode

from crawler.extraction.found import LeftOut
from crawler.urls import absolute_url

MAX_BYTES = 8 * 2**20
"""How much of a page is read, in bytes."""

_SAFE = r"A-Za-z0-9_~!$&()*+,=:@%.\-"
_PLAIN = re.compile(rf"/(?:[{_SAFE}][{_SAFE}/]*)?(?:\?[{_SAFE}/?]+)?(?:#[\w-]*)?", re.ASCII)
"""A path within the site, with a query perhaps, that is in its one spelling already."""
_LONG = 1_000
"""Beyond so many characters the long way counts them."""
_SPACE = re.compile(r"\s+")
_TEXT = (
    ".//text()[not(parent::script or parent::style)] | .//br | .//div | .//p | .//li | .//td | .//dd | .//h2 | .//h3"
)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


@cache
def xpath(expression: str) -> Any:
    """A compiled XPath expression, kept."""
    return etree.XPath(expression, smart_strings=False)


class Page:
    """One fetched page. Making one never raises, whatever the bytes are."""

    def __init__(self, body: bytes, url: str, headers: Mapping[str, str] | None = None, status: int = 200) -> None:
        """`url`: that answered. `headers`: names in lower case."""
        self.url = url
        self.status = status
        self.headers = dict(headers or {})
        self.encoding, self.text = decoded(body[:MAX_BYTES], self.headers.get("content-type"))
        self.left_out: dict[str, LeftOut] = {}
        """Reference as the page has it → why no picture was made of it."""
        self._absolute: dict[str, str | None] = {}

    @cached_property
    def tree(self) -> Any:
        """The root element."""
        text = _NOT_IN_XML.sub("", self.text).strip() or "<html/>"
        # huge_tree is about depth here (2048 instead of 256 elements, which unclosed tags reach): the size is capped.
        parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
        try:
            root = etree.fromstring(text.encode(), parser)
        except etree.LxmlError:
            root = None
        return root if root is not None else etree.Element("html")

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
        """Whether the text of the page holds `word`: cheaper than looking into a tree for what is not there."""
        return word in self.text

    def absolute(self, reference: str | None) -> str | None:
        """A reference of this page as an http(s) URL without a fragment, None if it leads elsewhere or nowhere."""
        if not reference:
            return None
        if reference not in self._absolute:
            self._absolute[reference] = self._plain(reference) or absolute_url(self.base, reference.strip())
        return self._absolute[reference]

    def _plain(self, reference: str) -> str | None:
        """What `absolute_url` would say of the most usual references, ten times sooner; None of all others."""
        path = reference.removeprefix(self._origin)
        if len(reference) > _LONG or "/." in path or not _PLAIN.fullmatch(path):
            return None
        return self._origin + path.partition("#")[0]

    @cached_property
    def _origin(self) -> str:
        whole = absolute_url(self.base, "/")
        return whole.removesuffix("/") if whole else "\n"

    def picture(self, reference: object) -> str | None:
        """`absolute`, of a picture's reference; what is none is noted in `left_out`."""
        if not isinstance(reference, str) or not reference.strip():
            return None
        data = reference.lstrip()[:5].lower() == "data:"
        url = None if data else self.absolute(reference)
        if url is None:
            self.left_out[reference[:200]] = LeftOut.DATA_URI if data else LeftOut.BAD_URL
        return url


def tidy(text: object, longest: int = 1000) -> str | None:
    """A text in one line, None if nothing is left of it."""
    return (_SPACE.sub(" ", text).strip()[:longest] or None) if isinstance(text, str) else None


def text_of(element: Any) -> str | None:
    """The text of an element and what is in it, without that of scripts and styles; blocks stand apart."""
    return tidy("".join(part if isinstance(part, str) else " " for part in xpath(_TEXT)(element)))


def decoded(body: bytes, content_type: str | None = None) -> tuple[str, str]:
    """The encoding and the text of a page.

    What the header or the page declares counts, in the order and with the aliases that browsers use (EUC-KR is CP949),
    unless the bytes cannot be that and are flawless UTF-8 or CP949.
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
