"""Products as a single rule finds them, and the reader for schema.org data (both JSON-LD and microdata)."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from crawler.extraction.page import Page, tidy
from crawler.extraction.prices import Price, read_price
from crawler.extraction.variants import Variant
from crawler.words import words

Node = dict[str, Any]

_PRODUCT_TYPES = frozenset(words("product productgroup productmodel individualproduct someproducts clothing"))
_FOREIGN_MEMBERS = frozenset(
    words(
        "review reviews aggregaterating author brand logo publisher seller manufacturer shippingdetails "
        "hasmerchantreturnpolicy potentialaction video audience"
    )
)
"""Members whose pictures, names and prices do not belong to the product."""
_MAX_DEPTH = 12
_MAX_NODES = 20_000


@dataclass(slots=True)
class Product:
    """The data of one product from one rule. Any member can be missing or wrong."""

    pictures: list[list[Variant]] = field(default_factory=list)
    """One list of variants for each picture."""
    title: str | None = None
    price: Price | None = None
    url: str | None = None
    category: str | None = None
    alts: dict[str, str] = field(default_factory=dict)
    """Picture URL → alt text or caption."""


@dataclass(frozen=True, slots=True)
class StructuredData:
    """The structured data of a page: its products in their order, and its breadcrumb."""

    products: list[Product]
    breadcrumb: tuple[str, ...] = ()


def read_schema_org(page: Page, roots: list[Any]) -> StructuredData:
    """Read schema.org nodes, which have the structure of JSON-LD without a context."""
    graph = _Graph(page, roots)
    products = [graph.product(node, parent) for node, parent in graph.product_nodes()]
    return StructuredData([product for product in products if product.pictures or product.url], graph.breadcrumb())


class _Graph:
    def __init__(self, page: Page, roots: list[Any]) -> None:
        self._page = page
        self._nodes: list[tuple[Node, Node | None]] = []
        """Each node, with the product that contains it, or None."""
        self._by_id: dict[str, Node] = {}
        for root in roots:
            self._add_nodes(root)

    def _add_nodes(self, root: Any) -> None:
        stack: list[tuple[Any, Node | None, int]] = [(root, None, 0)]
        while stack and len(self._nodes) < _MAX_NODES:
            value, parent_product, depth = stack.pop()
            if depth > _MAX_DEPTH:
                continue
            if isinstance(value, list):
                stack.extend((part, parent_product, depth + 1) for part in reversed(value))
                continue
            if not isinstance(value, dict):
                continue
            self._nodes.append((value, parent_product))
            name = value.get("@id")
            if isinstance(name, str) and len(value) > 1:
                self._by_id.setdefault(name, value)
            own_product = value if types_of(value) & _PRODUCT_TYPES else parent_product
            members = [part for key, part in value.items() if key.lower() not in _FOREIGN_MEMBERS]
            stack.extend((part, own_product, depth + 1) for part in reversed(members) if isinstance(part, dict | list))

    def product_nodes(self) -> Iterator[tuple[Node, Node | None]]:
        for node, parent_product in self._nodes:
            if types_of(node) & _PRODUCT_TYPES and node.keys() - {"@id", "@type"}:
                yield node, parent_product

    def product(self, node: Node, parent_product: Node | None) -> Product:
        """Return the product of a node. A variant takes missing data from its product group."""
        product = Product(title=_text(node.get("name")), url=self._url(node), category=self._category(node))
        product.price = self._price(node)
        for value in (node.get("image"), node.get("images"), node.get("photo")):
            self._add_pictures(product, value, 0)
        if parent_product is not None and "isVariantOf" not in parent_product and not node.get("isRelatedTo"):
            of_group = _mentions(parent_product, "hasVariant", node) or _mentions(parent_product, "model", node)
            if of_group:
                product.title = _text(parent_product.get("name")) or product.title
                product.price = product.price or self._price(parent_product)
                product.category = product.category or self._category(parent_product)
        return product

    def breadcrumb(self) -> tuple[str, ...]:
        for node, _ in self._nodes:
            if "breadcrumblist" in types_of(node):
                parts = [self._breadcrumb_part(part) for part in _as_list(node.get("itemListElement"))[:20]]
                if any(parts):
                    return tuple(part for part in parts if part)
        return ()

    def _breadcrumb_part(self, value: Any) -> str | None:
        node = self._resolved(value)
        item = self._resolved(node.get("item"))
        return _text(node.get("name")) or _text(item.get("name"))

    def _resolved(self, value: Any) -> Node:
        """Return the node that a value is or refers to, or an empty node if there is none."""
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, dict):
            return {}
        name = value.get("@id")
        if isinstance(name, str) and len(value) <= 2:
            return self._by_id.get(name, value)
        return value

    def _url(self, node: Node) -> str | None:
        for value in (node.get("url"), node.get("mainEntityOfPage"), *(o.get("url") for o in self._offers(node))):
            reference = value.get("@id") if isinstance(value, dict) else _first(value)
            if isinstance(reference, str) and reference.strip():
                return self._page.absolute(html.unescape(reference))
        name = node.get("@id")
        return self._page.absolute(name) if isinstance(name, str) and name.startswith("http") else None

    def _category(self, node: Node) -> str | None:
        value = _first(node.get("category"))
        if isinstance(value, dict):
            value = value.get("name") or value.get("codeValue")
        return _text(value)

    def _offers(self, node: Node) -> list[Node]:
        found = []
        for value in _as_list(node.get("offers")):
            offer = self._resolved(value)
            found.append(offer)
            found += [self._resolved(part) for part in _as_list(offer.get("offers"))]
        return found

    def _price(self, node: Node) -> Price | None:
        """Return the price of the first offer that has one."""
        for offer in [*self._offers(node), node]:
            currency = _first(offer.get("priceCurrency"))
            for value in (self._sale_price(offer), offer.get("price"), offer.get("lowPrice"), offer.get("highPrice")):
                price = read_price(_first(value), currency)
                if price:
                    return price
            for value in _as_list(offer.get("priceSpecification")):
                part = self._resolved(value)
                price = read_price(_first(part.get("price")), _first(part.get("priceCurrency")) or currency)
                if price and not _is_list_price(part):
                    return price
        return None

    def _sale_price(self, offer: Node) -> Any:
        for value in _as_list(offer.get("priceSpecification")):
            part = self._resolved(value)
            if "saleprice" in str(part.get("priceType", "")).lower():
                return part.get("price")
        return None

    def _add_pictures(self, product: Product, value: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            return
        if isinstance(value, list):
            for part in value[:200]:
                self._add_pictures(product, part, depth + 1)
        elif isinstance(value, dict):
            self._add_picture_object(product, value, depth)
        elif isinstance(value, str):
            url = self._page.picture(html.unescape(value))
            if url:
                product.pictures.append([Variant(url)])

    def _add_picture_object(self, product: Product, value: Node, depth: int) -> None:
        node = self._resolved(value)
        for key in ("contentUrl", "url", "@list", "@value", "image", "src", "thumbnailUrl"):
            if node.get(key):
                before = len(product.pictures)
                self._add_pictures(product, node[key], depth + 1)
                caption = _text(node.get("caption")) or _text(node.get("description"))
                for variant, *_ in product.pictures[before:]:
                    if caption:
                        product.alts[variant.url] = caption
                if len(product.pictures) > before:
                    return
        name = node.get("@id")
        if isinstance(name, str) and name.startswith("http"):
            self._add_pictures(product, name.partition("#")[0], depth + 1)


def types_of(node: Node) -> set[str]:
    """Return the types of a node in lower case, without the prefix of their vocabulary."""
    values = node.get("@type", node.get("type"))
    return {
        value.rstrip("/").rpartition("/")[2].rpartition(":")[2].rpartition("#")[2].lower()
        for value in _as_list(values)
        if isinstance(value, str)
    }


def _is_list_price(part: Node) -> bool:
    kind = str(part.get("priceType", "")).lower()
    return any(word in kind for word in ("list", "strikethrough", "msrp", "srp", "regular"))


def _mentions(node: Node, key: str, part: Node) -> bool:
    return any(value is part for value in _as_list(node.get(key)))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _first(value: Any) -> Any:
    value = value[0] if isinstance(value, list) and value else value
    return value.get("@value", value) if isinstance(value, dict) else value


def _text(value: Any) -> str | None:
    value = _first(value)
    return tidy(html.unescape(value)) if isinstance(value, str) else None
