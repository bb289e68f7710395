"""Reads schema.org data from JSON-LD, microdata and RDFa. A broken block does not affect the others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from crawler.extraction import lenient_json
from crawler.extraction.images import variants_of_image
from crawler.extraction.page import Page, text_of
from crawler.extraction.price_text import price_text
from crawler.extraction.schema_org import StructuredData, read_schema_org

_PRICE = re.compile(r"price", re.I)
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
    return _annotated(page, _MICRODATA) if page.has("itemprop") else StructuredData([])


def rdfa(page: Page) -> StructuredData:
    """Read schema.org data in `typeof` and `property`, as in RDFa Lite 1.1 (https://www.w3.org/TR/rdfa-lite/)."""
    return _annotated(page, _RDFA) if page.has("typeof=") else StructuredData([])


@dataclass(frozen=True, slots=True)
class _Syntax:
    """The attributes by which HTML elements carry schema.org data."""

    scope: str
    type: str
    name: str


_MICRODATA = _Syntax("itemscope", "itemtype", "itemprop")
_RDFA = _Syntax("typeof", "typeof", "property")


def _annotated(page: Page, syntax: _Syntax) -> StructuredData:
    nodes: dict[Any, dict[str, Any]] = {}
    roots = []
    for scope in page.find(f"//*[@{syntax.scope}]")[:_MAX_PROPERTIES]:
        nodes[scope] = {"@type": (scope.get(syntax.type) or "").split()}
        if scope.get(syntax.name) is None:
            roots.append(nodes[scope])
    nodes_by_itemref = {
        name: nodes[scope] for scope in nodes if scope.get("itemref") for name in scope.get("itemref", "").split()
    }
    for element in page.find(f"//*[@{syntax.name}]")[:_MAX_PROPERTIES]:
        owner = _owner(element, nodes, nodes_by_itemref)
        if owner is None:
            if element in nodes:
                roots.append(nodes[element])
            continue
        names = element.get(syntax.name)
        value = nodes[element] if element in nodes else _value(page, element, is_price=_PRICE.search(names) is not None)
        for name in names.split():
            # RDFa writes the vocabulary before the name: schema:price, http://schema.org/price.
            owner.setdefault(re.split(r"[/:#]", name)[-1], []).append(value)
    return read_schema_org(page, roots)


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


def _value(page: Page, element: Any, *, is_price: bool) -> Any:
    """Return the value of a property as in the HTML standard, or `content`, which shops use on any element."""
    stated = element.get("content", element.get("resource"))
    if stated is not None:
        return stated
    tag = element.tag
    if tag == "img":
        return [variant.url for variant in variants_of_image(page, element)[:1]]
    if tag in _REFERENCE_ATTRIBUTES:
        return element.get(_REFERENCE_ATTRIBUTES[tag]) or ""
    if tag in {"data", "meter"}:
        return element.get("value") or ""
    if tag == "time":
        return element.get("datetime") or ""
    return (price_text(element) if is_price else text_of(element)) or ""
