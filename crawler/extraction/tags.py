"""Finds titles and prices in single elements, and those of the page, which are outside of cards that link elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import Price, looks_like_price, read_price
from crawler.words import words

FURNITURE = frozenset({"header", "footer", "nav", "aside"})
"""Elements whose content belongs to the site and not to the page."""

_TITLE = re.compile(
    r"(?:^|[\s_-])(?:title|name|nm|subject|tit)(?:$|[\s_-])|(?:prd|goods|item|product)_?(?:name|title|nm)", re.I
)
_PRICE = re.compile(r"price|prc\b|cost\b|amount", re.I)
_FORMER_PRICE = re.compile(
    r"old|was\b|before|list-?price|origin|regular|compare|strike|retail|consumer|custom|msrp|crossed|normal|cross-?out",
    re.I,
)
_STRUCK_TAGS = frozenset({"del", "s", "strike"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NO_TITLES = frozenset({"img", "ul", "ol", "form"})
_MAY_HOLD_PRICE = (
    "//*["
    + " or ".join(f"self::{tag}" for tag in words("span p div strong b em ins del s strike td dd li bdi data"))
    + "]"
)
_MAX_PRICE, _MAX_TITLE = 40, 300
"""Maximum lengths in characters."""
_MAX_ELEMENTS, _MAX_PRICES = 5_000, 8
_MAX_DISTANCE = 6
"""Maximum number of elements above a price in which the title of its product is searched."""
_SEPARATOR = re.compile(r"\s+[-–—|:·]\s+")


@dataclass(frozen=True, slots=True)
class PriceTag:
    """A price and its element."""

    element: Any
    price: Price
    is_former: bool
    """Whether the price is struck out, or a name says that it is a former price."""


def price_tag(element: Any) -> PriceTag | None:
    """Return the price that an element itself contains.

    Return None if it contains no price, or if one of its descendants contains the whole price.
    """
    name = element.get("class") or ""
    has_itemprop = element.get("itemprop") == "price"
    has_price_name = has_itemprop or _PRICE.search(name) is not None
    price_text = tidy(element.text) if element.text else None
    if (price_text is None or not looks_like_price(price_text)) and (has_price_name or _is_in_parts(element)):
        # The currency sign and the number often have separate elements.
        whole = text_of(element)
        if whole and len(whole) <= _MAX_PRICE and not any(map(_is_struck, element.iterdescendants())):
            price_text = whole
    if price_text is None or not (looks_like_price(price_text) or (has_price_name and price_text[:1].isdigit())):
        return None
    price = read_price((element.get("content") if has_itemprop else None) or price_text)
    if price is None:
        return None
    return PriceTag(element, price, any(map(_is_struck, islice(chain([element], element.iterancestors()), 4))))


def price_now(tags: list[PriceTag]) -> PriceTag | None:
    """Return the current price. Former prices count only if there are no others. Prices with a currency come first."""
    current = [tag for tag in tags if not tag.is_former] or tags
    return next((tag for tag in current if tag.price.currency), next(iter(current), None))


def title_at(element: Any) -> str | None:
    """Return the text of an element if its tag or name says that it is a title, or None."""
    name = element.get("class")
    is_title = element.tag in _HEADINGS or element.get("itemprop") == "name"
    if not is_title and (name is None or element.tag in _NO_TITLES or not _TITLE.search(name)):
        return None
    text = text_of(element)
    return text if text and len(text) <= _MAX_TITLE and not looks_like_price(text) else None


def own_price(page: Page, other_pages: Collection[Any]) -> PriceTag | None:
    """Return the page's own price. `other_pages`: the elements in cards that link to other pages."""
    tags: list[PriceTag] = []
    for element in page.find(_MAY_HOLD_PRICE)[:_MAX_ELEMENTS]:
        tag = price_tag(element) if element not in other_pages else None
        if tag is not None:
            tags.append(tag)
            if len(tags) >= _MAX_PRICES:
                break
    return price_now(tags)


def own_title(page: Page, price: PriceTag | None, other_pages: Collection[Any]) -> str | None:
    """Return the page's own title.

    It is the `<h1>`, unless that is the name of the shop. Otherwise it is the title nearest to the price, or the part
    of `<title>` before the name of the shop.
    """
    parts = _SEPARATOR.split(page.title or "")
    for element in page.find("//h1")[:5]:
        text = text_of(element)
        in_furniture = any(ancestor.tag in FURNITURE for ancestor in element.iterancestors())
        if text and not in_furniture and not (len(parts) > 1 and text == parts[-1]):
            return text
    for ancestor in islice(price.element.iterancestors(), _MAX_DISTANCE) if price else ():
        for element in islice(ancestor.iterdescendants(), _MAX_ELEMENTS):
            title = title_at(element) if isinstance(element.tag, str) and element not in other_pages else None
            if title and element.tag in _HEADINGS:
                return title
    return parts[0] or None


def _is_in_parts(element: Any) -> bool:
    """Return whether numbers are directly next to child elements: `<ins><i>$</i>79.00</ins>`."""
    if not 0 < len(element) <= 3:
        return False
    direct_text = f"{element.text or ''}{''.join(child.tail or '' for child in element)}"
    return len(direct_text) <= _MAX_PRICE and any(character.isdigit() for character in direct_text)


def _is_struck(element: Any) -> bool:
    if element.tag in _STRUCK_TAGS or "line-through" in (element.get("style") or ""):
        return True
    return _FORMER_PRICE.search(element.get("class") or "") is not None
