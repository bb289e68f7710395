"""Targets: site recipes, robots.txt, sitemaps, and extraction from HTML."""

from __future__ import annotations

import gzip
import math
import tempfile
from dataclasses import fields
from pathlib import Path

from core.errors import RecipeInvalid
from core.fetching import Fetched
from crawler.extraction.extract import extract
from crawler.extraction.found import Extraction, Links
from crawler.feeds import is_feed, read_feed
from crawler.recipes import SITES, Recipe, load_recipe
from crawler.robots import read_rules
from tests.fuzz.judging import expect, expect_http, expect_storable
from tests.fuzz.target import Target

PAGE_URL = "https://shop.example/c/coats?page=2"
PATHS = ("/", "/a/b.html?x=1&y=2", "/%EC%85%94", "/*$", "/private/")
MAX_PRICE = 10**12

_FOLDER = Path(tempfile.gettempdir())


def check_page(data: bytes) -> None:
    for headers in ({}, {"content-type": "application/json"}):
        _check_extraction(extract(data, PAGE_URL, headers, from_listing=bool(headers)))
    _check_extraction(extract(data, PAGE_URL, recipe=_RECIPE, query="coats"))


def _check_extraction(found: Extraction) -> None:
    for picture in found.pictures:
        expect_http(picture.url)
        expect_storable([picture.alt, picture.label, picture.page_url, picture.product.as_json()])
        for url in (picture.product_url, picture.product.url):
            if url is not None:
                expect_http(url)
        for price in (picture.product.price, picture.product.list_price):
            expect(price is None or (price.is_finite() and 0 <= price <= MAX_PRICE), f"an odd price: {price}")
        expect(
            picture.width is None or (math.isfinite(picture.width) and picture.width >= 0), f"a width: {picture.width}"
        )
    expect_storable([found.product.as_json(), found.title, found.encoding, dict(found.yields)])
    for member in fields(Links):
        value = getattr(found.links, member.name)
        for url in value if isinstance(value, tuple) else [value] if isinstance(value, str) else []:
            expect_http(url)


def check_sitemap(data: bytes) -> None:
    is_feed(data, "text/xml")
    feed = read_feed(data, PAGE_URL)
    for url in feed.sitemaps:
        expect_http(url)
    for entry in feed.entries:
        expect(
            entry.url.startswith(("https://shop.example", "http://shop.example")) or "shop.example" in entry.url, "host"
        )
        for url in (entry.url, *entry.images, *entry.translations):
            expect_http(url)
        expect_storable(entry.title)
        expect(entry.price is None or 0 <= entry.price.amount <= MAX_PRICE, f"an odd price: {entry.price}")
        for picture in entry.pictures(PAGE_URL):
            expect_storable(picture.product.as_json())


def check_robots(data: bytes) -> None:
    rules = read_rules(Fetched("https://shop.example/robots.txt", 200, {}, data, len(data), len(data), ()))
    expect(math.isfinite(rules.delay) and rules.delay >= 0, f"an odd delay: {rules.delay}")
    for path in PATHS:
        rules.allow(f"https://shop.example{path}")
    for sitemap in rules.sitemaps if hasattr(rules, "sitemaps") else ():
        expect_storable(sitemap)


def check_recipe(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".yaml", dir=_FOLDER) as file:
        file.write(data)
        file.flush()
        try:
            recipe = load_recipe(Path(file.name))
        except RecipeInvalid as error:
            expect(len(error.detail) < 100_000, "too long an error")
            error.detail.encode()
            return
    recipe.matches(PAGE_URL)
    recipe.recognises(PAGE_URL, _PAGE)
    recipe.query_of(PAGE_URL)
    for url in (recipe.list_url(PAGE_URL), recipe.with_query(PAGE_URL, "셔츠"), recipe.next_page(PAGE_URL, 60)):
        if url is not None:
            url.encode()
    for page in (_PAGE, _JSON):
        _check_extraction(extract(page, PAGE_URL, recipe=recipe, query="coats"))


_JSON_LD = (
    b'<script type="application/ld+json">{"@type":"Product","name":"Coat",'
    b'"image":["/a.jpg",{"url":"/b.jpg"}],"sku":"7",'
    b'"description":"<b>warm</b>","offers":{"price":"39.90","priceCurrency":"EUR","availability":"InStock"}}</script>'
)
_PAGE = (
    b'<html lang="ko"><head><meta charset="utf-8"><title>Coats</title><base href="/">'
    b'<link rel="canonical" href="/c/coats">'
    + _JSON_LD
    + b'<meta property="og:image" content="/og.jpg"><meta property="product:price:amount" content="5,00"></head><body>'
    b'<li class="card"><a href="/p/1"><img src="/1.jpg" srcset="/1b.jpg 800w, /1c.jpg 2x" '
    b'data-src="/1d.jpg" alt="Coat">'
    b'</a><b>Coat</b><span>39.900\xec\x9b\x90</span></li><div itemscope itemtype="http://schema.org/Product">'
    b'<img itemprop="image" src="/m.jpg"><span itemprop="price" content="7">7</span></div><noscript><img src="/n.jpg">'
    b'</noscript><a href="?page=3" rel="next">3</a><h1>Coat</h1><s>50 EUR</s> <b>39 EUR</b><button>Add to cart</button>'
    b'<div style="background-image:url(/bg.jpg)"></div></body></html>'
)
_STATE = (
    b'<script id="__NEXT_DATA__" type="application/json">{"props":{"pageProps":{"products":[{"name":"Coat","price":'
    b'39.9,"imageUrl":"/a.jpg","url":"/p/1"},{"name":"Shirt","price":9,'
    b'"imageUrl":"//cdn.example/b.jpg","id":2}]}}}</script>'
    b'<script>window.__STATE__ = {items: [{title: \'x\', price: "1,5", image: "/c.jpg",}],}; '
    b"dataLayer.push({});</script>"
)
_JSON = b'{"products":[{"title":"Coat","images":[{"src":"/a.jpg"}],"variants":[{"price":"39.90"}],"handle":"coat"}]}'
_CSS = (
    b'match: {hosts: [shop.example, "*.shop.example"], paths: ["/c/*"]}\n'
    b"list: {source: css, path: li.card, page: {param: page, size: 24, max: 100}}\n"
    b'fields: {image: img, title: "b::text", price: span, url: "a::attr(href)"}\ndelay: 1\nlabel_from: breadcrumb\n'
)


def _recipe() -> Recipe:
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        file.write(_CSS)
        file.flush()
        return load_recipe(Path(file.name))


_RECIPE = _recipe()
_GRAPH = (
    b'<script type="application/ld+json">{"@context":"https://schema.org","@graph":[{"@type":"ProductGroup","@id":"#g",'
    b'"name":"Coat","productGroupID":"c","variesBy":"https://schema.org/color","hasVariant":[{"@type":"Product",'
    b'"sku":"c-1","color":"red","image":{"@id":"#i"},"offers":{"@type":"AggregateOffer","lowPrice":"39","highPrice":50,'
    b'"priceCurrency":"EUR","priceSpecification":[{"priceType":"ListPrice","price":60}]}}]},{"@type":"ImageObject",'
    b'"@id":"#i","contentUrl":"/i.jpg","width":800},{"@type":"BreadcrumbList","itemListElement":[{"position":1,"item":'
    b'{"name":"Coats"}}]},{"@type":"ItemList","itemListElement":[{"@type":"ListItem","url":"/p/2"}]}]}</script>'
    b'<div vocab="https://schema.org/" typeof="Product"><span property="name">Coat</span>'
    b'<img property="image" src="/r.jpg">'
    b'</div><div itemscope itemtype="https://schema.org/Product" itemref="x"><meta itemprop="gtin13" '
    b'content="4006381333931">'
    b'</div><p id="x" itemprop="color">red</p><picture><source srcset="/w.webp 1x" media="(min-width:1px)">'
    b'<img src="/w.jpg">'
    b'</picture><select><option value="S">S</option></select><table><tr><th>Material</th><td>Wool</td></tr></table>'
    b'<nav class="breadcrumb"><a href="/c">Coats</a></nav><a href="/big.jpg" rel="nofollow">+</a>'
    b'<template><img src="/t.jpg"></template>'
    b'<meta name="robots" content="noindex"><link rel="alternate" hreflang="ko" href="/ko/">'
)
_PAGES = tuple(path.read_bytes() for path in sorted(Path(__file__).parents[1].glob("unit/crawler/pages/*.html")))
_RECIPES = tuple(path.read_bytes() for path in sorted(SITES.glob("*.yaml")))
_SITEMAP = (
    b'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
    b'xmlns:xhtml="http://www.w3.org/1999/xhtml"><url><loc>https://shop.example/p/1</loc>'
    b'<xhtml:link rel="alternate" hreflang="ko" href="https://shop.example/ko/p/1"/></url></urlset>'
)
_RSS = (
    b'<rss xmlns:g="http://base.google.com/ns/1.0"><channel><item><title>Coat</title><link>https://shop.example/p/1</link>'
    b"<g:image_link>/a.jpg</g:image_link><g:price>39.90 EUR</g:price><enclosure url='/b.jpg' type='image/jpeg'/></item>"
    b"</channel></rss>"
)

PAGE = Target(
    "page",
    check_page,
    (_PAGE, _PAGE.replace(b"</body>", _STATE + b"</body>"), _STATE, _JSON, _JSON_LD * 2, _GRAPH, *_PAGES),
    (
        *(
            b"\\ud800",
            b"\\u0000",
            b"&#0;",
            b"&#xD800;",
            b"&#x110000;",
            b"NaN",
            b"1e999",
            b"-1",
            b"[" * 60,
            b'{"a":' * 60,
        ),
        *(
            b"http://[",
            b"http://[::1",
            b"javascript:",
            b"data:",
            b"//",
            b"http://a:99999/",
            b"\xff\xfe",
            b"\x00",
            b"<svg>",
        ),
        *(
            b"<template>",
            b"<table>",
            b"<![CDATA[",
            b"<!--",
            b'"@graph":',
            b'"@id":"#a"',
            b'"@type":',
            b"itemref=",
            b"charset=",
        ),
        *("٣".encode(), "²".encode(), "\u2028".encode(), b"\xed\xa0\x80", b"-39,90", b"9" * 400, b"utf-7", b"utf-16"),
    ),
)
SITEMAP = Target(
    "sitemap",
    check_sitemap,
    (
        _SITEMAP,
        _SITEMAP.replace(b"urlset", b"sitemapindex").replace(b"<url>", b"<sitemap>").replace(b"</url>", b"</sitemap>"),
        _RSS,
        b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="/p/1"/><link rel="enclosure" href="/a.jpg" '
        b'type="image/jpeg"/></entry></feed>',
        b"https://shop.example/p/1\nhttps://shop.example/p/2\n",
        gzip.compress(_SITEMAP, mtime=0),
    ),
    (
        *(
            b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
            b"&b;",
            b"<url>",
            b"</url>",
            b"<loc>",
            b"<?xml encoding='utf-16'?>",
            b"\x1f\x8b",
        ),
        *(
            b"http://[",
            b"-1 EUR",
            b"1e99",
            b"hreflang=",
            b"\x00",
            b"\xff\xfe",
            b"<![CDATA[",
            b"https://shop.example@a/",
        ),
    ),
)
ROBOTS = Target(
    "robots",
    check_robots,
    (
        b"User-agent: *\nDisallow: /private/\nAllow: /private/a$\nCrawl-delay: 2\nSitemap: https://shop.example/s.xml\n",
        b"\xef\xbb\xbfUser-agent: Lookbook\nUser-agent: b\nDisallow: /*?x=*&y=*\nRequest-rate: 1/5s 0600-0845\n"
        b"Visit-time: 1-2\n",
    ),
    (
        *(
            b"User-agent: Lookbook",
            b"Disallow:",
            b"Allow:",
            b"Crawl-delay: ",
            b"Request-rate: ",
            b"1e999",
            b"nan",
            b"inf",
        ),
        *(b"-1", b"0/0", b"1/0", b"*" * 50, b"$", b"%", b"%zz", b"%ED%A0%80", b"\r", b"#", b"/h", b"/m", b"/d"),
    ),
)
RECIPE = Target(
    "recipe",
    check_recipe,
    (
        _CSS,
        b"match: {contains: [Coat]}\nlist: {source: json, path: products, follow: true, "
        b'urls: {"/c/*": "{path}/x.json"}}\n'
        b"fields: {image: 'images[].src', title: title, price: 'variants[0].price'}\nlabel_from: query\nrender: true\n",
        b"match: {contains: [Coat]}\nlist: {source: script, script: \"script[type='application/ld+json']\", "
        b"path: '@'}\n"
        b"fields: {image: image, title: name || sku, list_price: 'to_number(offers.price)'}\n",
        *_RECIPES,
    ),
    (
        *(
            b"&a [",
            b"*a",
            b"!!python/object:os.system",
            b"!!timestamp",
            b"<<: *a",
            b"? ",
            b"2001-01-01",
            b"0x1F",
            b".inf",
            b".nan",
        ),
        *(
            b"[?",
            b"max_by(@, &a)",
            b"sort(@)",
            b"*.*.*",
            b"to_array(@)",
            b"join(', ', @)",
            b"::attr(",
            b":has(",
            b":nth-child(",
        ),
        *(
            b"{path}",
            b"http://[",
            b"//",
            b"\\ud800",
            b"\\0",
            b"next_data",
            b"json",
            b"script",
            b"css",
            b"category",
            b"null",
        ),
    ),
)
