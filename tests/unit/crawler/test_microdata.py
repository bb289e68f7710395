"""The reading of microdata compared with extruct, which is slower and reads more than products."""

from __future__ import annotations

from typing import Any

import extruct
import pytest

from crawler.extraction.page import Page
from crawler.extraction.structured import microdata

PAGES = [
    '<div itemscope itemtype="https://schema.org/Product"><b itemprop="name">Linen <i>dress</i></b>'
    '<img itemprop="image" src="/i/1.jpg"><img itemprop="image" src="/i/2.jpg"></div>',
    '<div itemscope itemtype="https://schema.org/ItemList">'
    '<div itemprop="itemListElement" itemscope itemtype="https://schema.org/Product">'
    '<meta itemprop="name" content="A"><link itemprop="image" href="/a.jpg"></div>'
    '<div itemprop="itemListElement" itemscope itemtype="https://schema.org/Product">'
    '<span itemprop="name">B</span><img itemprop="image" src="/b.jpg"></div></div>',
    '<div itemscope itemtype="https://schema.org/Product" itemref="more"><b itemprop="name">C</b></div>'
    '<p id="more"><img itemprop="image" src="/c.jpg"></p>',
]


def products(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [product for part in value for product in products(part)]
    if not isinstance(value, dict):
        return []
    own = [value["properties"]] if str(value.get("type", "")).endswith("/Product") else []
    return own + products(list(value.get("properties", {}).values()))


@pytest.mark.parametrize("html", PAGES)
def test_names_and_images_agree_with_those_of_extruct(html: str) -> None:
    base = "https://shop.example/"
    theirs = products(extruct.extract(html, base_url=base, syntaxes=["microdata"])["microdata"])
    ours = microdata(Page(html.encode(), base)).products
    images = [image if isinstance(image, list) else [image] for image in (product["image"] for product in theirs)]
    assert [product.title for product in ours] == [product["name"] for product in theirs]
    assert [[variants[0].url for variants in product.pictures] for product in ours] == images
