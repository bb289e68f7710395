"""Decides by the markup of a page whether the page is about one product."""

from __future__ import annotations

from crawler.extraction.markup import PageMarkup
from crawler.extraction.page import Page
from crawler.extraction.page_text import PageText
from crawler.extraction.product_data import ProductData

_LIST_MIN_CARDS = 6
"""A page with this number of priced cards is a list, unless it has a price or a button of its own."""
_MAX_GALLERY = 40
"""Maximum number of pictures of a product page without a price."""


def shows_one_product(page: Page, visible: PageMarkup, *, from_listing: bool) -> bool:
    """Return whether the markup says that the page is about one product.

    The signs are a button to buy or a price beside the heading and outside of cards that link to other pages, or, on a
    page without a price, an article code or words about the stock. A page that says nothing about selling is that of a
    product if a listing's card leads to it, and if it has a heading and pictures that lead nowhere else.
    """
    box = visible.buy_box
    pictures = [image for image in visible.images if not (image.link or image.furniture or image.doubt)]
    if not pictures:
        # Scripts add the pictures later.
        return box.button is not None and box.price_is_certain
    cards = {image.link for image in visible.images if image.link and image.price}
    if box.button is not None and (box.price is not None or box.heading is not None):
        return len(cards) < _LIST_MIN_CARDS or box.price is not None
    if box.price is not None:
        return len(cards) < _LIST_MIN_CARDS or box.price_is_certain or box.price_is_near
    if box.heading is None or len(cards) >= _LIST_MIN_CARDS:
        return False
    if from_listing and _leads_with_pictures(visible):
        return len(pictures) <= _MAX_GALLERY
    text = PageText(page, box)
    facts = ProductData()
    text.add_facts(facts)
    return text.stock() == "OutOfStock" and (facts.sku or facts.brand or facts.mpn or facts.gtin) is not None


def _leads_with_pictures(visible: PageMarkup) -> bool:
    """Return whether the first picture of a page leads to no other page, and few others do."""
    images = [image for image in visible.images if not (image.furniture or image.doubt)]
    return images[0].link is None and len({image.link for image in images if image.link}) < _LIST_MIN_CARDS
