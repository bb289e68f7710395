"""Answers about products: what a shop says about what it sells."""

from __future__ import annotations

from dataclasses import dataclass

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Answer):
    """A product, as the source of the picture describes it."""

    product_id: str | None
    """The same for all pictures of the product in the job."""
    sku: str | None
    gtin: str | None
    mpn: str | None
    variant_of: str | None
    brand: str | None
    title: str | None
    price: str | None
    list_price: str | None
    """The price before a reduction."""
    currency: str | None
    availability: str | None
    """The short name of schema.org, such as `InStock`."""
    color: str | None
    size: str | None
    material: str | None
    category: str | None
    breadcrumb: list[str]
    url: str | None
    """The page of the product."""
    description: str | None
    sources: dict[str, str]
    """Field -> the rule that found it on the page."""
