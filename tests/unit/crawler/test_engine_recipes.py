"""The recipes of shop engines, on pages written from the engines' public templates."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from crawler.extraction import Extraction, PageKind, extract
from crawler.recipes import load_recipes, recipe_of_page

SHOP, PHOTOS = "https://shop.example", "https://photos.example"
CAFE24_PRODUCT = "/product/coat/11/category/24/display/1/"

MAGENTO_LIST = """<body class="page-with-filter catalog-category-view"><ol class="products list items product-items">
<li class="item product product-item"><div class="product-item-info"><a href="/coat.html" class="product photo">
<img class="product-image-photo" src="/media/catalog/product/cache/small/c/o/coat.jpg" alt="Coat"></a>
<strong class="product name product-item-name"><a class="product-item-link" href="/coat.html"> Coat </a></strong>
<div class="price-box"><span class="special-price"><span data-price-amount="39" data-price-type="finalPrice"
class="price-wrapper"><span class="price">$39.00</span></span></span><span class="old-price">
<span data-price-amount="59" data-price-type="oldPrice" class="price-wrapper">$59.00</span></span></div></div></li>
<li class="item product product-item"><div><a class="product-item-link" href="/hat.html">Hat</a>
<img class="product-image-photo" src="/media/hat.jpg"><span data-price-amount="9.5" data-price-type="finalPrice">$9.50
</span></div></li></ol></body>"""

MAGENTO_PRODUCT = """<body class="catalog-product-view"><h1>Coat</h1><span class="price">$39.00</span>
<script type="text/x-magento-init">{"[data-gallery-role=gallery-placeholder]": {"mage/gallery/gallery": {"mixins": [],
"data": [{"thumb": "/m/t1.jpg", "img": "/m/i1.jpg", "full": "/m/f1.jpg", "caption": "Coat", "isMain": true},
{"thumb": "/m/t2.jpg", "img": "/m/i2.jpg", "full": "/m/f2.jpg"}]}}}</script></body>"""

CAFE24_LIST = """<div class="xans-element- xans-product xans-product-listnormal"><ul class="prdList grid4">
<li id="anchorBoxId_11" class="xans-record-"><div class="thumbnail"><a href="/product/coat/11/category/24/display/1/">
<img src="//shop.example/web/product/medium/11.jpg"></a></div>
<div class="description" ec-data-custom="59000" ec-data-price="39000"><strong class="name">
<a href="/product/coat/11/category/24/display/1/"><span class="title displaynone">상품명 :</span>
<span style="font-size:12px">코트</span></a></strong></div></li>
<li id="anchorBoxId_12" class="xans-record-"><div class="prdImg"><a href="/product/hat/12/category/24/display/1/">
<img data-src="/web/product/medium/12.jpg"></a></div><div class="description" ec-data-price="9000">
<p class="name"><a href="/product/hat/12/category/24/display/1/"><span>모자</span></a></p></div></li></ul></div>
<div class="xans-product-listrecommend"><ul class="prdList"><li><img src="/web/product/medium/1.jpg"></li></ul></div>
<div class="ec-base-paginate"><a href="?page=2">2</a></div>"""


def state(content: object) -> str:
    return f"<script>window.__PRELOADED_STATE__={json.dumps(content)}</script>"


SMARTSTORE_LIST = state(
    {
        "categoryProducts": {
            "simpleProducts": [
                {
                    "id": "71",
                    "name": "코트",
                    "salePrice": 59000,
                    "benefitsView": {"discountedSalePrice": 39000},
                    "representativeImageUrl": "https://photos.example/71.jpg",
                    "category": {"categoryName": "코트"},
                },
                {
                    "id": "72",
                    "name": "모자",
                    "salePrice": 9000,
                    "representativeImageUrl": "https://photos.example/72.jpg",
                },
            ]
        }
    }
)
SMARTSTORE_PRODUCT = state(
    {
        "product": {
            "A": {
                "id": 71,
                "name": "코트",
                "salePrice": 39000,
                "productImages": [{"url": "https://photos.example/71.jpg"}, {"url": "https://photos.example/71b.jpg"}],
            }
        }
    }
)


def read(page: str, path: str) -> tuple[str | None, Extraction]:
    url, body = SHOP + path, page.encode()
    recipe = recipe_of_page(load_recipes(), url, body)
    return recipe.name if recipe else None, extract(body, url, recipe=recipe)


@pytest.mark.parametrize(
    ("page", "path", "name", "first"),
    [
        (MAGENTO_LIST, "/coats.html", "magento2", ("Coat", Decimal(39), Decimal(59), "/coat.html")),
        (
            CAFE24_LIST,
            "/category/coats/24/",
            "cafe24",
            ("코트", Decimal(39000), Decimal(59000), "/product/coat/11/category/24/display/1/"),
        ),
        (
            SMARTSTORE_LIST,
            "/store/category/ALL",
            "smartstore",
            ("코트", Decimal(39000), Decimal(59000), "/store/products/71"),
        ),
    ],
    ids=["magento", "cafe24", "smartstore"],
)
def test_the_list_of_an_engine_is_recognised_and_read(
    page: str, path: str, name: str, first: tuple[str, Decimal, Decimal, str]
) -> None:
    recipe, found = read(page, path)
    assert (recipe, found.kind, len(found.pictures)) == (name, PageKind.LISTING, 2)
    product = found.pictures[0].product
    shown = product.title, product.price, product.list_price, (found.pictures[0].product_url or "").removeprefix(SHOP)
    assert shown == first
    assert len(found.links.products) == 2


@pytest.mark.parametrize(
    ("page", "path", "name", "pictures"),
    [
        (MAGENTO_PRODUCT, "/coat.html", "magento2-product", [f"{SHOP}/m/f1.jpg", f"{SHOP}/m/f2.jpg"]),
        (
            SMARTSTORE_PRODUCT,
            "/store/products/71",
            "smartstore",
            [f"https://photos.example/{x}.jpg" for x in ("71", "71b")],
        ),
    ],
    ids=["magento", "smartstore"],
)
def test_the_page_of_a_product_gives_its_gallery(page: str, path: str, name: str, pictures: list[str]) -> None:
    recipe, found = read(page, path)
    assert (recipe, found.kind) == (name, PageKind.PRODUCT)
    assert [picture.url for picture in found.pictures] == pictures
    assert {picture.product.price for picture in found.pictures} in ({Decimal(39)}, {Decimal(39000)})


def test_a_start_page_leads_to_the_list_of_its_shop() -> None:
    engines = {recipe.name: recipe for recipe in load_recipes() if recipe.urls}
    shopify = engines["shopify"]
    assert shopify.recognises(f"{SHOP}/", b'<link href="//cdn.shopify.com/s/files/1/theme.css">')
    assert shopify.list_url(f"{SHOP}/") == f"{SHOP}/products.json?limit=250"
    assert shopify.list_url(f"{SHOP}/collections/coats/") == f"{SHOP}/collections/coats/products.json?limit=250"
    assert shopify.next_page(f"{SHOP}/products.json?limit=250", 250) == f"{SHOP}/products.json?limit=250&page=2"
    assert engines["woocommerce"].recognises(f"{SHOP}/", b'<meta name="generator" content="WooCommerce 10.2.1">')
    assert not any(recipe.recognises(f"{SHOP}/", b"<html></html>") for recipe in engines.values())
