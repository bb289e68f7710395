"""Pages whose products are only in the embedded state, which a program in the browser draws."""

from __future__ import annotations

import json
from typing import Any

from tests.shop.catalogue import GARMENTS, Product, price_text
from tests.shop.pictures import BEST, CARD, LARGEST
from tests.shop.shelf import Shelf, document

SEARCH_SIZE = 60
"""Products on a page of search results. `pagingSize` can only lower it."""
STATES = ("object", "undefined", "parsed")


def state_variant(product: Product) -> str:
    return STATES[product.number % len(STATES)]


def next_page(shelf: Shelf, product: Product) -> str:
    """Return a product page whose `__NEXT_DATA__` contains the product."""
    detail = _item(shelf, product) | {
        "images": [shelf.photo(product, view) for view in range(product.views)],
        "description": "Made with care.",
    }
    return _next(shelf, product.title, {"product": detail}, shelf.page(product))


def search(shelf: Shelf, query: str, products: list[Product], page: int, size: int, total: int) -> str:
    """Return a page of search results in the format that the recipe of the first crawler reads."""
    listed = [
        {"item": _item(shelf, product) | {"rank": (page - 1) * size + rank}} for rank, product in enumerate(products, 1)
    ]
    props = {
        "initialState": {
            "products": {"list": listed, "total": total, "query": query, "pagingIndex": page, "pagingSize": size},
            "banner": {"imageUrl": f"{shelf.base}/assets/banner.jpg", "title": "Free delivery"},
        }
    }
    return _next(shelf, f"{query} : Fixture Shop", props)


def matching(query: str) -> int | None:
    """Return the category that a search for its slug, its English or its Korean name finds."""
    word = query.strip().lower()
    for index, garment in enumerate(GARMENTS):
        if word in {garment.slug, garment.english.lower(), garment.korean}:
            return index
    return None


def _item(shelf: Shelf, product: Product) -> dict[str, Any]:
    return {
        "id": f"{product.number:08}",
        "imageUrl": shelf.photo(product),
        "title": product.title,
        "price": str(product.price),
        "currency": product.currency,
        "url": shelf.page(product),
        "category1Name": product.breadcrumb[1],
        "category2Name": product.category,
    }


def _next(shelf: Shelf, title: str, props: dict[str, Any], canonical: str = "") -> str:
    data = {"props": {"pageProps": props}, "page": "/", "query": {}, "buildId": "fixture"}
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    script = f'<div id="__next"></div><script id="__NEXT_DATA__" type="application/json">{text}</script>'
    return document(shelf, title, script, canonical=canonical)


def state_page(shelf: Shelf, product: Product) -> str:
    """Return a product page with the product in `window.__INITIAL_STATE__`: JSON, JavaScript, or JSON in a string."""
    detail = _state_entry(shelf, product)
    return _state(
        shelf,
        product.title,
        {"product": {"detail": detail}, "user": None},
        state_variant(product),
        head=f'<link rel="canonical" href="{shelf.page(product)}">',
    )


def state_listing(shelf: Shelf, title: str, products: list[Product], links: str, head: str) -> str:
    """Return a listing whose products are only in the state."""
    state = {"catalog": {"entries": [_state_entry(shelf, product) for product in products]}, "user": None}
    return _state(shelf, title, state, "object", links, head)


def _state_entry(shelf: Shelf, product: Product) -> dict[str, Any]:
    return {
        "productNo": product.number,
        "name": product.title,
        "salePrice": {"amount": float(product.price), "currency": product.currency, "text": price_text(product)},
        "link": shelf.path(shelf.page(product)),
        "categoryName": product.category,
        "images": [
            {"src": shelf.path(shelf.photo(product, view, width, BEST)), "width": width}
            for view in range(product.views)
            for width in (CARD, LARGEST)
        ],
    }


def _state(shelf: Shelf, title: str, state: dict[str, Any], variant: str, body: str = "", head: str = "") -> str:
    text = json.dumps(state, ensure_ascii=False).replace("<", "\\u003c")
    if variant == "undefined":
        text = text.replace('"user": null', "user: undefined")
    elif variant == "parsed":
        text = f"JSON.parse({json.dumps(text)})"
    script = f"<script>window.__INITIAL_STATE__ = {text};\n(function(){{var s=1;}})();</script>"
    return document(shelf, title, f'<div id="app"></div>{body}{script}', head)
