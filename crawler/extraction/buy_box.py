"""Finds the part of a page that sells its product: the heading, the price beside the button to buy, and the button."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from crawler.extraction.page import Page, text_of
from crawler.extraction.prices import Price
from crawler.extraction.shop_words import BUY, VIEW_CART
from crawler.extraction.tags import HEADINGS, MAY_HOLD_PRICE, PriceTag, in_frame, price_now, price_tag, title_at

_BUTTONS = "//*[self::button or self::a or @role='button' or self::input[@type!='hidden' and @type!='text']]"
_LEADS_AWAY = re.compile(r"(?!.*(?:cart|basket|add|buy|order|kauf|kup|koszyk|panier|carr|korb))[^#\s]", re.I | re.S)
"""Matches the address of a link that is no button: it leads to another page, which is not that of the cart."""
_BUTTON_NAME = re.compile(r"btn|button|cart|basket|buy|order", re.I)
_MAX_BUTTON = 40
"""Maximum number of characters of the words of a button."""
_MAX_TAGS, _MAX_HEADINGS, _MAX_BUTTONS = 200, 30, 2_000
_MAX_ELEMENTS = 5_000
_NEAR = 400
"""Maximum number of elements between the heading and a price or button that belongs to it."""
_MAX_DISTANCE = 6
"""Maximum number of elements above a price in which the title of its product is searched."""
_SEPARATOR = re.compile(r"\s+[-–—|:·]\s+")
_WORD = re.compile(r"\w+")
_LOWER_HEADINGS = "//h2 | //h3 | //*[contains(@class, 'title') or contains(@class, 'name')][not(ancestor::a)]"
_MAX_LOWER_HEADINGS = 200
_META_TITLE = "string(//meta[@property='og:title']/@content)"


@dataclass(frozen=True, slots=True)
class Place:
    """An element and its position in the order of the page."""

    element: Any
    position: int


class BuyBox:
    """The heading of a page, and the price and the button that belong to it."""

    def __init__(self, page: Page, other_pages: Collection[Any]) -> None:
        """`other_pages`: the elements in cards that link to other pages."""
        self._page = page
        self._other_pages = other_pages
        heading = self._find_heading()
        self.button = self._find_button(heading)
        """The button to buy, or None."""
        tags = self._price_tags()
        tag = self._nearest(tags, heading)
        self.price: Price | None = tag.price if tag else None
        self.price_is_certain = False
        """Whether the price is beside the heading or the button, and no other current price is there."""
        self.price_is_near = False
        """Whether the price follows the heading closely."""
        self.list_price: Price | None = None
        if tag is not None:
            self._compare(tag, tags, heading)
        self.heading: str | None = text_of(heading.element) if heading else self._title_near(tag)
        self.start = heading.position if heading else (self.positions[tag.element] if tag else 0)
        """The position of the heading, or of the price if there is no heading."""
        ends = [
            self.start,
            *([self.positions[tag.element]] if tag else []),
            *([self.button.position] if self.button else []),
        ]
        self.end = max(ends)
        """The last position of heading, price and button."""

    @cached_property
    def positions(self) -> dict[Any, int]:
        """Element → its position in the order of the page."""
        return {element: position for position, element in enumerate(self._page.tree.iter())}

    def is_own(self, element: Any) -> bool:
        """Return whether an element belongs neither to the card of another product nor to the frame of the site."""
        return element not in self._other_pages and not in_frame(element)

    def _find_heading(self) -> Place | None:
        """Return the `<h1>` that repeats the title of the page, or the first one, or a heading of another level."""
        page = self._page
        parts = _SEPARATOR.split(page.title or "")
        found = [
            (element, text)
            for element in headings_outside_links(page)
            if self.is_own(element) and (text := text_of(element)) and not (len(parts) > 1 and text == parts[-1])
        ]
        if len(found) == 1:
            return Place(found[0][0], self.positions[found[0][0]])
        if not found:
            element = named_like_page(page, filter(self.is_own, page.find(_LOWER_HEADINGS)[:_MAX_LOWER_HEADINGS]))
        else:
            # Several first-level headings without the title of the page are those of its menus.
            element = named_like_page(page, (element for element, _ in found))
        return Place(element, self.positions[element]) if element is not None else None

    def _find_button(self, heading: Place | None) -> Place | None:
        """Return the button to buy that is nearest to the heading."""
        start = heading.position if heading else 0
        places = (Place(element, self.positions[element]) for element in self._page.find(_BUTTONS)[:_MAX_BUTTONS])
        buttons = [
            place
            for place in places
            if abs(place.position - start) <= _NEAR * 3 and _is_buy_button(place.element) and self.is_own(place.element)
        ]
        return min(buttons, key=lambda place: _distance(place.position, start), default=None)

    def _price_tags(self) -> list[PriceTag]:
        tags = []
        for element in self._page.find(MAY_HOLD_PRICE):
            tag = price_tag(element) if self.is_own(element) else None
            if tag is not None:
                tags.append(tag)
                if len(tags) >= _MAX_TAGS:
                    break
        return tags

    def _nearest(self, tags: list[PriceTag], heading: Place | None) -> PriceTag | None:
        """Return the current price that is nearest to the heading or to the button."""
        if heading is None and self.button is None:
            return price_now(tags[:8])
        usable = [tag for tag in tags if not (tag.is_former or tag.is_other)]
        usable = usable or [tag for tag in tags if not tag.is_other]
        # A price far above the heading belongs to an advertisement. That of the button can be in a column of its own.
        starts = [heading.position - _NEAR / 4] if heading else []
        ends = [heading.position + _NEAR] if heading else []
        if self.button is not None:
            starts.append(self.button.position - _NEAR)
            ends.append(self.button.position + _NEAR)
        usable = [tag for tag in usable if min(starts) <= self.positions[tag.element] <= max(ends)]
        return min(usable, key=lambda tag: self._rank(tag, heading), default=None)

    def _rank(self, tag: PriceTag, heading: Place | None) -> float:
        """Return a rank that is low for a price near the heading or button with signs that it is the price."""
        position = self.positions[tag.element]
        in_link = any(ancestor.tag == "a" for ancestor in islice(tag.element.iterancestors(), 4))
        bonus = 30 * tag.confidence - 60 * in_link
        distances = [_distance(position, heading.position)] if heading else []
        if self.button is not None:
            if heading is not None and heading.position < position < self.button.position:
                return distances[0] / 10 - bonus
            # The price is above the button.
            distances.append(_distance(self.button.position, position))
        return min(distances) - bonus

    def _compare(self, tag: PriceTag, tags: list[PriceTag], heading: Place | None) -> None:
        """Compare the chosen price with the others around it."""
        position = self.positions[tag.element]
        around = [other for other in tags if abs(self.positions[other.element] - position) <= _NEAR / 8]
        current = {other.price.amount for other in around if not (other.is_former or other.is_other)}
        anchors = [place.position for place in (heading, self.button) if place is not None]
        near = any(abs(position - anchor) <= _NEAR for anchor in anchors)
        self.price_is_certain = near and len(current) == 1 and tag.confidence >= 2
        distance = position - heading.position if heading is not None else 0
        self.price_is_near = 0 < distance <= _NEAR / 2 and tag.confidence >= 2
        former = [other.price for other in around if other.is_former and other.price.amount > tag.price.amount]
        self.list_price = min(former, key=lambda price: price.amount, default=None)

    def _title_near(self, tag: PriceTag | None) -> str | None:
        """Return the title nearest to the price, or the part of `<title>` before the name of the shop."""
        for ancestor in islice(tag.element.iterancestors(), _MAX_DISTANCE) if tag else ():
            for element in islice(ancestor.iterdescendants(), _MAX_ELEMENTS):
                title = title_at(element) if isinstance(element.tag, str) and self.is_own(element) else None
                if title and element.tag in HEADINGS:
                    return title
        return _SEPARATOR.split(self._page.title or "")[0] or None


def headings_outside_links(page: Page) -> list[Any]:
    """Return the first `<h1>` elements of a page, without those that name the target of a link."""
    return page.find("//h1[not(ancestor::a[@href])]")[:_MAX_HEADINGS]


def named_like_page(page: Page, elements: Iterable[Any]) -> Any | None:
    """Return the element whose text repeats most of the page's title, or None if none has half of its own words."""
    titles = f"{page.title or ''} {page.first(_META_TITLE)}"
    words = set(_WORD.findall(titles.casefold()))
    best, most = None, 0
    for element in elements:
        own = set(_WORD.findall((text_of(element) or "").casefold()))
        shared = len(own & words)
        if shared > most and shared * 2 >= len(own):
            best, most = element, shared
    return best


def _distance(position: int, before: int) -> float:
    """Return the number of elements between two positions. The wrong order costs three times as much."""
    return position - before if position >= before else 3.0 * (before - position)


def _is_buy_button(element: Any) -> bool:
    if element.tag == "a" and _LEADS_AWAY.match(element.get("href") or "") and not _BUTTON_NAME.search(_names(element)):
        return False
    words = text_of(element) or element.get("value") or element.get("alt") or element.get("aria-label") or ""
    if len(words) > _MAX_BUTTON or VIEW_CART.search(words):
        return False
    return BUY.search(words.strip()) is not None or BUY.search(_names(element)) is not None


def _names(element: Any) -> str:
    return f"{element.get('id') or ''} {element.get('class') or ''}"
