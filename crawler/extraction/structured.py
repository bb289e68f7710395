"""What a page says to machines: JSON-LD, microdata, Open Graph. One that is broken loses only itself."""

from __future__ import annotations

from typing import Any

from crawler.extraction import lenient_json
from crawler.extraction.images import variants_of_image
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import Price, read_price
from crawler.extraction.products import Described, Product, describe
from crawler.extraction.variants import Variant

_MOST_BLOCKS = 200
_MOST_PROPERTIES = 5_000
_REFERENCES = {"a": "href", "area": "href", "link": "href", "object": "data"} | dict.fromkeys(
    ["audio", "embed", "iframe", "source", "track", "video"], "src"
)


def json_ld(page: Page) -> Described:
    """schema.org in `<script type="application/ld+json">`."""
    if not page.has("ld+json"):
        return Described([])
    scripts = page.find("//script[contains(@type, 'ld+json')]")[:_MOST_BLOCKS]
    roots = [lenient_json.read(script.text or "") for script in scripts]
    return describe(page, [root for root in roots if root is not None])


def microdata(page: Page) -> Described:
    """schema.org in `itemscope` and `itemprop`."""
    if not page.has("itemprop"):
        return Described([])
    nodes: dict[Any, dict[str, Any]] = {}
    roots = []
    for scope in page.find("//*[@itemscope]")[:_MOST_PROPERTIES]:
        nodes[scope] = {"@type": (scope.get("itemtype") or "").split()}
        if scope.get("itemprop") is None:
            roots.append(nodes[scope])
    borrowed = {
        name: nodes[scope] for scope in nodes if scope.get("itemref") for name in scope.get("itemref", "").split()
    }
    for element in page.find("//*[@itemprop]")[:_MOST_PROPERTIES]:
        owner = _owner(element, nodes, borrowed)
        if owner is None:
            continue
        value = nodes[element] if element in nodes else _value(page, element)
        for name in element.get("itemprop").split():
            owner.setdefault(name, []).append(value)
    return describe(page, roots)


def open_graph(page: Page) -> tuple[Product, bool] | None:
    """What the page wants to be shared as, and whether it says that this is a product."""
    if not (page.has("og:") or page.has("twitter:")):
        return None
    said: dict[str, list[str]] = {}
    for meta in page.find("//meta[@content][@property or @name]"):
        name = (meta.get("property") or meta.get("name")).lower()
        said.setdefault(name, []).append(meta.get("content"))
    price = _first_price(said)
    certain = price is not None or any("product" in kind.lower() for kind in said.get("og:type", []))
    product = Product(title=tidy(_one(said, "og:title")), price=price, category=tidy(_one(said, "product:category")))
    widths = said.get("og:image:width", [])
    for index, reference in enumerate(
        said.get("og:image") or said.get("og:image:url") or said.get("twitter:image", [])
    ):
        url = page.picture(reference)
        if url:
            width = widths[index] if index < len(widths) else ""
            product.pictures.append([Variant(url, float(width) if width.isdecimal() and len(width) < 6 else 0.0)])
    alt = tidy(_one(said, "og:image:alt"))
    if alt and product.pictures:
        product.alts[product.pictures[0][0].url] = alt
    return (product, certain) if product.pictures or certain else None


def _owner(
    element: Any, nodes: dict[Any, dict[str, Any]], borrowed: dict[str, dict[str, Any]]
) -> dict[str, Any] | None:
    name = element.get("id")
    if name in borrowed:
        return borrowed[name]
    for ancestor in element.iterancestors():
        if ancestor in nodes:
            return nodes[ancestor]
        if borrowed and ancestor.get("id") in borrowed:
            return borrowed[ancestor.get("id")]
    return None


def _value(page: Page, element: Any) -> Any:
    """As the HTML standard has it, and `content` on any element, which shops use."""
    content = element.get("content")
    if content is not None:
        return content
    tag = element.tag
    if tag == "img":
        return [variant.url for variant in variants_of_image(page, element)[:1]]
    if tag in _REFERENCES:
        return element.get(_REFERENCES[tag]) or ""
    if tag in {"data", "meter"}:
        return element.get("value") or ""
    if tag == "time":
        return element.get("datetime") or ""
    return text_of(element) or ""


def _first_price(said: dict[str, list[str]]) -> Price | None:
    for prefix in ("product:sale_price", "product:price", "og:price"):
        price = read_price(_one(said, f"{prefix}:amount"), _one(said, f"{prefix}:currency"))
        if price:
            return price
    return None


def _one(said: dict[str, list[str]], name: str) -> str | None:
    return next(iter(said.get(name, [])), None)
