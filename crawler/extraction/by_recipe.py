"""Applies a recipe to a page, and records the value of each field for each product."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from lxml import etree
from parsel.csstranslator import HTMLTranslator

from core.products import PRICES
from crawler.extraction import lenient_json
from crawler.extraction.images import variants_of_image
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.price_text import price_text
from crawler.extraction.prices import read_price
from crawler.extraction.product_data import (
    ProductData,
    read_availability,
    read_code,
    read_description,
    read_gtin,
    read_name,
)
from crawler.extraction.variants import Variant
from crawler.recipes import LabelFrom, Recipe, Source

_MAX_PRODUCTS = 2_000
_JSON_BEGIN = re.compile(r"[{\[]")


@dataclass(slots=True)
class RecipeResult:
    """The result of a recipe on one page."""

    recipe: Recipe
    nodes: int
    """The number of nodes that `list.path` found."""
    query: str | None
    next_page: str | None
    products: list[ProductData] = field(default_factory=list)
    yields: dict[str, list[str]] = field(default_factory=dict)
    """Field → its value in each node, as text. The text is empty if the field found nothing."""

    @property
    def is_list(self) -> bool:
        return self.recipe.page is not None or len(self.products) > 1

    def label(self, category: str | None, breadcrumb: tuple[str, ...]) -> str | None:
        """Return the weak label of a picture."""
        match self.recipe.label_from:
            case LabelFrom.QUERY:
                return self.query
            case LabelFrom.CATEGORY:
                return category
            case LabelFrom.BREADCRUMB:
                return breadcrumb[-1] if breadcrumb else None
            case None:
                return None


def apply_recipe(recipe: Recipe, page: Page, query: str | None = None) -> RecipeResult:
    """Read a page with a recipe. It never raises. If the page does not fit the recipe, the result is empty.

    `query`: the search word, if the URL of the page does not contain it.
    """
    nodes = _nodes(recipe, page)[:_MAX_PRODUCTS]
    query = recipe.query_of(page.url) or query
    result = RecipeResult(recipe, len(nodes), query, recipe.next_page(page.url, len(nodes)))
    result.yields = {name: [] for name in recipe.fields}
    read = _css_values if recipe.source is Source.CSS else _json_values
    for node in nodes:
        values = {name: read(page, node, name, text) for name, text in recipe.fields.items()}
        for name, value in values.items():
            result.yields[name].append(", ".join(str(part) for part in value))
        product = _product(page, values)
        if product.pictures:
            result.products.append(product)
    return result


def _nodes(recipe: Recipe, page: Page) -> list[Any]:
    if recipe.source is Source.CSS:
        return _select(page.tree, recipe.path)
    found = _search(_json_of(recipe, page), recipe.path)
    return found if isinstance(found, list) else [found] if found is not None else []


def _json_of(recipe: Recipe, page: Page) -> Any:
    """Return the JSON value in which a recipe finds its products."""
    if recipe.source is Source.JSON:
        return lenient_json.read(page.text)
    if recipe.source is Source.NEXT_DATA:
        return lenient_json.read(page.first("string(//script[@id='__NEXT_DATA__'])"))
    text = next((script.text or "" for script in _select(page.tree, recipe.script or "script")), "")
    begin = _JSON_BEGIN.search(text)
    return lenient_json.read_at(text, begin.start())[0] if begin else None


def _json_values(page: Page, node: Any, name: str, expression: str) -> list[str]:
    value = _search(node, expression)
    parts = value if isinstance(value, list) else [value]
    return [
        str(part)
        for part in parts
        if isinstance(part, str | int | float) and not isinstance(part, bool) and str(part).strip()
    ]


def _css_values(page: Page, node: Any, name: str, expression: str) -> list[str]:
    values = []
    for part in _select(node, expression):
        if isinstance(part, str):
            text = part
        elif name == "image":
            text = next((variant.url for variant in variants_of_image(page, part)), "") or part.get("href") or ""
        elif name in PRICES:
            text = price_text(part) or ""
        else:
            text = (part.get("href") or "" if name == "url" else text_of(part)) or ""
        if text.strip():
            values.append(text.strip())
    return values


def _product(page: Page, values: dict[str, list[str]]) -> ProductData:
    first = {name: found[0] for name, found in values.items() if found}
    product = ProductData(title=tidy(first.get("title")), category=tidy(first.get("category")))
    decimals = first.get("price_decimals")
    product.price = read_price(_with_decimals(first.get("price"), decimals), first.get("currency"))
    product.list_price = read_price(_with_decimals(first.get("list_price"), decimals), first.get("currency"))
    product.url = page.absolute(first.get("url"))
    product.gtin = read_gtin(first.get("gtin"))
    for name in ("sku", "mpn", "variant_of"):
        setattr(product, name, read_code(first.get(name)))
    for name in ("brand", "color", "size", "material"):
        setattr(product, name, read_name(first.get(name)))
    product.availability = read_availability(first.get("availability"))
    product.description = read_description(first.get("description"))
    urls = dict.fromkeys(url for reference in values["image"] if (url := page.picture(reference)))
    product.pictures = [[Variant(url)] for url in urls]
    alt = tidy(first.get("alt"))
    product.alts = dict.fromkeys(urls, alt) if alt else {}
    return product


def _with_decimals(amount: str | None, decimals: str | None) -> str | None:
    """Return an amount in whole units of its currency."""
    if amount is None or decimals is None or not (amount.isdecimal() and decimals.isdecimal() and len(decimals) < 2):
        return amount
    return str(Decimal(amount).scaleb(-int(decimals)))


def _search(value: Any, expression: str) -> Any:
    try:
        return _compiled(expression).search(value)
    except (JMESPathError, TypeError, ValueError, RecursionError):
        # A JMESPath function got a value of the wrong type, so the page has another structure than the recipe expects.
        return None


def _select(node: Any, selector: str) -> list[Any]:
    found = _selector(selector)(node)
    return found if isinstance(found, list) else []


@cache
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


@cache
def _selector(selector: str) -> Any:
    return etree.XPath(HTMLTranslator().css_to_xpath(selector), smart_strings=False)
