"""Reads schema.org data, which JSON-LD, microdata and RDFa bring into one structure, into products."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
from crawler.words import words

Node = dict[str, Any]

_PRODUCT_TYPES = frozenset(words("product productgroup productmodel individualproduct someproducts clothing"))
_TYPES_WITH_OFFERS = frozenset(
    words("book vehicle car motorcycle movie musicalbum musicrelease videogame softwareapplication event")
)
"""Types that are products if they have offers."""
_GTIN_MEMBERS = words("gtin gtin13 gtin14 gtin12 gtin8 ean isbn upc")
_IN_STOCK_FIRST = words("InStock OnlineOnly InStoreOnly LimitedAvailability MadeToOrder PreOrder PreSale BackOrder")
"""The availabilities with which a product can be bought, the most useful one first."""
_FOREIGN_MEMBERS = frozenset(
    words(
        "review reviews aggregaterating author brand logo publisher seller manufacturer shippingdetails "
        "hasmerchantreturnpolicy potentialaction video audience"
    )
)
"""Members whose pictures, names and prices do not belong to the product."""
_MAX_DEPTH = 12
_MAX_NODES = 20_000


@dataclass(frozen=True, slots=True)
class StructuredData:
    """The structured data of a page: its products in their order, and its breadcrumb."""

    products: list[ProductData]
    breadcrumb: tuple[str, ...] = ()


def read_schema_org(page: Page, roots: list[Any]) -> StructuredData:
    """Read schema.org nodes, which have the structure of JSON-LD without a context."""
    graph = _Graph(page, roots)
    products = [graph.product(node, parent) for node, parent in graph.product_nodes()]
    return StructuredData([p for p in products if p.pictures or p.url or (p.title and p.price)], graph.breadcrumb())


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
            own_product = value if _is_product(value) else parent_product
            members = [part for key, part in value.items() if key.lower() not in _FOREIGN_MEMBERS]
            stack.extend((part, own_product, depth + 1) for part in reversed(members) if isinstance(part, dict | list))

    def product_nodes(self) -> Iterator[tuple[Node, Node | None]]:
        for node, parent_product in self._nodes:
            if _is_product(node):
                yield node, parent_product

    def product(self, node: Node, parent_product: Node | None) -> ProductData:
        """Return the product of a node. A variant takes missing data from its product group."""
        product = ProductData(title=_text(node.get("name")), url=self._url(node), category=self._category(node))
        self._read_prices(product, node)
        self._read_facts(product, node)
        for value in (node.get("image"), node.get("images"), node.get("photo")):
            self._add_pictures(product, value, 0)
        group = self._group_of(node, parent_product)
        if group is not None:
            of_group = ProductData(title=_text(group.get("name")), category=self._category(group))
            self._read_prices(of_group, group)
            self._read_facts(of_group, group)
            product.title = of_group.title or product.title
            product.variant_of = read_code(_first(group.get("productGroupID"))) or of_group.sku
            of_group.sku = of_group.gtin = of_group.mpn = None
            product.fill_in(of_group)
        if product.variant_of is None:
            ids = (_first(node.get(name)) for name in ("inProductGroupWithID", "productGroupID"))
            product.variant_of = next((code for value in ids if (code := read_code(value))), None)
        return product

    def _group_of(self, node: Node, parent_product: Node | None) -> Node | None:
        """Return the product group that contains a variant, or to which it refers, or None."""
        if parent_product is not None and "isVariantOf" not in parent_product and not node.get("isRelatedTo"):
            if _mentions(parent_product, "hasVariant", node) or _mentions(parent_product, "model", node):
                return parent_product
            return None
        group = self._resolved(node.get("isVariantOf"))
        return group if group.keys() - {"@id", "@type"} else None

    def _read_facts(self, product: ProductData, node: Node) -> None:
        """Read all fields of a node that are neither prices nor pictures."""
        offers = self._offers(node)
        single = offers[0] if len(offers) == 1 else {}
        product.sku = read_code(_first(node.get("sku"))) or read_code(_first(single.get("sku")))
        product.mpn = read_code(_first(node.get("mpn"))) or read_code(_first(single.get("mpn")))
        gtins = (_first(place.get(name)) for place in (node, single) for name in _GTIN_MEMBERS)
        product.gtin = next((gtin for value in gtins if (gtin := read_gtin(value))), None)
        for name in ("productID", "productId", "identifier"):
            self._read_id(product, node.get(name))
        product.brand = self._name_of(node.get("brand")) or self._name_of(node.get("manufacturer"))
        product.color = self._name_of(node.get("color"))
        product.size = self._name_of(node.get("size"))
        product.material = self._name_of(node.get("material"))
        product.description = read_description(_text(node.get("description"), 10_000))
        for part in _as_list(node.get("additionalProperty"))[:50]:
            self._read_property(product, self._resolved(part))
        found = [read_availability(_first(offer.get("availability"))) for offer in [*offers, node]]
        known = [value for value in found if value]
        # A product with several sizes can be bought while one of them is in stock.
        product.availability = next((name for name in _IN_STOCK_FIRST if name in known), known[0] if known else None)

    def _read_id(self, product: ProductData, value: Any) -> None:
        for part in _as_list(value)[:5]:
            text = self._resolved(part).get("value") if isinstance(part, dict) else part
            scheme, _, number = str(text).partition(":")
            if scheme.lower() in {"isbn", "ean", "gtin", "upc", "sku", "mpn"} and number:
                text = number
            product.gtin = product.gtin or read_gtin(text)
            code = read_code(text)
            if code and not code.startswith("http"):
                product.other_ids.append(code)

    def _read_property(self, product: ProductData, part: Node) -> None:
        """Read an `additionalProperty` whose name is that of a field."""
        name = (_text(part.get("name")) or _text(part.get("propertyID")) or "").lower()
        name = "color" if name == "colour" else name
        if name in {"color", "size", "material"} and getattr(product, name) is None:
            setattr(product, name, self._name_of(part.get("value")))

    def _name_of(self, value: Any) -> str | None:
        """Return a text, or the name of the node that a value is or refers to."""
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict):
            value = self._resolved(value).get("name", value.get("@value"))
        return read_name(_text(value))

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

    def _read_prices(self, product: ProductData, node: Node) -> None:
        """Read the price of the first offer that has one, the price before a reduction, and all further prices."""
        for offer in [*self._offers(node), node]:
            currency = _first(offer.get("priceCurrency")) or _first(offer.get("pricecurrency"))
            current, former = self._specified_prices(offer, currency)
            for name in ("price", "lowPrice", "highPrice"):
                values = _as_list(offer.get(name))[:20]
                current += [price for value in values if (price := read_price(_first(value), currency))]
                if current:
                    break
            if not current:
                continue
            if product.price is None:
                product.price = current[0]
                product.list_price = former[0] if former else None
                product.other_prices += current[1:]
            else:
                product.other_prices += current

    def _specified_prices(self, offer: Node, currency: Any) -> tuple[list[Price], list[Price]]:
        """Return the current and the former prices in the price specifications of an offer. A sale price is first."""
        sale: list[Price] = []
        current: list[Price] = []
        former: list[Price] = []
        for value in _as_list(offer.get("priceSpecification"))[:20]:
            part = self._resolved(value)
            price = read_price(_first(part.get("price")), _first(part.get("priceCurrency")) or currency)
            kind = str(part.get("priceType", "")).lower()
            if price is None or part.get("referenceQuantity") or "deliverycharge" in "".join(types_of(part)):
                continue
            if "saleprice" in kind:
                sale.append(price)
            elif any(word in kind for word in ("list", "strikethrough", "msrp", "srp", "regular")):
                former.append(price)
            elif not offer.get("price"):
                current.append(price)
        return sale + current, former

    def _add_pictures(self, product: ProductData, value: Any, depth: int) -> None:
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

    def _add_picture_object(self, product: ProductData, value: Node, depth: int) -> None:
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


def _is_product(node: Node) -> bool:
    types = types_of(node)
    if types & _PRODUCT_TYPES:
        return bool(node.keys() - {"@id", "@type"})
    return bool(types & _TYPES_WITH_OFFERS and node.get("offers"))


def _mentions(node: Node, key: str, part: Node) -> bool:
    return any(value is part for value in _as_list(node.get(key)))


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _first(value: Any) -> Any:
    value = value[0] if isinstance(value, list) and value else value
    return value.get("@value", value) if isinstance(value, dict) else value


def _text(value: Any, max_length: int = 1000) -> str | None:
    value = _first(value)
    return tidy(html.unescape(value), max_length) if isinstance(value, str) else None
