"""Reads the product in the meta tags of a page: Open Graph, with the `product:` tags of catalogs, and Twitter cards."""

from __future__ import annotations

from crawler.extraction.page import Page, tidy
from crawler.extraction.prices import Price, read_price
from crawler.extraction.product_data import (
    ProductData,
    read_availability,
    read_code,
    read_description,
    read_gtin,
    read_name,
)
from crawler.extraction.variants import Variant

_CURRENT = ("product:sale_price", "product:price", "og:price")
_FORMER = ("product:original_price", "product:price", "og:standard_price")
_GTINS = ("product:gtin", "product:ean", "product:upc", "product:isbn", "og:upc", "og:ean", "og:isbn", "books:isbn")


def open_graph(page: Page) -> tuple[ProductData, bool] | None:
    """Return the product in the meta tags, and whether they themselves say that the page shows a product."""
    if not (page.has("og:") or page.has("twitter:") or page.has("product:")):
        return None
    metas: dict[str, list[str]] = {}
    for meta in page.find("//meta[@content][@property or @name]"):
        name = (meta.get("property") or meta.get("name") or "").lower()
        metas.setdefault(name, []).append(meta.get("content"))
    price = _first_price(metas, _CURRENT)
    certain = price is not None or any("product" in kind.lower() for kind in metas.get("og:type", []))
    product = ProductData(title=tidy(_first(metas, "og:title")), price=price)
    product.category = tidy(_first(metas, "product:category"))
    former = _first_price(metas, _FORMER)
    product.list_price = former if former and price and former.amount > price.amount else None
    product.brand = read_name(_first(metas, "product:brand", "og:brand"))
    product.sku = read_code(_first(metas, "product:retailer_item_id", "product:sku", "og:sku"))
    product.mpn = read_code(_first(metas, "product:mfr_part_no", "product:mpn"))
    product.gtin = next((gtin for name in _GTINS if (gtin := read_gtin(_first(metas, name)))), None)
    product.availability = read_availability(_first(metas, "product:availability", "og:availability"))
    product.color = read_name(_first(metas, "product:color"))
    product.size = read_name(_first(metas, "product:size"))
    product.material = read_name(_first(metas, "product:material"))
    product.variant_of = read_code(_first(metas, "product:item_group_id"))
    product.description = read_description(_first(metas, "og:description", "description", "twitter:description"))
    _add_pictures(page, product, metas)
    return (product, certain) if product.pictures or certain else None


def _add_pictures(page: Page, product: ProductData, metas: dict[str, list[str]]) -> None:
    widths = metas.get("og:image:width", [])
    references = metas.get("og:image") or metas.get("og:image:url") or metas.get("twitter:image", [])
    for index, reference in enumerate(references):
        url = page.picture(reference)
        if url:
            width = widths[index] if index < len(widths) else ""
            product.pictures.append([Variant(url, float(width) if width.isdecimal() and len(width) < 6 else 0.0)])
    alt = tidy(_first(metas, "og:image:alt"))
    if alt and product.pictures:
        product.alts[product.pictures[0][0].url] = alt


def _first_price(metas: dict[str, list[str]], prefixes: tuple[str, ...]) -> Price | None:
    currency = _first(metas, "product:price:currency", "og:price:currency")
    for prefix in prefixes:
        amount = _first(metas, f"{prefix}:amount", prefix)
        price = read_price(amount, _first(metas, f"{prefix}:currency") or currency)
        if price:
            return price
    return None


def _first(metas: dict[str, list[str]], *names: str) -> str | None:
    """Return the value of the first of these tags that is not empty."""
    return next((value for name in names for value in metas.get(name, []) if value.strip()), None)
