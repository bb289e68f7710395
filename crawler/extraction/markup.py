"""Products as people see them: images, and the text that stands in one card with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

from crawler.extraction.found import LeftOut, Rule
from crawler.extraction.images import is_picture_name, read_image
from crawler.extraction.junk import unfit
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import Price, looks_like_price
from crawler.extraction.tags import FURNITURE, PriceTag, own_price, own_title, price_now, price_tag, title_at
from crawler.extraction.variants import Variant

_MOST_IMAGES = 3_000
_HIGHEST_CLIMB = 12
"""How far above its image a card may begin, in elements."""
_LARGEST_CARD = 400
"""In elements."""
_BREADCRUMB = (
    "//*[contains(translate(@class, 'BCRUMDPATHLON', 'bcrumdpathlon'), 'breadcrumb') "
    "or contains(translate(@aria-label, 'BCRUMD', 'bcrumd'), 'breadcrumb')][1]"
)
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
    elements = page.find("//img | //amp-img | //input[@type='image']")
    for image in elements[_MOST_IMAGES:]:
        page.left_out[image.get("src") or ""] = LeftOut.TOO_MANY
    images = [(image, *read) for image in elements[:_MOST_IMAGES] if (read := read_image(page, image))[1]]
    owners = _owners(page, [(image, variants[0].url) for image, _, variants in images])
    roots = [_card_root(image, owners) for image, _, _ in images]
    cards = {root: _Card(page, root, owners.get(root)) for root in dict.fromkeys(roots)}
    elsewhere = {element for root, card in cards.items() if card.link for element in root.iter()}
    price = own_price(page, elsewhere)
    title = own_title(page, price, elsewhere)
    sights = []
    for (image, rule, variants), root in zip(images, roots, strict=True):
        card = cards[root]
        furniture = any(ancestor.tag in FURNITURE for ancestor in image.iterancestors())
        doubt = unfit(image, variants[0].url, f"{title} {card.title}")
        sights.append(
            Sight(rule, variants, tidy(image.get("alt")), card.link, card.title, card.price, furniture, doubt)
        )
    return Shown(sights, title, price.price if price else None, _breadcrumb(page))


class _Card:
    """The part of a page that belongs to one product: the link, the title and the price that stand with an image."""

    def __init__(self, page: Page, root: Any, owner: object) -> None:
        self.link: str | None = owner if isinstance(owner, str) else None
        self.title: str | None = None
        self.price: Price | None = None
        link_title: str | None = None
        first: str | None = None
        texts: list[str] = []
        tags: list[PriceTag] = []
        for element in _within(root):
            if element.tag == "a":
                link = _page_link(page, element)
                first = first or link
                if link and link == (self.link or first):
                    link_title = link_title or tidy(element.get("title"))
                    texts.append(text_of(element) or "")
            self.title = self.title or title_at(element)
            tag = price_tag(element)
            if tag is not None:
                tags.append(tag)
        self.title = self.title or link_title or _longest(texts)
        now = price_now(tags)
        self.price = now.price if now else None
        if self.link is None and self.price is not None:
            # The image stands beside the link. Without a price it may be any link.
            self.link = first


def _owners(page: Page, images: list[tuple[Any, str]]) -> dict[Any, object]:
    """Of each image what it leads to (itself if nowhere), and of each element around images the same if all agree.

    Elements around the page's only `<h1>` are the page's own, no card. Icons and the like that lead nowhere have no
    say: they are in every card.
    """
    headings = page.find("//h1")
    own = set(headings[0].iterancestors()) if len(headings) == 1 else set()
    owners: dict[Any, object] = {}
    for image, url in images:
        link = _leads_to(page, image)
        if link is None and unfit(image, url, ""):
            continue
        owner: object = link or image
        owners[image] = owner
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
    for ancestor in image.iterancestors() if image in owners else ():
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


def _longest(texts: list[str]) -> str | None:
    kept = [tidy(text) for text in texts if not looks_like_price(text)]
    return max((text for text in kept if text), key=len, default=None)


def _breadcrumb(page: Page) -> tuple[str, ...]:
    if not (page.has("readcrumb") or page.has("READCRUMB")):
        return ()
    for element in page.find(_BREADCRUMB)[:1]:
        parts = element.xpath(".//li") or element.xpath(".//a | .//span[not(.//a)]")
        trail = [text for part in parts[:20] if (text := text_of(part))]
        return tuple(text.strip("›>/» ") for text in trail if text.strip("›>/» "))
    return ()
