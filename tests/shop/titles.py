"""Product pages whose words are meant to be more than words."""

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
"""What the page's product is called. To be shown as text: no tag of it is ever a tag."""
PRICE = Decimal("19900")


def titled_page(request: Request, name: str) -> Answer:
    """Its link to itself is a `javascript:` one, and one of its two pictures is not to be fetched from anywhere."""
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
    # Named in the page only, as old shops do.
    return Answer(html.encode(encoding), "text/html")
