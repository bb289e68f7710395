"""Products as people see them: images, and the text that stands in one card with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

from crawler.extraction.found import LeftOut, Rule
from crawler.extraction.images import is_picture_name, read_image
from crawler.extraction.junk import unfit
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import Price, looks_like_price, read_price
from crawler.extraction.variants import Variant
from crawler.words import words

_MOST_IMAGES = 2_000
_HIGHEST_CLIMB = 12
"""How far above its image a card may begin, in elements."""
_LARGEST_CARD = 400
"""In elements."""
_FURNITURE = frozenset({"header", "footer", "nav", "aside"})
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
_BREADCRUMB = (
    "//*[contains(translate(@class, 'BCRUMDPATHLON', 'bcrumdpathlon'), 'breadcrumb') "
    "or contains(translate(@aria-label, 'BCRUMD', 'bcrumd'), 'breadcrumb')][1]"
)
_MAY_HOLD_PRICE = (
    "//*["
    + " or ".join(f"self::{tag}" for tag in words("span p div strong b em ins del s strike td dd li bdi data"))
    + "]"
)
_MOST_ELEMENTS = 5_000
_MANY = object()


@dataclass(slots=True)
class Sight:
    """An image of a page, and what stands with it."""

    rule: Rule
    variants: list[Variant]
    """The largest first."""
    alt: str | None
    link: str | None
    """Another page of the shop that its card leads to."""
    title: str | None
    price: Price | None
    furniture: bool
    """In a header, footer or menu."""
    doubt: LeftOut | None
    """Why its looks speak against it, where nothing speaks for it."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page shows, and its own heading and price, which are those of a product if it is a product's page."""

    sights: list[Sight]
    heading: str | None
    price: Price | None
    breadcrumb: tuple[str, ...]

    @property
    def has_priced_cards(self) -> bool:
        return any(sight.price and sight.link for sight in self.sights)


def markup(page: Page) -> Shown:
    """Everything that a person would see of the page's pictures."""
    images = []
    for image in page.find("//img | //amp-img | //input[@type='image']"):
        rule, variants = read_image(page, image)
        if variants:
            images.append((image, rule, variants))
    for _, _, variants in images[_MOST_IMAGES:]:
        page.left_out[variants[0].url] = LeftOut.TOO_MANY
    images = images[:_MOST_IMAGES]
    owners = _owners(page, [image for image, _, _ in images])
    roots = [_card_root(image, owners) for image, _, _ in images]
    cards = {root: _Card(page, root, owners[root]) for root in dict.fromkeys(roots)}
    heading = next((text for element in page.find("//h1")[:5] if (text := text_of(element))), None)
    sights = []
    for (image, rule, variants), root in zip(images, roots, strict=True):
        card = cards[root]
        furniture = any(ancestor.tag in _FURNITURE for ancestor in image.iterancestors())
        doubt = unfit(image, variants[0].url, f"{heading} {card.title}")
        sights.append(
            Sight(rule, variants, tidy(image.get("alt")), card.link, card.title, card.price, furniture, doubt)
        )
    return Shown(sights, heading, _own_price(page, cards), _breadcrumb(page))


class _Card:
    """The part of a page that belongs to one product: the link, the title and the price that stand with an image."""

    def __init__(self, page: Page, root: Any, owner: object) -> None:
        self.link: str | None = owner if isinstance(owner, str) else None
        self.title: str | None = None
        self.price: Price | None = None
        link_title: str | None = None
        first: str | None = None
        texts: list[str] = []
        prices: list[tuple[bool, Price]] = []
        for element in _within(root):
            if element.tag == "a":
                link = _page_link(page, element)
                first = first or link
                if link and link == (self.link or first):
                    link_title = link_title or tidy(element.get("title"))
                    texts.append(text_of(element) or "")
            if self.title is None and _is_title(element):
                self.title = _title_text(element)
            prices += _prices_at(element)
        self.title = self.title or link_title or _longest(texts)
        self.price = _now(prices)
        if self.link is None and self.price is not None:
            # The image stands beside the link. Without a price it may be any link.
            self.link = first


def _owners(page: Page, images: list[Any]) -> dict[Any, object]:
    """Of each image what it leads to (itself if nowhere), and of each element around images the same if all agree.

    Elements around the page's only `<h1>` are the page's own, no card.
    """
    headings = page.find("//h1[1]") if len(page.find("//h1")) == 1 else []
    own = {ancestor for heading in headings for ancestor in heading.iterancestors()}
    owners: dict[Any, object] = {image: _leads_to(page, image) or image for image in images}
    for image in images:
        owner = owners[image]
        for ancestor in islice(image.iterancestors(), _HIGHEST_CLIMB):
            if ancestor.tag in {"body", "html", "main"} or ancestor in own:
                break
            owners[ancestor] = owner if owners.get(ancestor, owner) == owner else _MANY
    return owners


def _leads_to(page: Page, image: Any) -> str | None:
    """The page that a link around an image leads to, or one around another image that stands directly beside it, as a
    second picture that appears under the pointer does."""
    anchor = next((ancestor for ancestor in image.iterancestors() if ancestor.tag == "a"), None)
    if anchor is not None:
        return _page_link(page, anchor)
    node = image
    while node.getparent() is not None and node.getparent().tag in {"picture", "source", "noscript"}:
        node = node.getparent()
    beside = chain(islice(node.itersiblings(), 3), islice(node.itersiblings(preceding=True), 3))
    links = {_page_link(page, one) for one in beside if one.tag == "a" and one.find(".//img") is not None}
    return links.pop() if len(links) == 1 else None


def _card_root(image: Any, owners: dict[Any, object]) -> Any:
    """The highest element around the image in which no image leads elsewhere."""
    root = image
    for ancestor in image.iterancestors():
        if owners.get(ancestor, _MANY) is _MANY:
            break
        root = ancestor
    return root


def _within(root: Any) -> Iterator[Any]:
    for count, element in enumerate(root.iter()):
        if count >= _LARGEST_CARD:
            return
        if isinstance(element.tag, str):
            yield element


def _page_link(page: Page, anchor: Any) -> str | None:
    """Where a link leads, if to another page of the same host."""
    href = anchor.get("href")
    if not href or href.startswith("#") or is_picture_name(href):
        return None
    url = page.absolute(href)
    if url is None or url == page.absolute(page.url) or urlsplit(url).netloc != urlsplit(page.url).netloc:
        return None
    return url


def _is_title(element: Any) -> bool:
    if element.tag in _HEADINGS or element.get("itemprop") == "name":
        return True
    name = element.get("class")
    return name is not None and _TITLE.search(name) is not None and element.tag not in {"img", "ul", "ol", "form"}


def _title_text(element: Any) -> str | None:
    text = text_of(element)
    return text if text and len(text) <= 300 and not looks_like_price(text) else None


def _longest(texts: list[str]) -> str | None:
    kept = [tidy(text) for text in texts if not looks_like_price(text)]
    return max((text for text in kept if text), key=len, default=None)


def _prices_at(element: Any) -> list[tuple[bool, Price]]:
    """Prices that an element itself holds: whether it is a former one, and the price."""
    text = element.text
    own = tidy(text) if text else None
    named = _PRICE.search(element.get("class") or "") is not None or element.get("itemprop") == "price"
    if named and (own is None or not looks_like_price(own)):
        # The sign and the number often stand in elements of their own.
        whole = text_of(element)
        own = (
            whole
            if whole and len(whole) <= 40 and not any(_is_struck(part) for part in element.iterdescendants())
            else own
        )
    if own is None or not (looks_like_price(own) or (named and own[:1].isdigit())):
        return []
    price = read_price(element.get("content") if element.get("itemprop") == "price" and element.get("content") else own)
    former = any(_is_struck(part) for part in islice(chain([element], element.iterancestors()), 4))
    return [(former, price)] if price else []


def _is_struck(element: Any) -> bool:
    if element.tag in _STRUCK:
        return True
    return _FORMER.search(element.get("class") or "") is not None


def _now(prices: list[tuple[bool, Price]]) -> Price | None:
    """The price that counts: not a struck one while there is another, and rather one with a currency."""
    current = [price for former, price in prices if not former] or [price for _, price in prices]
    return next((price for price in current if price.currency), next(iter(current), None))


def _own_price(page: Page, cards: dict[Any, _Card]) -> Price | None:
    """The page's own: what stands outside of cards that lead to other pages."""
    elsewhere = {element for root, card in cards.items() if card.link for element in root.iter()}
    prices: list[tuple[bool, Price]] = []
    for element in page.find(_MAY_HOLD_PRICE)[:_MOST_ELEMENTS]:
        if element not in elsewhere:
            prices += _prices_at(element)
            if len(prices) >= 8:
                break
    return _now(prices)


def _breadcrumb(page: Page) -> tuple[str, ...]:
    if not (page.has("readcrumb") or page.has("READCRUMB")):
        return ()
    for element in page.find(_BREADCRUMB)[:1]:
        parts = element.xpath(".//li") or element.xpath(".//a | .//span[not(.//a)]")
        trail = [text for part in parts[:20] if (text := text_of(part))]
        return tuple(text.strip("›>/» ") for text in trail if text.strip("›>/» "))
    return ()
