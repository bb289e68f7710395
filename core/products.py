"""Products: what a shop says about what it sells. An item keeps it as the object `product` of its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

TEXTS = {
    "product_id": 200,
    "sku": 200,
    "gtin": 100,
    "mpn": 200,
    "variant_of": 200,
    "brand": 500,
    "title": 2000,
    "price": 100,
    "list_price": 100,
    "currency": 100,
    "availability": 100,
    "color": 500,
    "size": 500,
    "material": 500,
    "category": 2000,
    "url": 2000,
    "description": 5000,
}
"""The fields that are texts, and the maximum length of each in characters."""
PRICES = ("price", "list_price")
"""The texts that are amounts of `currency`. They may be given as numbers."""
MAX_BREADCRUMB, MAX_CRUMB = 20, 500
"""The longest `breadcrumb`: the number of its texts, and the characters of one of them."""

MAX_PRODUCT_ID = TEXTS["product_id"]
ID_FIELDS = ("variant_of", "sku", "gtin", "mpn", "url")
"""The fields that tie the pictures of one product together if it has no `product_id`: the first one with a value.
Its variants (colours, sizes) may have SKUs of their own, therefore `variant_of` comes before `sku`."""
_DIGEST = 32
"""Hexadecimal digits that stand for the end of an id that is too long."""


def product_id_of(product: Mapping[str, Any] | None) -> str | None:
    """Return the id that all pictures of a product have within one job: the first of the fields that name a product.

    None if no field names it. A title does not, because several products may have it. An id that is too long is
    shortened.
    """
    return shortened_id(
        next((product[name] for name in ("product_id", *ID_FIELDS) if product and product.get(name)), None)
    )


def shortened_id(product_id: str | None) -> str | None:
    """Return a product id with at most `MAX_PRODUCT_ID` characters. A digest replaces the end of a longer one."""
    if product_id is None or len(product_id) <= MAX_PRODUCT_ID:
        return product_id
    digest = hashlib.sha256(product_id.encode()).hexdigest()[:_DIGEST]
    return f"{product_id[: MAX_PRODUCT_ID - _DIGEST - 1]}~{digest}"
