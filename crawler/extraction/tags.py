"""Titles and prices out of single elements, and the page's own: what stands outside of cards that lead elsewhere."""

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
"""Elements that hold what belongs to the site rather than to the page."""

_TITLE = re.compile(
    r"(?:^|[\s_-])(?:title|name|nm|subject|tit)(?:$|[\s_-])|(?:prd|goods|item|product)_?(?:name|title|nm)", re.I
)
_PRICE = re.compile(r"price|prc\b|cost\b|amount", re.I)
_FORMER = re.compile(
    r"old|was\b|before|list-?price|origin|regular|compare|strike|retail|consumer|custom|msrp|crossed|normal|cross-?out",
    re.I,
)
_STRUCK = frozenset({"del", "s", "strike"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NO_TITLES = frozenset({"img", "ul", "ol", "form"})
_MAY_HOLD_PRICE = (
    "//*["
    + " or ".join(f"self::{tag}" for tag in words("span p div strong b em ins del s strike td dd li bdi data"))
    + "]"
)
_LONGEST_PRICE, _LONGEST_TITLE = 40, 300
"""In characters."""
_MOST_ELEMENTS, _MOST_PRICES = 5_000, 8
_NEAR = 6
"""How far above a price its product's title may be, in elements."""
_SEPARATOR = re.compile(r"\s+[-–—|:·]\s+")


@dataclass(frozen=True, slots=True)
class PriceTag:
    """A price and the element that it stands in."""

    element: Any
    price: Price
    former: bool
    """Struck out, or named as what it cost."""


def price_tag(element: Any) -> PriceTag | None:
    """The price that an element itself holds; None if it holds none, or if an element within holds it whole."""
    name = element.get("class") or ""
    marked = element.get("itemprop") == "price"
    named = marked or _PRICE.search(name) is not None
    own = tidy(element.text) if element.text else None
    if (own is None or not looks_like_price(own)) and (named or _is_in_parts(element)):
        # The sign and the number often stand in elements of their own.
        whole = text_of(element)
        if whole and len(whole) <= _LONGEST_PRICE and not any(map(_is_struck, element.iterdescendants())):
            own = whole
    if own is None or not (looks_like_price(own) or (named and own[:1].isdigit())):
        return None
    price = read_price((element.get("content") if marked else None) or own)
    if price is None:
        return None
    return PriceTag(element, price, any(map(_is_struck, islice(chain([element], element.iterancestors()), 4))))


def price_now(tags: list[PriceTag]) -> PriceTag | None:
    """The price that counts: not a struck one while there is another, and rather one with a currency."""
    current = [tag for tag in tags if not tag.former] or tags
    return next((tag for tag in current if tag.price.currency), next(iter(current), None))


def title_at(element: Any) -> str | None:
    """The text of an element that is a title by its tag or its name."""
    name = element.get("class")
    is_title = element.tag in _HEADINGS or element.get("itemprop") == "name"
    if not is_title and (name is None or element.tag in _NO_TITLES or not _TITLE.search(name)):
        return None
    text = text_of(element)
    return text if text and len(text) <= _LONGEST_TITLE and not looks_like_price(text) else None


def own_price(page: Page, elsewhere: Collection[Any]) -> PriceTag | None:
    """The page's own price. `elsewhere`: elements that belong to other pages."""
    tags: list[PriceTag] = []
    for element in page.find(_MAY_HOLD_PRICE)[:_MOST_ELEMENTS]:
        tag = price_tag(element) if element not in elsewhere else None
        if tag is not None:
            tags.append(tag)
            if len(tags) >= _MOST_PRICES:
                break
    return price_now(tags)


def own_title(page: Page, price: PriceTag | None, elsewhere: Collection[Any]) -> str | None:
    """The page's own title: its `<h1>`, unless that is the shop's name; else the title nearest to its price; else what
    `<title>` says before the shop's name."""
    parts = _SEPARATOR.split(page.title or "")
    for element in page.find("//h1")[:5]:
        text = text_of(element)
        within = any(ancestor.tag in FURNITURE for ancestor in element.iterancestors())
        if text and not within and not (len(parts) > 1 and text == parts[-1]):
            return text
    for ancestor in islice(price.element.iterancestors(), _NEAR) if price else ():
        for element in islice(ancestor.iterdescendants(), _MOST_ELEMENTS):
            title = title_at(element) if isinstance(element.tag, str) and element not in elsewhere else None
            if title and element.tag in _HEADINGS:
                return title
    return parts[0] or None


def _is_in_parts(element: Any) -> bool:
    """Whether numbers stand beside elements: `<ins><i>$</i>79.00</ins>`."""
    if not 0 < len(element) <= 3:
        return False
    loose = f"{element.text or ''}{''.join(child.tail or '' for child in element)}"
    return len(loose) <= _LONGEST_PRICE and any(character.isdigit() for character in loose)


def _is_struck(element: Any) -> bool:
    if element.tag in _STRUCK or "line-through" in (element.get("style") or ""):
        return True
    return _FORMER.search(element.get("class") or "") is not None
