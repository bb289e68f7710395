"""Sites of shop engines that list all products as JSON, in the form of their public documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

from tests.shop.answers import JSON, Answer, Request, text
from tests.shop.catalogue import Product
from tests.shop.shelf import Shelf
from tests.shop.sites import Site

Answering = Callable[[Request], Answer]


def shopify(site: Site) -> Answering:
    """Answer `/products.json?limit=…&page=…`. The pages name the engine's content network."""
    return _with_list(
        site,
        "/products.json",
        "limit",
        '<script src="//cdn.shopify.com/s/files/theme.js"></script>',
        lambda shelf, products: {"products": [_of_shopify(shelf, product) for product in products]},
    )


def woocommerce(site: Site) -> Answering:
    """Answer `/wp-json/wc/store/v1/products?per_page=…&page=…`. The pages name the engine as their generator."""
    return _with_list(
        site,
        "/wp-json/wc/store/v1/products",
        "per_page",
        '<meta name="generator" content="WooCommerce 10.2.1">',
        lambda shelf, products: [_of_woocommerce(shelf, product) for product in products],
    )


def _with_list(site: Site, path: str, size: str, sign: str, listed: Callable[[Shelf, list[Product]], Any]) -> Answering:
    def answer(request: Request) -> Answer:
        if request.path == path:
            number, count = int(request.query.get("page", "1")), int(request.query.get(size, "10"))
            products = list(islice(site.catalogue, (number - 1) * count, number * count))
            return Answer(json.dumps(listed(site.shelf(request.base), products)).encode(), JSON)
        plain = site(request)
        if not plain.type.startswith("text/html") or plain.status != 200:
            return plain
        return text(plain.body.decode().replace("</head>", f"{sign}</head>"))

    return answer


def _photos(shelf: Shelf, product: Product) -> list[str]:
    return [shelf.photo(product, view) for view in range(product.views)]


def _of_shopify(shelf: Shelf, product: Product) -> dict[str, Any]:
    return {
        "id": product.number,
        "title": product.title,
        "handle": product.slug,
        "body_html": f"<p>{product.title}</p>",
        "vendor": "Fixture",
        "product_type": product.category,
        "variants": [
            {"id": 1, "title": "M", "sku": f"S-{product.number}", "available": True, "price": f"{product.price:.2f}"}
        ],
        "images": [{"src": url, "position": position} for position, url in enumerate(_photos(shelf, product), 1)],
    }


def _of_woocommerce(shelf: Shelf, product: Product) -> dict[str, Any]:
    units = str(int(product.price * 100))
    return {
        "id": product.number,
        "name": product.title,
        "permalink": shelf.page(product),
        "sku": f"W-{product.number}",
        "short_description": "<p>Cotton</p>",
        "prices": {
            "currency_code": product.currency,
            "currency_minor_unit": 2,
            "price": units,
            "regular_price": units,
        },
        "images": [{"src": url, "thumbnail": url} for url in _photos(shelf, product)],
        "categories": [{"id": 1, "name": product.category}],
        "is_in_stock": False,
    }
