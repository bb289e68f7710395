"""Our reading of microdata against extruct's, which is slower and reads more than products."""

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
        return [one for part in value for one in products(part)]
    if not isinstance(value, dict):
        return []
    own = [value["properties"]] if str(value.get("type", "")).endswith("/Product") else []
    return own + products(list(value.get("properties", {}).values()))


@pytest.mark.parametrize("html", PAGES)
def test_names_and_images_are_those_that_extruct_reads(html: str) -> None:
    base = "https://shop.example/"
    theirs = products(extruct.extract(html, base_url=base, syntaxes=["microdata"])["microdata"])
    ours = microdata(Page(html.encode(), base)).products
    listed = [image if isinstance(image, list) else [image] for image in (one["image"] for one in theirs)]
    assert [one.title for one in ours] == [one["name"] for one in theirs]
    assert [[variants[0].url for variants in one.pictures] for one in ours] == listed
