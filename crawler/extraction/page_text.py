"""Reads facts about a product in the visible text of its page: its code, brand, colour and stock."""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import cached_property
from math import inf
from operator import itemgetter
from typing import Any

from crawler.extraction.buy_box import BuyBox
from crawler.extraction.page import Page, tidy, xpath_texts
from crawler.extraction.product_data import ProductData, read_code, read_gtin, read_name
from crawler.extraction.shop_words import (
    BRAND_LABEL,
    CODE_LABEL,
    COLOR_LABEL,
    GTIN_LABEL,
    IN_STOCK,
    MATERIAL_LABEL,
    MPN_LABEL,
    OUT_OF_STOCK,
    SIZE_LABEL,
    WEAK_CODE_LABEL,
)
from crawler.words import words

_HIDDEN_TAGS = frozenset(words("script style noscript template select option textarea svg iframe head title"))
_MAX_TEXTS = 20_000
_MAX_LABEL_LINE, _MAX_STOCK_LINE = 120, 90
"""Maximum numbers of characters of a text with a label and a code, and of a text about the stock."""
_MAX_NAME = 40
_BEFORE_BOX, _AFTER_BOX, _NEAR_LABEL = 60, 150, 250
"""Numbers of elements around the heading and the button in which the stock and the weak labels are searched."""
_AFTER_LABEL = re.compile(r"^[\s:：#.\-–—=|)\]\u200e\u200f]*")
_CODE_NAME = re.compile(
    r"(?:^|[^a-z])sku(?![a-z])|ref(?:erence)?[-_]?num"
    r"|(?:product|item|article|artikel|style|catalog)[-_ ]?(?:code|ref|reference|num|number|no|nr|sku)(?![a-z])",
    re.I,
)
_BRAND_NAME = re.compile(r"(?:^|[^a-z])(?:brand|manufacturer|vendor|designer)(?:[-_]?name)?(?![-_a-z])", re.I)
_CODE = re.compile(r"(?=[\w./-]*\d)[A-Za-z0-9][\w./-]{1,38}[A-Za-z0-9](?![\w])", re.ASCII)
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}$")


class PageText:
    """The visible texts of a page in their order, without those of other products and of the frame of the site."""

    def __init__(self, page: Page, box: BuyBox) -> None:
        self._page = page
        self._box = box

    @cached_property
    def _texts(self) -> list[tuple[int, str, Any]]:
        """The position of each text, the text in one line, and the element that contains it."""
        positions, visible = self._box.positions, {}
        found: list[tuple[int, str, Any]] = []
        for text in xpath_texts(self._page.tree)[:_MAX_TEXTS]:
            element = text.getparent()
            container = element.getparent() if text.is_tail else element
            if container not in visible:
                visible[container] = self._is_visible(container)
            line = tidy(str(text)) if visible[container] else None
            if line:
                # The text behind an element comes after the texts inside it.
                position = max(positions[element], found[-1][0]) if found else positions[element]
                found.append((position, line, container))
        return found

    def _is_visible(self, element: Any) -> bool:
        if element.tag in _HIDDEN_TAGS or not self._box.is_own(element):
            return False
        return not any(_is_hidden(part) for part in (element, *element.iterancestors()))

    def add_facts(self, product: ProductData) -> None:
        """Set the fields that the text names with a label."""
        product.sku = self._code(CODE_LABEL) or self._named_code() or self._code(WEAK_CODE_LABEL, _NEAR_LABEL)
        product.mpn = self._code(MPN_LABEL)
        product.gtin = read_gtin(self._code(GTIN_LABEL))
        product.brand = self._name(BRAND_LABEL) or self._named_brand()
        product.color = self._name(COLOR_LABEL)
        product.material = self._name(MATERIAL_LABEL)
        product.size = self._name(SIZE_LABEL)

    def stock(self) -> str | None:
        """Return the availability that the words between heading and button state, or None."""
        near = self._between(self._box.start - _BEFORE_BOX, self._box.end + _AFTER_BOX)
        out = next((p for p, line in near if len(line) <= _MAX_STOCK_LINE and OUT_OF_STOCK.search(line)), None)
        # "not in stock" contains "in stock", therefore the words of absence are searched first.
        stocked = next(
            (
                p
                for p, line in near
                if len(line) <= _MAX_STOCK_LINE and IN_STOCK.search(line) and not OUT_OF_STOCK.search(line)
            ),
            None,
        )
        if out is not None and (stocked is None or out < stocked):
            return "OutOfStock"
        return "InStock" if stocked is not None else None

    def mentions(self, code: str) -> bool:
        """Return whether the visible text contains a code as a word of its own."""
        return re.search(rf"(?<![\w]){re.escape(code)}(?![\w])", self._whole) is not None

    @cached_property
    def _whole(self) -> str:
        return "\n".join(line for _, line, _ in self._texts)

    def _between(self, start: float, end: float) -> list[tuple[int, str]]:
        texts = self._texts
        first, last = (bisect_left(texts, place, key=itemgetter(0)) for place in (start, end))
        return [(position, line) for position, line, _ in texts[first:last]]

    def _named_code(self) -> str | None:
        """Return the first text that is a code and whose element has the name of a code."""
        for position, line, element in self._texts:
            if position >= self._box.start - _BEFORE_BOX and _CODE.fullmatch(line) and not _DATE.match(line):
                names = " ".join(str(value) for part in _with_parent(element) for value in _names_of(part))
                if _CODE_NAME.search(names):
                    return read_code(line)
        return None

    def _named_brand(self) -> str | None:
        """Return the first text near the heading and button whose element has the name of a brand."""
        start, end = self._box.start - _BEFORE_BOX, self._box.end + _BEFORE_BOX
        for position, line, element in self._texts:
            if start <= position < end and len(line) <= _MAX_NAME and ":" not in line:
                parts = _with_parent(element)
                if any(_BRAND_NAME.search(f"{part.get('class') or ''} {part.get('id') or ''}") for part in parts):
                    return read_name(line)
        return None

    def _code(self, label: re.Pattern[str], max_distance: int | None = None) -> str | None:
        """Return the first code behind a label, in the same text or in the next one."""
        texts = self._between(
            self._box.start - _BEFORE_BOX, inf if max_distance is None else self._box.end + max_distance
        )
        for index, (_, line) in enumerate(texts):
            match = label.search(line) if len(line) <= _MAX_LABEL_LINE else None
            while match is not None:
                code = _code_after(line[match.end() :], [text for _, text in texts[index + 1 : index + 3]])
                if code:
                    return code
                match = label.search(line, match.end())
        return None

    def _name(self, label: re.Pattern[str]) -> str | None:
        """Return the text behind a label that is a text of its own or ends with a colon."""
        texts = self._between(self._box.start, inf)
        for index, (_, line) in enumerate(texts):
            match = label.match(line) if len(line) <= _MAX_LABEL_LINE else None
            if match is None:
                continue
            rest = line[match.end() :].strip()
            if rest[:1] in {":", "："} and rest[1:].strip():
                value = rest[1:].strip()
            elif rest in {"", ":", "："} and index + 1 < len(texts):
                value = texts[index + 1][1].lstrip(":： ")
            else:
                continue
            if 1 <= len(value) <= _MAX_NAME and not value.endswith(":") and not label.fullmatch(value):
                return read_name(value)
        return None


def _code_after(rest: str, following: list[str]) -> str | None:
    """Return the code at the beginning of a text, or of the next text if only signs are left of this one."""
    for text in (rest, *following):
        value = _AFTER_LABEL.sub("", text, count=1)
        if not value:
            continue
        match = _CODE.match(value)
        if match is None or _DATE.match(match.group()):
            return None
        return read_code(match.group().rstrip("./-"))
    return None


def _with_parent(element: Any) -> list[Any]:
    """Return an element and the one that contains it. The root of a damaged page can contain texts itself."""
    parent = element.getparent()
    return [element] if parent is None else [element, parent]


def _names_of(element: Any) -> list[Any]:
    """Return the values of the attributes that name an element: its class, its id and its data for tests."""
    return [value for name, value in element.items() if name in {"class", "id"} or name.startswith("data-")]


def _is_hidden(element: Any) -> bool:
    style = element.get("style")
    if style is not None and re.search(r"display\s*:\s*none", style):
        return True
    return element.get("hidden") is not None
