"""Helpers that build small pages and read what extraction finds on them."""

from __future__ import annotations

import json
from typing import Any

from crawler.extraction import Extraction, FoundPicture, extract

SHOP = "https://shop.example"
HERE = f"{SHOP}/p/1"
IMAGE = f"{SHOP}/i/dress.jpg"


def page(body: str, head: str = "", url: str = HERE, **options: Any) -> Extraction:
    return extract(f"<!doctype html><html><head>{head}</head><body>{body}</body></html>".encode(), url, **options)


def linked(data: object) -> str:
    text = data if isinstance(data, str) else json.dumps(data).replace("</", "<\\/")
    return f'<script type="application/ld+json">{text}</script>'


def product(**members: Any) -> dict[str, Any]:
    offer = {"@type": "Offer", "price": "39000", "priceCurrency": "KRW"}
    return {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": "Linen dress",
        "image": IMAGE,
        "offers": offer,
    } | members


def only(extraction: Extraction) -> FoundPicture:
    (found,) = extraction.pictures
    return found


def urls(extraction: Extraction) -> list[str]:
    return [found.url.removeprefix(SHOP) for found in extraction.pictures]


PRICED = '<h1>Linen dress</h1><del>59,000원</del> <b class="price">39,000원</b>'
