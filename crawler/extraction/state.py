"""Finds products in the data that a page has for its own scripts, such as `__NEXT_DATA__`.

The structure of this data is unknown. A product is any object with a picture, a name and a price. Regular expressions
match the keys that shops use for them.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from core.fetching.urls import MAX_URL
from core.sources.names import storable
from crawler.extraction import lenient_json
from crawler.extraction.currencies import currency_code
from crawler.extraction.images import is_picture_name
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
from crawler.extraction.variants import Variant, key_of
from crawler.words import words

_MAX_NODES = 100_000
_MAX_PRODUCTS = 1_000
_MAX_SCRIPTS = 20
_MAX_DEPTH = 30

_ASSIGNMENT = re.compile(
    r"(?<![\w$.])(?:[\w$.]++[\"'\]]*+\s*+=|dataLayer\.push\()\s*+(?P<parse>JSON\.parse\(\s*+)?(?P<begin>[{\[\"'])"
)
_FLIGHT_PUSH = re.compile(r"self\.__next_f\.push\(\s*(?=\[)")
_FLIGHT_ROW = re.compile(r"^[\da-f]+:(?=[\[{])", re.M)
_IMAGE = re.compile(r"image|img|photo|picture|thumb|media", re.I)
_NOT_IMAGE = re.compile(
    r"count|width|height|alt|type|size|ratio|icon|logo|banner|badge|flag|video|brand|seller|avatar", re.I
)
_NAME = re.compile(r"(?:(?:product|goods|prd|item|prod|display|disp)_?-?)?(?:name|title|nm)$", re.I)
_PRICE = re.compile(r"price|prc$|amount$|cost$", re.I)
_NOT_PRICE = re.compile(
    r"count|type|currency|label|format|text|unit|range|shipping|delivery|discount(?:ed)?_?amount|rate|percent|id$|code|per",
    re.I,
)
_CURRENT = re.compile(r"sale|final|current|discounted|special|now|selling|offer|deal|lowest|low|min|benefit", re.I)
_FORMER = re.compile(r"list|origin|regular|before|compare|was|old|msrp|retail|normal|consumer|max|high|base", re.I)
_CURRENCY = re.compile(r"currency", re.I)
_LINK = re.compile(r"(?:url|link|href|path|permalink|handle_?url|slug_?url)$", re.I)
_CATEGORY = re.compile(r"categor|breadcrumb", re.I)
_FORMER_RANK = 2
_STOCK = re.compile(
    r"(?P<out>sold_?out|out_?of_?stock|un_?available)|in_?stock|available$|is_?available|purchasable", re.I
)
_NOT_LETTERS = re.compile(r"[^a-z]+")
_FACT_KEYS = {
    **dict.fromkeys(
        words("sku skuid skucode itemcode articlenumber articleno itemnumber productcode goodscode"), "sku"
    ),
    **dict.fromkeys(words("gtin ean upc barcode isbn eancode"), "gtin"),
    **dict.fromkeys(words("mpn manufacturerpartnumber partnumber modelnumber modelno"), "mpn"),
    **dict.fromkeys(words("brand brandname brandnm manufacturer manufacturername vendor makername"), "brand"),
    **dict.fromkeys(words("availability stockstatus availabilitystatus"), "availability"),
    **dict.fromkeys(words("color colour colorname colourname"), "color"),
    **dict.fromkeys(words("size sizename"), "size"),
    **dict.fromkeys(words("material fabric composition"), "material"),
    **dict.fromkeys(words("parentid groupid itemgroupid productgroupid masterid parentsku styleid"), "variant_of"),
    **dict.fromkeys(words("description shortdescription productdescription"), "description"),
    **dict.fromkeys(words("id productid goodsno prdno productno itemid articleid goodsid"), "id"),
}
"""Key in lower case, letters only → field. `id` is any id of the product."""
_FACTS: dict[str, Callable[[Any], str | None]] = {
    **dict.fromkeys(words("sku mpn variant_of id"), read_code),
    **dict.fromkeys(words("brand color size material"), read_name),
    "gtin": read_gtin,
    "availability": read_availability,
    "description": read_description,
}
"""Field → the function that reads its value."""
_VARIANTS = re.compile(r"variant|option|sku|colou?rs?$|sizes?$|swatch", re.I)


def products_in_scripts(page: Page) -> list[ProductData]:
    """Return the products in the data of a page's scripts, in their order.

    Products without a picture, such as those for the statistics of the shop, are the last ones.
    """
    found: dict[tuple[str | None, str], ProductData] = {}
    bare: list[ProductData] = []
    for value in _script_data(page):
        for product in _products(page, value):
            if product.pictures:
                found.setdefault((product.title, key_of(product.pictures[0][0].url)), product)
            else:
                bare.append(product)
            if len(found) + len(bare) >= _MAX_PRODUCTS:
                return [*found.values(), *bare]
    return [*found.values(), *bare]


def _script_data(page: Page) -> Iterator[Any]:
    scripts = [script for script in page.find("//script[not(@src)]") if script.text and _may_hold_product(script.text)]
    flight = []
    for script in scripts[: _MAX_SCRIPTS * 5]:
        kind = (script.get("type") or "").lower()
        if kind == "application/ld+json":
            continue
        if "json" in kind:
            yield lenient_json.read(script.text)
        elif "__next_f" in script.text:
            pushed = (_pushed_value(script.text, push) for push in _FLIGHT_PUSH.finditer(script.text))
            flight += [row for row in pushed if isinstance(row, str)]
        else:
            yield from _assigned_values(script.text)
    text = "".join(flight)
    for row in list(_FLIGHT_ROW.finditer(text))[:5_000]:
        yield lenient_json.read_at(text, row.end())[0]
    if page.has("{&quot;"):
        for text in page.find("//@*[starts-with(., '{\"') and string-length(.) > 60]")[:_MAX_SCRIPTS]:
            if _may_hold_product(text):
                yield lenient_json.read(text)


def _may_hold_product(text: str) -> bool:
    """Return whether a script can contain a product. Most contain none, and parsing a script is slow."""
    named = _IMAGE.search(text) is not None or _SKU_WORD.search(text) is not None
    return named and _PRICE_WORD.search(text) is not None and "{" in text


_STRING = re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'", re.S)
_SKU_WORD = re.compile(r"sku|brand|dataLayer", re.I)
_PRICE_WORD = re.compile(r"price|prc|amount", re.I)


def _pushed_value(script: str, push: re.Match[str]) -> Any:
    value, _ = lenient_json.read_at(script, push.end())
    return value[1] if isinstance(value, list) and len(value) > 1 else None


def _assigned_values(script: str) -> Iterator[Any]:
    position = 0
    for _ in range(_MAX_SCRIPTS):
        match = _ASSIGNMENT.search(script, position)
        if match is None:
            return
        position = match.end()
        start = match.start("begin")
        if match["begin"] in "\"'":
            if match["parse"]:
                text = _string_at(script, start)
                yield lenient_json.read(text) if text else None
            continue
        value, end = lenient_json.read_at(script, start)
        yield value
        position = max(position, end)


def _string_at(script: str, start: int) -> str | None:
    match = _STRING.match(script, start)
    if match is None:
        return None
    text = match.group()
    if text[0] == "'":
        text = (
            '"' + text[1:-1].replace("\\'", "'").replace('"', '\\"') + '"' if '\\"' not in text else f'"{text[1:-1]}"'
        )
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return storable(value) if isinstance(value, str) else None


def _products(page: Page, root: Any) -> Iterator[ProductData]:
    stack: list[tuple[Any, int]] = [(root, 0)]
    seen = 0
    while stack and seen < _MAX_NODES:
        value, depth = stack.pop()
        seen += 1
        if depth > _MAX_DEPTH or not isinstance(value, dict | list):
            continue
        if isinstance(value, list):
            stack.extend((part, depth + 1) for part in reversed(value))
            continue
        product = _product(page, value)
        members = list(value.items())
        if product is not None:
            yield product
            # Objects below these keys describe the product itself. Others, such as recommendations, are products.
            members = [(k, v) for k, v in members if not (_VARIANTS.search(k) or _IMAGE.search(k) or _PRICE.search(k))]
        stack.extend((part, depth + 1) for _, part in reversed(members) if isinstance(part, dict | list))


def _product(page: Page, node: dict[str, Any]) -> ProductData | None:
    name = next((tidy(v) for k, v in node.items() if isinstance(v, str) and _NAME.fullmatch(k) and tidy(v)), None)
    if name is None:
        return None
    price = _price(node)
    if price is None:
        return None
    product = ProductData(title=tidy(html.unescape(name)), price=price)
    for key, value in node.items():
        if _IMAGE.search(key) and not _NOT_IMAGE.search(key):
            _add_pictures(page, product, value, 0)
        elif _VARIANTS.search(key) and isinstance(value, list):
            for part in value[:200]:
                for part_key, picture in part.items() if isinstance(part, dict) else ():
                    if _IMAGE.search(part_key) and not _NOT_IMAGE.search(part_key):
                        _add_pictures(page, product, picture, 0)
    product.list_price = _former_price(node, price)
    product.url = _link(page, node)
    _add_facts(product, node)
    categories = [text for key, value in node.items() if _CATEGORY.search(key) and (text := _category(value))]
    product.category = categories[-1] if categories else None
    return product


def _price(node: dict[str, Any]) -> Price | None:
    """Return the current price. A sale price comes first, then other prices, and a former price last."""
    currency = next((v for k, v in node.items() if _CURRENCY.search(k) and isinstance(v, str)), None)
    prices = sorted(((_rank(k), k, v) for k, v in node.items() if _PRICE.search(k)), key=lambda price: price[0])
    for _, key, value in prices:
        if not _NOT_PRICE.search(key):
            price = read_price(value, currency)
            if price:
                return price
    offers = [(_rank(k), k, v) for k, v in node.items() if re.search(r"offer", k, re.I)]
    for _, _, value in [*prices, *offers]:
        part = value[0] if isinstance(value, list) and value else value
        price = _amount(part, currency) if isinstance(part, dict) else None
        if price:
            return price
    return None


def _former_price(node: dict[str, Any], price: Price) -> Price | None:
    """Return the price before a reduction: the lowest of those with such a name that is above the current price."""
    names = (k for k in node if _PRICE.search(k) and _rank(k) == _FORMER_RANK and not _NOT_PRICE.search(k))
    former = [found for name in names if (found := read_price(node[name], price.currency))]
    return min((f for f in former if f.amount > price.amount), key=lambda found: found.amount, default=None)


def _add_facts(product: ProductData, node: dict[str, Any]) -> None:
    """Read the fields that are neither pictures nor prices. Objects count by their name."""
    for key, value in node.items():
        name = _FACT_KEYS.get(_NOT_LETTERS.sub("", key.lower()))
        found = _FACTS[name](_named(value)) if name else None
        if name == "id":
            product.other_ids += [found] if found else []
        elif name and found and getattr(product, name) is None:
            setattr(product, name, found)
    variants = [v for k, v in node.items() if _VARIANTS.search(k) and isinstance(v, list) and len(v) == 1]
    if product.sku is None and variants and isinstance(variants[0][0], dict):
        product.sku = read_code(variants[0][0].get("sku"))
    for key, value in node.items():
        if product.availability is None and isinstance(value, bool) and (stock := _STOCK.search(key)):
            product.availability = "OutOfStock" if value is bool(stock["out"]) else "InStock"


def _named(value: Any) -> Any:
    return value.get("name", value.get("value", value.get("label"))) if isinstance(value, dict) else value


def _rank(key: str) -> int:
    return 0 if _CURRENT.search(key) else _FORMER_RANK if _FORMER.search(key) else 1


def _amount(part: dict[str, Any], currency: str | None) -> Price | None:
    own = next((v for k, v in part.items() if _CURRENCY.search(k) and isinstance(v, str)), currency)
    price = _price({k: v for k, v in part.items() if not isinstance(v, dict | list)})
    if price:
        return replace(price, currency=price.currency or currency_code(own))
    for key in ("value", "amount", "current", "sale", "final", "min", "text", "formatted"):
        value = part.get(key)
        if isinstance(value, dict):
            value = value.get("value", value.get("amount"))
        price = read_price(value, own)
        if price:
            return price
    return None


def _add_pictures(page: Page, product: ProductData, value: Any, depth: int) -> None:
    """Add all pictures below a picture key. Files that differ only in size are one picture."""
    if depth > 4 or len(product.pictures) > 100:
        return
    if isinstance(value, list):
        for part in value[:200]:
            _add_pictures(page, product, part, depth + 1)
    elif isinstance(value, dict):
        width = next((v for k, v in value.items() if k.lower() == "width" and isinstance(v, int | float)), 0)
        alt = next((tidy(v) for k, v in value.items() if k.lower() in {"alt", "alttext", "caption"}), None)
        for key, part in value.items():
            if isinstance(part, dict | list):
                _add_pictures(page, product, part, depth + 1)
            elif isinstance(part, str) and _may_hold_url(key) and _looks_like_picture(part, key):
                _add(page, product, part, float(width) if 0 < width < 1e5 else 0.0, alt)
    elif isinstance(value, str) and _looks_like_picture(value, "url"):
        _add(page, product, value, 0.0, None)


def _may_hold_url(key: str) -> bool:
    return (
        re.search(r"url|src|href|path|image|img|large|origin|full|zoom|medium|small|thumb|main", key, re.I) is not None
    )


def _looks_like_picture(text: str, key: str) -> bool:
    if len(text) > MAX_URL or " " in text.strip() or text[:1] in "{[#":
        return False
    return is_picture_name(text) or text.startswith(("http://", "https://", "//"))


def _add(page: Page, product: ProductData, reference: str, width: float, alt: str | None) -> None:
    url = page.picture(reference)
    if url is None:
        return
    if alt:
        product.alts[url] = alt
    variant, key = Variant(url, width), key_of(url)
    for picture in product.pictures:
        if key_of(picture[0].url) == key:
            picture.append(variant)
            return
    product.pictures.append([variant])


def _link(page: Page, node: dict[str, Any]) -> str | None:
    for key, value in node.items():
        if isinstance(value, str) and _LINK.search(key) and not _IMAGE.search(key) and ("/" in value or "?" in value):
            return page.absolute(value)
    return None


def _category(value: Any) -> str | None:
    if isinstance(value, list):
        return _category(value[-1]) if value else None
    if isinstance(value, dict):
        return tidy(value.get("name") or value.get("title"))
    return tidy(value) if isinstance(value, str) and not value.isdigit() else None
