"""Reads product feeds in XML: RSS and Atom with the fields of Google Merchant and Facebook (namespace `g`).

The parser builds no tree, so that only one product is in memory. It refuses entities of the document, which can expand
without end, and never loads anything from elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TextIO
from xml.parsers import expat

from core.item_errors import BadManifest, BadRow, ItemError, SourceEnded
from core.sources.manifests.columns import Columns
from core.sources.manifests.rows import Row, is_unreadable, rows_of, storable_json, unreadable_row, with_row_number
from core.sources.manifests.text import MAX_ROW

_PRODUCTS = {"item", "entry", "product", "offer"}
"""The elements that hold one product: of RSS, of Atom, and of feeds without a standard."""
_MAX_DEPTH = 64
_MAX_VALUES = 500
"""Fields of one product. Shops list up to ten further pictures, and some hundreds of shipping costs."""


def feed_rows(text: TextIO, columns: Columns, encoding: str) -> Iterator[Row | None]:
    """Yield the pictures of each product of a feed. Products are numbered from 1.

    Raises:
        SourceEnded: the file is no XML, or it is damaged from here on.
    """
    products = _Products()
    number = 0
    while block := text.read(MAX_ROW):
        products.feed(block)
        for values in products.take():
            number += 1
            yield from _rows_of_product(number, values, columns, encoding)
    products.feed("", is_last=True)
    if number == 0:
        raise SourceEnded(
            BadManifest(
                "expected a product feed with elements <item> (RSS) or <entry> (Atom), got XML without them. Save the "
                "list as CSV with a column image_url, or send a product feed of Google Merchant or Facebook"
            )
        )


def _rows_of_product(
    number: int, values: list[tuple[str, str]] | None, columns: Columns, encoding: str
) -> Iterator[Row]:
    if values is None:
        yield Row(number, error=BadRow(f"row {number}: expected at most {MAX_ROW:,} characters, got more"))
        return
    if is_unreadable([value for _, value in values]):
        yield unreadable_row(number, encoding)
        return
    merged: dict[str, str | list[str]] = {}
    for name, value in values:
        earlier = merged.get(name)
        if earlier is None:
            merged[name] = value
        else:
            merged[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
    try:
        cleaned = storable_json(merged)
    except ItemError as error:
        yield Row(number, error=with_row_number(number, error))
        return
    yield from rows_of(number, list(cleaned), list(cleaned.values()), columns)


class _Products:
    """The products of a feed, as they are parsed. A product is a list of (name, text), or None if it is too long."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.EntityDeclHandler = self._refuse_entities
        self._ready: deque[list[tuple[str, str]] | None] = deque()
        self._path: list[str] = []
        self._product_at = 0
        """The depth of the product that is being read, or 0."""
        self._values: list[tuple[str, str]] = []
        self._pieces: list[str] = []
        self._length = 0

    def feed(self, text: str, *, is_last: bool = False) -> None:
        try:
            self._parser.Parse(text.encode("utf-8", "replace"), is_last)
        except expat.ExpatError as error:
            raise SourceEnded(
                BadManifest(f"the XML is damaged: {expat.ErrorString(error.code)}, line {error.lineno}")
            ) from error

    def take(self) -> Iterator[list[tuple[str, str]] | None]:
        """Yield the products that are complete, each once."""
        while self._ready:
            yield self._ready.popleft()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        self._path.append(local)
        if len(self._path) > _MAX_DEPTH:
            raise SourceEnded(BadManifest(f"expected XML of at most {_MAX_DEPTH} levels, got more"))
        self._pieces = []
        if self._product_at:
            # The link of an Atom entry is an attribute.
            if local == "link" and "href" in attributes:
                self._add("link", attributes["href"])
        elif local.lower() in _PRODUCTS:
            self._product_at, self._values, self._length = len(self._path), [], 0

    def _end(self, _name: str) -> None:
        local, text = self._path.pop(), "".join(self._pieces).strip()
        self._pieces = []
        if not self._product_at:
            return
        if len(self._path) < self._product_at:
            self._ready.append(self._values if self._length <= MAX_ROW else None)
            self._product_at = 0
        elif text:
            # Fields below fields, such as those of shipping, are named by their path.
            self._add(".".join([*self._path[self._product_at :], local]), text)

    def _text(self, text: str) -> None:
        if self._product_at:
            self._length += len(text)
            if self._length <= MAX_ROW:
                self._pieces.append(text)

    def _add(self, name: str, value: str) -> None:
        if len(self._values) < _MAX_VALUES:
            self._values.append((name, value))

    @staticmethod
    def _refuse_entities(*_: object) -> None:
        raise SourceEnded(BadManifest("expected XML without entities of its own, got a document type with entities"))
