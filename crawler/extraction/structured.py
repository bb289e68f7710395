"""Reads the structured data of a page: JSON-LD, microdata and Open Graph. A broken block does not affect the others."""

from __future__ import annotations

from typing import Any

from crawler.extraction import lenient_json
from crawler.extraction.images import variants_of_image
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import Price, read_price
from crawler.extraction.products import Product, StructuredData, read_schema_org
from crawler.extraction.variants import Variant

_MAX_BLOCKS = 200
_MAX_PROPERTIES = 5_000
_REFERENCE_ATTRIBUTES = {"a": "href", "area": "href", "link": "href", "object": "data"} | dict.fromkeys(
    ["audio", "embed", "iframe", "source", "track", "video"], "src"
)


def json_ld(page: Page) -> StructuredData:
    """Read schema.org data in `<script type="application/ld+json">`."""
    if not page.has("ld+json"):
        return StructuredData([])
    scripts = page.find("//script[contains(@type, 'ld+json')]")[:_MAX_BLOCKS]
    roots = [lenient_json.read(script.text or "") for script in scripts]
    return read_schema_org(page, [root for root in roots if root is not None])


def microdata(page: Page) -> StructuredData:
    """Read schema.org data in `itemscope` and `itemprop`."""
    if not page.has("itemprop"):
        return StructuredData([])
    nodes: dict[Any, dict[str, Any]] = {}
    roots = []
    for scope in page.find("//*[@itemscope]")[:_MAX_PROPERTIES]:
        nodes[scope] = {"@type": (scope.get("itemtype") or "").split()}
        if scope.get("itemprop") is None:
            roots.append(nodes[scope])
    nodes_by_itemref = {
        name: nodes[scope] for scope in nodes if scope.get("itemref") for name in scope.get("itemref", "").split()
    }
    for element in page.find("//*[@itemprop]")[:_MAX_PROPERTIES]:
        owner = _owner(element, nodes, nodes_by_itemref)
        if owner is None:
            continue
        value = nodes[element] if element in nodes else _value(page, element)
        for name in element.get("itemprop").split():
            owner.setdefault(name, []).append(value)
    return read_schema_org(page, roots)


def open_graph(page: Page) -> tuple[Product, bool] | None:
    """Return the product in the Open Graph data, and whether the data itself says that it is a product."""
    if not (page.has("og:") or page.has("twitter:")):
        return None
    metas: dict[str, list[str]] = {}
    for meta in page.find("//meta[@content][@property or @name]"):
        name = (meta.get("property") or meta.get("name")).lower()
        metas.setdefault(name, []).append(meta.get("content"))
    price = _first_price(metas)
    certain = price is not None or any("product" in kind.lower() for kind in metas.get("og:type", []))
    title, category = _first_value(metas, "og:title"), _first_value(metas, "product:category")
    product = Product(title=tidy(title), price=price, category=tidy(category))
    widths = metas.get("og:image:width", [])
    for index, reference in enumerate(
        metas.get("og:image") or metas.get("og:image:url") or metas.get("twitter:image", [])
    ):
        url = page.picture(reference)
        if url:
            width = widths[index] if index < len(widths) else ""
            product.pictures.append([Variant(url, float(width) if width.isdecimal() and len(width) < 6 else 0.0)])
    alt = tidy(_first_value(metas, "og:image:alt"))
    if alt and product.pictures:
        product.alts[product.pictures[0][0].url] = alt
    return (product, certain) if product.pictures or certain else None


def _owner(
    element: Any, nodes: dict[Any, dict[str, Any]], nodes_by_itemref: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    name = element.get("id")
    if name in nodes_by_itemref:
        return nodes_by_itemref[name]
    for ancestor in element.iterancestors():
        if ancestor in nodes:
            return nodes[ancestor]
        if nodes_by_itemref and ancestor.get("id") in nodes_by_itemref:
            return nodes_by_itemref[ancestor.get("id")]
    return None


def _value(page: Page, element: Any) -> Any:
    """Return the value of a property as in the HTML standard, or `content`, which shops use on any element."""
    content = element.get("content")
    if content is not None:
        return content
    tag = element.tag
    if tag == "img":
        return [variant.url for variant in variants_of_image(page, element)[:1]]
    if tag in _REFERENCE_ATTRIBUTES:
        return element.get(_REFERENCE_ATTRIBUTES[tag]) or ""
    if tag in {"data", "meter"}:
        return element.get("value") or ""
    if tag == "time":
        return element.get("datetime") or ""
    return text_of(element) or ""


def _first_price(metas: dict[str, list[str]]) -> Price | None:
    for prefix in ("product:sale_price", "product:price", "og:price"):
        price = read_price(_first_value(metas, f"{prefix}:amount"), _first_value(metas, f"{prefix}:currency"))
        if price:
            return price
    return None


def _first_value(metas: dict[str, list[str]], name: str) -> str | None:
    return next(iter(metas.get(name, [])), None)
