"""Decides which of the products in a page's data is the one that the page is about."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from crawler.extraction.product_data import ProductData
from crawler.urls import canonical_or_same

_WORD = re.compile(r"\w+")
_VARIANT_FIELDS = ("sku", "gtin", "mpn", "color", "size", "material", "availability")


def is_named_by(product: ProductData, headings: Iterable[str]) -> bool:
    """Return whether one of the headings names the product."""
    return product.title is not None and any(_names(product.title, heading) for heading in headings)


def own_products(
    products: list[ProductData], url: str, own_urls: Collection[str], headings: Iterable[str]
) -> list[ProductData]:
    """Return the products of one rule that are the page's own: one product, or the variants of one product.

    The list is empty if the page is not about one of them. A product without a URL, or with a URL of the page, is its
    own if there is no other. Otherwise the title decides, because many shops give their recommendations no URL, and
    their variants URLs that differ from the address.

    Args:
        url: the address of the page.
        own_urls: the canonical forms of the address and of the page's canonical link.
        headings: the texts that name the subject of the page.
    """
    own = [product for product in products if product.url is None or canonical_or_same(product.url) in own_urls]
    if len({product.title for product in own}) != 1:
        named = [product for product in products if is_named_by(product, headings)]
        of_page = [product for product in named if product in own]
        own = of_page or named
        if len({product.title for product in own}) > 1:
            own = [product for product in own if product.title == own[0].title]
    exact = [product for product in own if product.url and canonical_or_same(product.url) == canonical_or_same(url)]
    if len(exact) == 1 and any(getattr(exact[0], name) for name in _VARIANT_FIELDS[:3]):
        others = [product for product in own if product is not exact[0]]
        for product in others:
            _forget(product, _VARIANT_FIELDS)
        return exact + others
    _forget_differences(own)
    return own


def _names(title: str, heading: str) -> bool:
    """Return whether a heading names a product: it has most of the title's words, and few others."""
    title_words, heading_words = (set(_WORD.findall(text.casefold())) for text in (title, heading))
    if not title_words or not heading_words:
        return False
    shared = len(title_words & heading_words)
    return shared >= 0.8 * len(title_words) and shared >= 0.5 * len(heading_words)


def _forget_differences(variants: list[ProductData]) -> None:
    """Remove the fields in which the variants of one product differ, because the page is about all of them."""
    for name in _VARIANT_FIELDS:
        values = {value for variant in variants if (value := getattr(variant, name)) is not None}
        if name == "availability" and "InStock" in values:
            for variant in variants:
                variant.availability = "InStock"
        elif len(values) > 1:
            for variant in variants:
                _forget(variant, [name])


def _forget(product: ProductData, names: Iterable[str]) -> None:
    for name in names:
        setattr(product, name, None)
