"""Product pages with hostile titles."""

from __future__ import annotations

import json
from decimal import Decimal
from html import escape

from tests.shop.answers import Answer, Request, text

TITLES = {
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "bidi": "Shirt \u202egpj.exe\u202c",
    "formula": '=HYPERLINK("http://a.test","Shirt")',
    "entity": "Tom &amp; Jerry",
    "zero-width": "Sh\u200birt\u2060",
    "line-ends": "Shirt\r\nSet-Cookie: a=b",
    "long": "Shirt " * 2000,
    "euc-kr": "여름 셔츠",
}
"""The titles, which have to be shown as text: a tag in them must never become a tag of the page."""
PRICE = Decimal("19900")


def titled_page(request: Request, name: str) -> Answer:
    """Return a page with a hostile title, a `javascript:` link to itself, and images with forbidden URLs."""
    title = TITLES[name]
    thing = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": title,
        "url": "javascript:alert(1)",
        "image": ["/t/jpeg-as-octets", "javascript:alert(1)", "file:///etc/passwd", "//[broken/a.jpg"],
        "offers": {"@type": "Offer", "price": str(PRICE), "priceCurrency": "KRW"},
    }
    script = json.dumps(thing, ensure_ascii=False).replace("</", "<\\/")
    encoding = "euc-kr" if name == "euc-kr" else "utf-8"
    html = (
        f'<!doctype html><html><head><meta charset="{encoding}"><title>{escape(title)}</title>'
        f'<script type="application/ld+json">{script}</script></head><body><h1>{escape(title)}</h1>'
        f'<a href="javascript:alert(1)">Buy</a> <a href="data:text/html,x">Look</a></body></html>'
    )
    if encoding == "utf-8":
        return text(html)
    # As in old shops, only the page names its encoding.
    return Answer(html.encode(encoding), "text/html")
