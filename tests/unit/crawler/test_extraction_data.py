"""Structured data of a page: JSON-LD, microdata, Open Graph, and the state in its scripts."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from crawler.extraction import LeftOut, PageKind, Rule
from tests.unit.crawler.small_pages import HERE, IMAGE, SHOP, linked, only, page, product, urls


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        "/i/dress.jpg",
        "//shop.example/i/dress.jpg",
        [IMAGE],
        {"@type": "ImageObject", "url": IMAGE},
        {"@type": "ImageObject", "contentUrl": IMAGE, "thumbnailUrl": f"{SHOP}/t/dress.jpg"},
        [{"@type": "ImageObject", "url": [IMAGE]}],
        {"@list": [IMAGE]},
        {"@id": "#photo"},
    ],
    ids=str,
)
def test_images_are_read_from_every_shape_of_json_ld(image: object) -> None:
    photo = {"@type": "ImageObject", "@id": "#photo", "url": IMAGE}
    found = page("", linked({"@graph": [product(image=image), photo]}))
    picture = only(found)
    assert (picture.url, picture.rule, picture.product.title) == (IMAGE, Rule.JSON_LD, "Linen dress")
    assert (picture.product.price, picture.product.currency) == (Decimal(39000), "KRW")
    assert (picture.page_url, picture.rank, picture.product_url) == (HERE, 1, None)
    assert found.kind is PageKind.PRODUCT


@pytest.mark.parametrize(
    "offers",
    [
        {"@type": "Offer", "price": 39000, "priceCurrency": "KRW"},
        [{"@type": "Offer", "price": "39,000", "priceCurrency": "KRW"}],
        {"@type": "AggregateOffer", "lowPrice": "39000", "highPrice": "59000", "priceCurrency": "KRW"},
        {
            "@type": "AggregateOffer",
            "priceCurrency": "KRW",
            "offers": [{"@type": "Offer", "price": 39000, "priceCurrency": "KRW"}],
        },
        {
            "@type": "Offer",
            "priceSpecification": {"@type": "UnitPriceSpecification", "price": "39000", "priceCurrency": "KRW"},
        },
        {
            "@type": "Offer",
            "price": "59000",
            "priceCurrency": "KRW",
            "priceSpecification": [
                {"price": 59000, "priceType": "https://schema.org/ListPrice"},
                {"price": 39000, "priceType": "https://schema.org/SalePrice"},
            ],
        },
    ],
    ids=str,
)
def test_prices_are_read_from_every_shape_of_json_ld(offers: object) -> None:
    picture = only(page("", linked(product(offers=offers))))
    assert (picture.product.price, picture.product.currency) == (Decimal(39000), "KRW")


@pytest.mark.parametrize(
    "kind",
    [
        "Product",
        ["Product", "Thing"],
        "https://schema.org/Product",
        "schema:Product",
        "http://schema.org/IndividualProduct",
    ],
    ids=str,
)
def test_products_are_recognised_by_every_spelling_of_their_type(kind: object) -> None:
    assert only(page("", linked(product(**{"@type": kind})))).rule is Rule.JSON_LD


def test_a_broken_block_of_json_ld_does_not_affect_other_blocks_and_rules() -> None:
    og = f'<meta property="og:type" content="product"><meta property="og:image" content="{SHOP}/i/back.jpg">'
    found = page("", linked('{"@type": "Product", "name": ') + linked("[[[") + linked(product()) + og)
    assert [(picture.url, picture.rule) for picture in found.pictures] == [
        (IMAGE, Rule.JSON_LD),
        (f"{SHOP}/i/back.jpg", Rule.OPEN_GRAPH),
    ]


def test_pictures_of_brands_reviews_and_sellers_are_left_out() -> None:
    other = {"@type": "Organization", "name": "x", "logo": f"{SHOP}/logo.png", "image": f"{SHOP}/house.jpg"}
    review = {
        "@type": "Review",
        "author": {"@type": "Person", "image": f"{SHOP}/me.jpg"},
        "itemReviewed": product(image="/x.jpg"),
    }
    found = page("", linked([other, product(brand=other, review=review)]))
    assert urls(found) == ["/i/dress.jpg"]


def test_variants_of_a_product_group_share_its_title_and_have_their_own_pictures() -> None:
    variants = [
        {
            "@type": "Product",
            "name": f"Linen dress {colour}",
            "image": f"/i/{colour}.jpg",
            "offers": product()["offers"],
        }
        for colour in ("red", "blue")
    ]
    group = {"@type": "ProductGroup", "name": "Linen dress", "image": IMAGE, "hasVariant": variants}
    found = page("", linked(group))
    assert sorted(urls(found)) == ["/i/blue.jpg", "/i/dress.jpg", "/i/red.jpg"]
    assert {picture.product.title for picture in found.pictures} == {"Linen dress"}
    assert {picture.product.price for picture in found.pictures} == {39000}
    assert found.kind is PageKind.PRODUCT


def test_each_picture_of_a_list_in_json_ld_gets_its_product() -> None:
    items = [
        {"@type": "ListItem", "position": n, "item": product(name=f"Dress {n}", image=f"/i/{n}.jpg", url=f"/p/{n}")}
        for n in (7, 8, 9)
    ]
    found = page("", linked({"@type": "ItemList", "itemListElement": items}), url=f"{SHOP}/c/dresses")
    assert found.kind is PageKind.LISTING
    assert [(picture.product.title, picture.product_url, picture.rank) for picture in found.pictures] == [
        (f"Dress {n}", f"{SHOP}/p/{n}", rank) for rank, n in enumerate((7, 8, 9), 1)
    ]
    assert found.links.products == tuple(f"{SHOP}/p/{n}" for n in (7, 8, 9))


def test_the_breadcrumb_comes_from_json_ld_or_from_the_page() -> None:
    trail = {"@type": "BreadcrumbList", "itemListElement": [{"name": "Women"}, {"item": {"name": "Dresses"}}]}
    assert only(page("", linked([product(), trail]))).product.breadcrumb == ("Women", "Dresses")
    nav = '<nav class="breadcrumb"><ol><li><a href="/">Women</a></li><li>Dresses</li></ol></nav>'
    picture = only(page(nav, linked(product())))
    assert (picture.product.breadcrumb, picture.product.category) == (("Women", "Dresses"), "Dresses")


def test_microdata_is_read() -> None:
    found = page(
        '<div itemscope itemtype="https://schema.org/Product"><h1 itemprop="name">Linen\n dress</h1>'
        '<img itemprop="image" src="/i/dress_300x.jpg" srcset="/i/dress_300x.jpg 300w, /i/dress.jpg 900w">'
        '<div itemprop="review" itemscope><img itemprop="image" src="/me.jpg" width="40"></div>'
        '<div itemprop="offers" itemscope itemtype="https://schema.org/Offer">'
        '<meta itemprop="priceCurrency" content="EUR">'
        '<span itemprop="price" content="39.90">39,90 €</span></div></div>'
    )
    picture = only(found)
    assert (picture.url, picture.rule, picture.product.title) == (IMAGE, Rule.MICRODATA, "Linen dress")
    assert (picture.product.price, picture.product.currency) == (Decimal("39.90"), "EUR")


def test_microdata_is_followed_to_other_places_on_the_page() -> None:
    found = page(
        '<div itemscope itemtype="https://schema.org/Product" itemref="photo"><b itemprop="name">Dress</b></div>'
        '<p id="photo"><link itemprop="image" href="/i/dress.jpg"></p>'
    )
    assert only(found).product.title == "Dress"


def test_open_graph_is_used_only_on_product_pages() -> None:
    image = f'<meta property="og:image" content="{IMAGE}"><meta property="og:title" content="Linen dress">'
    price = (
        '<meta property="product:price:amount" content="39.00"><meta property="product:price:currency" content="USD">'
    )
    picture = only(page("", image + price))
    assert (picture.rule, picture.product.title, picture.product.price, picture.product.currency) == (
        Rule.OPEN_GRAPH,
        "Linen dress",
        Decimal(39),
        "USD",
    )
    plain = page("<p>About us</p>", image)
    assert plain.pictures == ()
    assert plain.left_out == {LeftOut.NO_PRODUCT: 1}


STATE = {
    "a": {
        "b": [{"goodsNm": "Linen dress", "thumbnailImageUrl": "/i/dress.jpg", "salePrice": 39000, "normalPrice": 59000}]
    }
}


@pytest.mark.parametrize(
    "script",
    [
        f'<script id="__NEXT_DATA__" type="application/json">{json.dumps(STATE)}</script>',
        f"<script>window.__INITIAL_STATE__ = {json.dumps(STATE)};</script>",
        f"<script>window['__STATE__']={json.dumps(STATE)},window.x=1</script>",
        f"<script>var s = 1; window.__APP__ = JSON.parse({json.dumps(json.dumps(STATE))});</script>",
        "<script>let d = {goodsNm: 'Linen dress', imageUrl: '/i/dress.jpg', price: {sale: 39000, list: 5e4}};</script>",
        f"<script>self.__next_f.push([1, {json.dumps('1:' + json.dumps(STATE))}])</script>",
        f'<div data-page="{json.dumps(STATE).replace(chr(34), "&quot;")}"></div>',
        '<script>window.p = {name: "Linen dress", images: [{src: "/i/dress_300x.jpg", width: 300}, '
        '{src: "/i/dress.jpg", width: 900}], prices: {current: "39,000원", original: "59,000원"}}</script>',
    ],
)
def test_a_product_is_found_in_every_form_of_embedded_state(script: str) -> None:
    picture = only(page(script))
    assert (picture.url, picture.rule, picture.product.title, picture.product.price) == (
        IMAGE,
        Rule.STATE,
        "Linen dress",
        Decimal(39000),
    )


def test_embedded_state_without_prices_is_no_product() -> None:
    assert page('<script>window.x = {name: "Banner", image: "/banner.jpg", price: null}</script>').pictures == ()
