"""A recipe on a page: the products that it finds, and what each of its fields yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from lxml import etree
from parsel.csstranslator import HTMLTranslator

from crawler.extraction import lenient_json
from crawler.extraction.images import variants_of_image
from crawler.extraction.page import Page, text_of, tidy
from crawler.extraction.prices import read_price
from crawler.extraction.products import Product
from crawler.extraction.variants import Variant
from crawler.recipes import LabelFrom, Recipe, Source

_MOST_PRODUCTS = 2_000


@dataclass(slots=True)
class Applied:
    """What a recipe gave on one page."""

    recipe: Recipe
    nodes: int
    """How many nodes `list.path` found."""
    query: str | None
    next_page: str | None
    products: list[Product] = field(default_factory=list)
    yields: dict[str, list[str]] = field(default_factory=dict)
    """Field → of each node what it gave, as text; empty where it gave nothing."""

    @property
    def is_list(self) -> bool:
        return self.recipe.page is not None or len(self.products) > 1

    def label(self, category: str | None, breadcrumb: tuple[str, ...]) -> str | None:
        """The weak label of a picture."""
        match self.recipe.label_from:
            case LabelFrom.QUERY:
                return self.query
            case LabelFrom.CATEGORY:
                return category
            case LabelFrom.BREADCRUMB:
                return breadcrumb[-1] if breadcrumb else None
            case None:
                return None


def apply(recipe: Recipe, page: Page, query: str | None = None) -> Applied:
    """Read a page by a recipe. Where the page has nothing for it, nothing is found; it never raises.

    `query`: the word searched for, if the page's URL does not say.
    """
    nodes = _nodes(recipe, page)[:_MOST_PRODUCTS]
    applied = Applied(recipe, len(nodes), recipe.query_of(page.url) or query, recipe.next_page(page.url, len(nodes)))
    applied.yields = {name: [] for name in recipe.fields}
    read = _of_css if recipe.source is Source.CSS else _of_json
    for node in nodes:
        values = {name: read(page, node, name, text) for name, text in recipe.fields.items()}
        for name, value in values.items():
            applied.yields[name].append(", ".join(str(part) for part in value))
        product = _product(page, values)
        if product.pictures:
            applied.products.append(product)
    return applied


def _nodes(recipe: Recipe, page: Page) -> list[Any]:
    if recipe.source is Source.CSS:
        return _selected(page.tree, recipe.path)
    within = recipe.source is Source.NEXT_DATA
    text = page.first("string(//script[@id='__NEXT_DATA__'])") if within else page.text
    found = _searched(lenient_json.read(text), recipe.path)
    return found if isinstance(found, list) else [found] if found is not None else []


def _of_json(page: Page, node: Any, name: str, expression: str) -> list[str]:
    value = _searched(node, expression)
    parts = value if isinstance(value, list) else [value]
    return [
        str(part)
        for part in parts
        if isinstance(part, str | int | float) and not isinstance(part, bool) and str(part).strip()
    ]


def _of_css(page: Page, node: Any, name: str, expression: str) -> list[str]:
    values = []
    for part in _selected(node, expression):
        if isinstance(part, str):
            text = part
        elif name == "image":
            text = next((variant.url for variant in variants_of_image(page, part)), "") or part.get("href") or ""
        else:
            text = (part.get("href") or "" if name == "url" else text_of(part)) or ""
        if text.strip():
            values.append(text.strip())
    return values


def _product(page: Page, values: dict[str, list[str]]) -> Product:
    first = {name: found[0] for name, found in values.items() if found}
    product = Product(title=tidy(first.get("title")), category=tidy(first.get("category")))
    product.price = read_price(first.get("price"), first.get("currency"))
    product.url = page.absolute(first.get("url"))
    urls = dict.fromkeys(url for reference in values["image"] if (url := page.picture(reference)))
    product.pictures = [[Variant(url)] for url in urls]
    alt = tidy(first.get("alt"))
    product.alts = dict.fromkeys(urls, alt) if alt else {}
    return product


def _searched(value: Any, expression: str) -> Any:
    try:
        return _compiled(expression).search(value)
    except (JMESPathError, TypeError, ValueError, RecursionError):
        # A function that was given another type than it expects: this page is not of the shape that the recipe is for.
        return None


def _selected(node: Any, selector: str) -> list[Any]:
    found = _selector(selector)(node)
    return found if isinstance(found, list) else []


@cache
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


@cache
def _selector(selector: str) -> Any:
    return etree.XPath(HTMLTranslator().css_to_xpath(selector), smart_strings=False)
