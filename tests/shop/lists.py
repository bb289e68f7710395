"""Sites whose lists are hard to read to the end: filters without end, lists that grow by script, several languages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html import escape
from itertools import count

from tests.shop.answers import JSON, XML, Answer, Request, missing, text
from tests.shop.catalogue import CATEGORIES, Product
from tests.shop.listings import Found, card, packed, page_of
from tests.shop.pictures import CARD
from tests.shop.shelf import Shelf, document
from tests.shop.sites import Site

PAGE_SIZE = 4
LANGUAGES = ("ko", "en", "de")

Answering = Callable[[Request], Answer]

_FILTERS = {
    "colour": [f"colour{n}" for n in range(40)],
    "size": [str(n) for n in range(30, 60)],
    "brand": [f"brand{n}" for n in range(100)],
    "material": [f"cloth{n}" for n in range(30)],
}
_FACETS = [f"{name}-{value}" for name in ("fit", "season", "length", "sleeve") for value in range(50)]
_ORDERS = ["price-asc", "price-desc", "newest", "name"]


def facets(site: Site) -> Answering:
    """Add 400 filters to every list: half in parameters, half in paths. They combine without end.

    Also add orders, session ids in the shop's own words, and a calendar.
    """
    visits = count(1)

    def answer(request: Request) -> Answer:
        parts = request.path.split("/")[1:]
        if parts[0] == "events":
            year, month, day = (*(int(part) for part in parts[1:] if part.isdecimal()), 2026, 1, 1)[:3]
            days = "".join(f'<a href="/events/{year + n}/{month}/{day}">{year + n}</a>' for n in (-1, 1, 2))
            return text(f"<!doctype html><title>Events</title><h1>Events</h1>{days}")
        if parts[0] != "c" or len(parts) < 2 or parts[1] not in CATEGORIES:
            return site(request)
        shelf = site.shelf(request.base)
        found = _found(shelf, parts[1], request)
        path, query = request.path.rstrip("/"), request.query
        kept = "".join(f"{name}={value}&amp;" for name, value in query.items() if name != "page")
        links = [f"{path}?{kept}{name}={value}" for name, values in _FILTERS.items() for value in values]
        links += [f"{path}/{facet}" for facet in _FACETS if facet not in parts]
        links += [f"{path}?{kept}order={order}" for order in _ORDERS]
        links += [f"{path}?{kept}visit={next(visits)}", "/events/2026/11/2"]
        filters = "".join(f'<a href="{link}">{number}</a> ' for number, link in enumerate(links))
        following = f'<a href="{path}?{kept}page={_page(request) + 1}">›</a>' if found.more else ""
        cards = "".join(card(shelf, product) for product in found.products)
        body = f"<h1>{parts[1]}</h1><aside>{filters}</aside><ul>{cards}</ul><p>{following}</p>"
        return text(document(shelf, parts[1], body))

    return answer


def growing(site: Site) -> Answering:
    """Show the first products of a list. A script fetches the others, in one of four ways for each category."""

    def answer(request: Request) -> Answer:
        parts = request.path.split("/")[1:]
        shelf = site.shelf(request.base)
        if parts[0] == "api" and parts[-1] in CATEGORIES:
            return _part(shelf, parts[-1], request)
        if parts[0] != "c" or len(parts) != 2 or parts[1] not in CATEGORIES:
            return site(request)
        found = _found(shelf, parts[1], request)
        cards = "".join(card(shelf, product) for product in found.products)
        more = _MORE[CATEGORIES[parts[1]] % len(_MORE)](parts[1], _page(request), found)
        return text(document(shelf, parts[1], f"<h1>{parts[1]}</h1><ul>{cards}</ul>{more}"))

    return answer


def bare(site: Site) -> Answering:
    """Show products without prices and without structured data: a heading, and small photos that link to large ones."""
    products = {product.slug: product for product in site.catalogue}

    def answer(request: Request) -> Answer:
        parts = request.path.split("/")[1:]
        shelf = site.shelf(request.base)
        if parts[0] == "p" and parts[-1] in products:
            product = products[parts[-1]]
            photos = "".join(
                f'<a href="{shelf.photo(product, view)}"><span><img src="{_small(shelf, product, view)}"></span></a>'
                for view in range(product.views)
            )
            return text(document(shelf, product.title, f"<h1>{escape(product.title)}</h1><div>{photos}</div>"))
        if parts[0] != "c" or len(parts) != 2 or parts[1] not in CATEGORIES:
            return site(request)
        found = _found(shelf, parts[1], request)
        cards = "".join(
            f'<li><a href="{shelf.page(product)}"><img src="{_small(shelf, product)}"></a>{escape(product.title)}</li>'
            for product in found.products
        )
        following = f'<a href="?page={_page(request) + 1}">›</a>' if found.more else ""
        return text(document(shelf, parts[1], f"<h1>{parts[1]}</h1><ul>{cards}</ul><p>{following}</p>"))

    return answer


def _small(shelf: Shelf, product: Product, view: int = 0) -> str:
    return shelf.photo(product, view, width=CARD, quality=60)


def _button(slug: str, page: int, found: Found) -> str:
    return '<button class="btn-load-more">더보기</button>'


def _total(slug: str, page: int, found: Found) -> str:
    return f"<p>{found.total} items, 1–{PAGE_SIZE} of {found.total} products</p>"


def _attribute(slug: str, page: int, found: Found) -> str:
    return f'<div data-next-url="/api/html/{slug}?offset={PAGE_SIZE}"></div>'


def _state(slug: str, page: int, found: Found) -> str:
    return f'<script>window.__LIST__ = {{"loadMoreUrl": "\\/api\\/json\\/{slug}?page={{page}}"}};</script>'


_MORE = (_button, _total, _attribute, _state)


def _part(shelf: Shelf, slug: str, request: Request) -> Answer:
    """Return further products of a category: as HTML in JSON, or as JSON."""
    page = int(request.query.get("offset", "0")) // PAGE_SIZE + 1 if "offset" in request.query else _page(request)
    products = page_of(shelf, slug, page, PAGE_SIZE).products
    if "html" in request.path:
        answer = {"html": "".join(card(shelf, product) for product in products), "count": len(products)}
        return Answer(json.dumps(answer).encode(), "text/html; charset=utf-8")
    return Answer(json.dumps({"data": {"items": [_as_json(shelf, each) for each in products]}}).encode(), JSON)


def _as_json(shelf: Shelf, product: Product) -> dict[str, object]:
    image = {"url": shelf.photo(product), "alt": product.title}
    return {
        "name": product.title,
        "salePrice": str(product.price),
        "currency": product.currency,
        "productUrl": shelf.page(product),
        "image": image,
    }


def languages(site: Site) -> Answering:
    """Offer every page in three languages under `/ko`, `/en` and `/de`, which name each other by `hreflang`."""

    def answer(request: Request) -> Answer:
        language, rest = request.path[1:3], request.path[3:] or "/"
        if request.path == "/sitemap.xml":
            return text(_index(request.base), XML)
        if request.path.startswith("/sitemap-"):
            return _sitemap(site, request)
        if language not in LANGUAGES or not rest.startswith("/"):
            return site(request) if request.path != "/" else _moved_home()
        plain = site(replace(request, target=rest))
        if not plain.type.startswith("text/html") or plain.status != 200:
            return plain
        html = _CANONICAL.sub("", plain.body.decode())
        html = _LINK.sub(rf"\1/{language}\2", html)
        links = "".join(
            f'<link rel="alternate" hreflang="{x}" href="{request.base}/{x}{rest}">' for x in (*LANGUAGES, "x-default")
        ).replace("/x-default/", "/en/")
        switch = "".join(f'<a href="/{x}{rest}">{x}</a>' for x in LANGUAGES)
        html = html.replace('<html lang="ko">', f'<html lang="{language}">').replace("<main>", f"{switch}<main>")
        return text(html.replace("</head>", f"{links}</head>"))

    return answer


_LINK = re.compile(r'(<a href="(?:http://[^/"]*)?)(/(?:[pc]/[^"]*|))(?=")')
_CANONICAL = re.compile('<link rel="(?:canonical|next|prev)" href="[^"]*">')


def _moved_home() -> Answer:
    return Answer(b"", "text/plain", 302, {"Location": "/ko/"})


def _index(base: str) -> str:
    """Return an index: pages that are no products, and the products of each language, packed twice."""
    names = ["sitemap-pages.xml", *(f"sitemap-products-{x}.xml.gz" for x in LANGUAGES)]
    parts = "".join(f"<sitemap><loc>{base}/{name}</loc></sitemap>" for name in names)
    return f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{parts}</sitemapindex>'


def _sitemap(site: Site, request: Request) -> Answer:
    name = request.path.removeprefix("/sitemap-").partition(".")[0]
    if name == "pages":
        return text(_urlset(f"<url><loc>{request.base}/about</loc></url>"), XML)
    language = name.rpartition("-")[2]
    if language not in LANGUAGES:
        return missing()
    shelf = site.shelf(request.base)
    urls = []
    for product in site.catalogue:
        path = shelf.path(shelf.page(product))
        links = "".join(
            f'<xhtml:link rel="alternate" hreflang="{x}" href="{request.base}/{x}{escape(path)}"/>' for x in LANGUAGES
        )
        urls.append(f"<url><loc>{request.base}/{language}{escape(path)}</loc>{links}</url>")
    return Answer(packed(packed(_urlset("".join(urls)))), "application/gzip")


def _urlset(urls: str) -> str:
    names = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:xhtml="http://www.w3.org/1999/xhtml"'
    return f"<urlset {names}>{urls}</urlset>"


def _found(shelf: Shelf, slug: str, request: Request) -> Found:
    return page_of(shelf, slug, _page(request), PAGE_SIZE)


def _page(request: Request) -> int:
    number = request.query.get("page", "1")
    return int(number) if number.isdecimal() and len(number) < 6 else 1
