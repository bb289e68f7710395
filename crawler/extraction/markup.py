"""Finds products in the markup of a page: images, and the texts that are in the same card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any
from urllib.parse import urlsplit

from crawler.extraction.buy_box import BuyBox, headings_outside_links, named_like_page
from crawler.extraction.found import LeftOut, Rule
from crawler.extraction.images import image_elements, is_picture_name, read_image
from crawler.extraction.junk import reason_unfit
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import Price, looks_like_price
from crawler.extraction.tags import PriceTag, in_frame, price_now, price_tag, title_at
from crawler.extraction.variants import Variant

_MAX_IMAGES = 3_000
_MAX_CARD_DEPTH = 12
"""Maximum number of elements between an image and the root of its card."""
_MAX_CARD_ELEMENTS = 400
"""Maximum number of elements of a card that are read."""
_BREADCRUMB = (
    "//*[contains(translate(@class, 'BCRUMDPATHLON', 'bcrumdpathlon'), 'breadcrumb') "
    "or contains(translate(@aria-label, 'BCRUMD', 'bcrumd'), 'breadcrumb')][1]"
)
_SEVERAL_OWNERS = object()


@dataclass(slots=True)
class PageImage:
    """An image of a page, and the data in its card."""

    rule: Rule
    variants: list[Variant]
    """The files of the image, the largest first."""
    alt: str | None
    link: str | None
    """The other page of the shop to which the card links."""
    title: str | None
    price: Price | None
    furniture: bool
    """Whether the image is in a header, footer or menu."""
    doubt: LeftOut | None
    """The reason why the image does not look like a picture of a product, or None."""


@dataclass(frozen=True, slots=True)
class PageMarkup:
    """The images of a page, and the part that sells its product, if there is one."""

    images: list[PageImage]
    buy_box: BuyBox
    breadcrumb: tuple[str, ...]

    @property
    def has_priced_cards(self) -> bool:
        return any(image.price and image.link for image in self.images)


def read_markup(page: Page) -> PageMarkup:
    """Return the images of a page with the texts around them."""
    elements = image_elements(page)
    for image in elements[_MAX_IMAGES:]:
        page.left_out[image.get("src") or ""] = LeftOut.TOO_MANY
    images = [(image, *read) for image in elements[:_MAX_IMAGES] if (read := read_image(page, image))[1]]
    owners = _owners(page, [(image, variants[0].url) for image, _, variants in images])
    roots = [_card_root(image, owners) for image, _, _ in images]
    cards = {root: _Card(page, root, owners.get(root)) for root in dict.fromkeys(roots)}
    other_pages = _other_pages(cards)
    buy_box = BuyBox(page, other_pages)
    page_images = []
    for (image, rule, variants), root in zip(images, roots, strict=True):
        card = cards[root]
        furniture = in_frame(image)
        doubt = reason_unfit(image, variants[0].url, f"{buy_box.heading} {card.title}")
        page_images.append(
            PageImage(
                rule,
                variants,
                tidy(image.get("alt") or image.get("aria-label")),
                card.link,
                card.title,
                card.price,
                furniture,
                doubt,
            )
        )
    return PageMarkup(page_images, buy_box, _breadcrumb(page))


def _other_pages(cards: dict[Any, _Card]) -> set[Any]:
    """Return the elements of all cards that link to other pages.

    A card has others like it beside it or elsewhere on the page. A link without others, such as the logo of the maker
    beside the price, does not own what is around it.
    """
    linked = [root for root, card in cards.items() if card.link]
    kinds = Counter((root.tag, root.get("class")) for root in linked) + Counter(root.getparent() for root in linked)
    found = set()
    for root in linked:
        is_one_of_several = kinds[root.tag, root.get("class")] > 1 or kinds[root.getparent()] > 1
        own = [root] if is_one_of_several else root.iter("a")
        found |= {element for part in own for element in part.iter()}
    return found


class _Card:
    """The part of a page that belongs to one product, with the link, the title and the price next to its image."""

    def __init__(self, page: Page, root: Any, owner: object) -> None:
        self.link: str | None = owner if isinstance(owner, str) else None
        self.title: str | None = None
        self.price: Price | None = None
        link_title: str | None = None
        first: str | None = None
        texts: list[str] = []
        tags: list[PriceTag] = []
        for element in _elements_of_card(root):
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
            # The image is next to the link. Without a price, the link could lead anywhere.
            self.link = first


def _owners(page: Page, images: list[tuple[Any, str]]) -> dict[Any, object]:
    """Return an owner for each image and for the elements around it.

    The owner of an image is the URL to which it links, or the image itself. An element has the owner of its images if
    all of them have the same one. Elements around the page's own `<h1>` belong to the page and not to a card. Icons
    without a link are ignored, because every card has them.
    """
    headings = headings_outside_links(page)
    heading = headings[0] if len(headings) == 1 else named_like_page(page, headings)
    own = set(heading.iterancestors()) if heading is not None else set()
    owners: dict[Any, object] = {}
    for image, url in images:
        link = _link_of(page, image)
        if link is None and reason_unfit(image, url, ""):
            continue
        owner: object = link or image
        owners[image] = owner
        for ancestor in islice(image.iterancestors(), _MAX_CARD_DEPTH):
            if ancestor.tag in {"body", "html", "main"} or ancestor in own:
                break
            owners[ancestor] = owner if owners.get(ancestor, owner) == owner else _SEVERAL_OWNERS
    return owners


def _link_of(page: Page, image: Any) -> str | None:
    """Return the page to which an image links.

    The link is around the image, or around another image directly beside it: some shops show a second picture while the
    pointer is on the first one.
    """
    anchor = next((ancestor for ancestor in image.iterancestors() if ancestor.tag == "a"), None)
    if anchor is not None:
        return _page_link(page, anchor)
    node = image
    while node.getparent() is not None and node.getparent().tag in {"picture", "source", "noscript"}:
        node = node.getparent()
    beside = chain(islice(node.itersiblings(), 3), islice(node.itersiblings(preceding=True), 3))
    links = {_page_link(page, link) for link in beside if link.tag == "a" and link.find(".//img") is not None}
    return links.pop() if len(links) == 1 else None


def _card_root(image: Any, owners: dict[Any, object]) -> Any:
    """Return the highest element around an image in which no image links to another page."""
    root = image
    for ancestor in image.iterancestors() if image in owners else ():
        if owners.get(ancestor, _SEVERAL_OWNERS) is _SEVERAL_OWNERS:
            break
        root = ancestor
    return root


def _elements_of_card(root: Any) -> Iterator[Any]:
    for count, element in enumerate(root.iter()):
        if count >= _MAX_CARD_ELEMENTS:
            return
        if isinstance(element.tag, str):
            yield element


def _page_link(page: Page, anchor: Any) -> str | None:
    """Return the URL of a link if it leads to another page of the same host, or None."""
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
