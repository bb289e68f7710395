"""From a page to its products' pictures: one small page for each thing that pages do."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.extraction import Extraction, FoundPicture, LeftOut, PageKind, Repetition, Rule, extract
from crawler.extraction.page import Page
from crawler.urls import joined

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
def test_json_ld_has_its_image_in_many_shapes(image: object) -> None:
    photo = {"@type": "ImageObject", "@id": "#photo", "url": IMAGE}
    found = page("", linked({"@graph": [product(image=image), photo]}))
    one = only(found)
    assert (one.url, one.rule, one.title, one.price, one.currency) == (IMAGE, Rule.JSON_LD, "Linen dress", 39000, "KRW")
    assert (one.page_url, one.rank, one.product_url) == (HERE, 1, None)
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
def test_json_ld_has_its_price_in_many_shapes(offers: object) -> None:
    one = only(page("", linked(product(offers=offers))))
    assert (one.price, one.currency) == (39000, "KRW")


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
def test_json_ld_names_its_types_in_many_ways(kind: object) -> None:
    assert only(page("", linked(product(**{"@type": kind})))).rule is Rule.JSON_LD


def test_a_broken_block_of_json_ld_does_not_lose_the_others_nor_the_other_rules() -> None:
    og = f'<meta property="og:type" content="product"><meta property="og:image" content="{SHOP}/i/back.jpg">'
    found = page("", linked('{"@type": "Product", "name": ') + linked("[[[") + linked(product()) + og)
    assert [(one.url, one.rule) for one in found.pictures] == [
        (IMAGE, Rule.JSON_LD),
        (f"{SHOP}/i/back.jpg", Rule.OPEN_GRAPH),
    ]


def test_pictures_of_brand_review_and_seller_are_not_the_products() -> None:
    other = {"@type": "Organization", "name": "x", "logo": f"{SHOP}/logo.png", "image": f"{SHOP}/house.jpg"}
    review = {
        "@type": "Review",
        "author": {"@type": "Person", "image": f"{SHOP}/me.jpg"},
        "itemReviewed": product(image="/x.jpg"),
    }
    found = page("", linked([other, product(brand=other, review=review)]))
    assert urls(found) == ["/i/dress.jpg"]


def test_variants_of_a_group_have_its_title_and_their_own_pictures() -> None:
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
    assert {one.title for one in found.pictures} == {"Linen dress"}
    assert {one.price for one in found.pictures} == {39000}
    assert found.kind is PageKind.PRODUCT


def test_a_list_in_json_ld_gives_each_picture_its_product() -> None:
    items = [
        {"@type": "ListItem", "position": n, "item": product(name=f"Dress {n}", image=f"/i/{n}.jpg", url=f"/p/{n}")}
        for n in (7, 8, 9)
    ]
    found = page("", linked({"@type": "ItemList", "itemListElement": items}), url=f"{SHOP}/c/dresses")
    assert found.kind is PageKind.LISTING
    assert [(one.title, one.product_url, one.rank) for one in found.pictures] == [
        (f"Dress {n}", f"{SHOP}/p/{n}", rank) for rank, n in enumerate((7, 8, 9), 1)
    ]
    assert found.links.products == tuple(f"{SHOP}/p/{n}" for n in (7, 8, 9))


def test_the_breadcrumb_comes_from_json_ld_or_from_the_page() -> None:
    trail = {"@type": "BreadcrumbList", "itemListElement": [{"name": "Women"}, {"item": {"name": "Dresses"}}]}
    assert only(page("", linked([product(), trail]))).breadcrumb == ("Women", "Dresses")
    nav = '<nav class="breadcrumb"><ol><li><a href="/">Women</a></li><li>Dresses</li></ol></nav>'
    one = only(page(nav, linked(product())))
    assert (one.breadcrumb, one.category) == (("Women", "Dresses"), "Dresses")


def test_microdata_is_read() -> None:
    found = page(
        '<div itemscope itemtype="https://schema.org/Product"><h1 itemprop="name">Linen\n dress</h1>'
        '<img itemprop="image" src="/i/dress_300x.jpg" srcset="/i/dress_300x.jpg 300w, /i/dress.jpg 900w">'
        '<div itemprop="review" itemscope><img itemprop="image" src="/me.jpg" width="40"></div>'
        '<div itemprop="offers" itemscope itemtype="https://schema.org/Offer">'
        '<meta itemprop="priceCurrency" content="EUR">'
        '<span itemprop="price" content="39.90">39,90 €</span></div></div>'
    )
    one = only(found)
    assert (one.url, one.rule, one.title) == (IMAGE, Rule.MICRODATA, "Linen dress")
    assert (one.price, one.currency) == (Decimal("39.90"), "EUR")


def test_microdata_may_stand_elsewhere_on_the_page() -> None:
    found = page(
        '<div itemscope itemtype="https://schema.org/Product" itemref="photo"><b itemprop="name">Dress</b></div>'
        '<p id="photo"><link itemprop="image" href="/i/dress.jpg"></p>'
    )
    assert only(found).title == "Dress"


def test_open_graph_counts_on_a_products_page_only() -> None:
    image = f'<meta property="og:image" content="{IMAGE}"><meta property="og:title" content="Linen dress">'
    price = (
        '<meta property="product:price:amount" content="39.00"><meta property="product:price:currency" content="USD">'
    )
    one = only(page("", image + price))
    assert (one.rule, one.title, one.price, one.currency) == (Rule.OPEN_GRAPH, "Linen dress", 39, "USD")
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
def test_a_product_is_found_in_any_state(script: str) -> None:
    one = only(page(script))
    assert (one.url, one.rule, one.title, one.price) == (IMAGE, Rule.STATE, "Linen dress", 39000)


def test_state_without_prices_is_no_product() -> None:
    assert page('<script>window.x = {name: "Banner", image: "/banner.jpg", price: null}</script>').pictures == ()


PRICED = '<h1>Linen dress</h1><del>59,000원</del> <b class="price">39,000원</b>'


@pytest.mark.parametrize(
    ("image", "rule"),
    [
        ('<img src="/i/dress.jpg">', Rule.IMG),
        ('<img src="/i/dress_80x.jpg" srcset="/i/dress_300x.jpg 300w, /i/dress.jpg 900w">', Rule.PICTURE),
        ('<img src="/i/a.jpg" srcset="/i/a.jpg, /i/dress.jpg 2x">', Rule.PICTURE),
        (
            '<picture><source srcset="/i/d.webp 9w"><source srcset="/i/dress.jpg 900w"><img src="/i/d.jpg"></picture>',
            Rule.PICTURE,
        ),
        ('<img src="data:image/gif;base64,R0lGOD" data-src="/i/dress.jpg">', Rule.LAZY),
        ('<img src="/blank.gif" data-original="/i/dress.jpg">', Rule.LAZY),
        ('<img src="/blank.gif" ec-data-src="/i/dress.jpg">', Rule.LAZY),
        ('<img src="/blank.gif" data-srcset="/i/dress_300x.jpg 300w, /i/dress.jpg 900w">', Rule.LAZY),
        ('<img src="data:," class="lazy"><noscript><img src="/i/dress.jpg"></noscript>', Rule.NOSCRIPT),
        ('<a href="/i/dress.jpg"><img src="/i/dress-300x300.jpg"></a>', Rule.IMG),
        ("<IMG SRC=/i/dress.jpg ALT=x>", Rule.IMG),
    ],
)
def test_a_page_that_says_nothing_to_machines_is_read_as_people_see_it(image: str, rule: Rule) -> None:
    found = page(f"<main><div>{image}</div>{PRICED}</main>")
    one = only(found)
    assert (one.url, one.rule, one.title, one.price, one.currency) == (IMAGE, rule, "Linen dress", 39000, "KRW")
    assert found.kind is PageKind.PRODUCT


def test_the_largest_file_is_taken_whichever_rule_found_the_picture() -> None:
    found = page('<img src="/i/dress_1200x.jpg" alt="From the front">', linked(product(image="/i/dress_300x.jpg")))
    one = only(found)
    assert (one.url, one.rule, one.alt) == (f"{SHOP}/i/dress_1200x.jpg", Rule.JSON_LD, "From the front")


def test_the_rest_of_a_gallery_belongs_to_the_product() -> None:
    found = page('<main><img src="/i/dress.jpg"><img src="/i/back.jpg" alt="Back"></main>', linked(product()))
    assert [(one.url.removeprefix(SHOP), one.rule, one.price) for one in found.pictures] == [
        ("/i/dress.jpg", Rule.JSON_LD, 39000),
        ("/i/back.jpg", Rule.IMG, 39000),
    ]


def test_other_products_on_a_products_page_are_left_to_their_own_pages() -> None:
    other = '<li><a href="/p/2"><img src="/i/coat.jpg"></a><a href="/p/2">Coat</a><b>99,000원</b></li>'
    found = page(f"<main><img src='/i/dress.jpg'><ul>{other}</ul></main>", linked(product()))
    assert urls(found) == ["/i/dress.jpg"]
    assert found.left_out == {LeftOut.OTHER_PRODUCT: 1}
    assert found.links.products == (f"{SHOP}/p/2",)


CARDS = "".join(
    f'<li class="card"><div><a href="/p/{n}?utm_source=list"><img data-src="/i/{n}.jpg" src="/blank.gif"></a>'
    f'<img class="hover" src="/i/{n}-back.jpg"></div><p class="brand"><a href="/b/acme">Acme</a></p>'
    f'<p class="name"><a href="/p/{n}">Dress {n}</a></p><s>59,000원</s> <em>{n}9,000원</em></li>'
    for n in (2, 3, 4)
)


def test_each_card_of_a_listing_keeps_its_title_price_and_link_together() -> None:
    found = page(f"<h1>Dresses</h1><ul>{CARDS}</ul>", url=f"{SHOP}/c/dresses")
    assert [(one.url.removeprefix(SHOP), one.title, one.price) for one in found.pictures] == [
        (f"/i/{n}{view}.jpg", f"Dress {n}", n * 10_000 + 9_000) for n in (2, 3, 4) for view in ("", "-back")
    ]
    assert {one.product_url for one in found.pictures} == {f"{SHOP}/p/{n}?utm_source=list" for n in (2, 3, 4)}
    assert found.kind is PageKind.LISTING


def test_what_a_listing_says_to_machines_and_to_people_is_one_list() -> None:
    items = [
        {"@type": "ListItem", "url": f"/p/{n}", "item": product(name=f"Dress No. {n}", image=[], url=f"/p/{n}")}
        for n in (2, 3, 4)
    ]
    found = page(f"<ul>{CARDS}</ul>", linked({"@type": "ItemList", "itemListElement": items}), url=f"{SHOP}/c/dresses")
    assert [one.title for one in found.pictures if "back" not in one.url] == [f"Dress No. {n}" for n in (2, 3, 4)]
    assert len(found.links.products) == 3


@pytest.mark.parametrize(
    "price",
    [
        "<b>39,000</b>",
        "<p class='price'><em>39</em>,000<i>원</i></p>",
        "<div class='price'><s class='was'>₩59,000</s><span>₩39,000</span></div>",
        "<span class='price-old'>59,000원</span><span class='price-sale'>39,000원</span>",
        "<span class='discount'>34%</span> <strong>39,000원</strong>",
        "<p class='prd_price'><span>판매가</span> <span>39,000원</span></p>",
    ],
)
def test_the_price_of_a_page_is_what_it_costs_now(price: str) -> None:
    marked = price.replace("<b>", "<b class='price'>")
    one = only(page(f"<main><img src='/i/dress.jpg'><h1>Linen dress</h1>{marked}</main>"))
    assert one.price == 39000


JUNK = """<header><a href="/"><img class="logo" src="/shop.png" alt="Shop"></a><img src="/sale-banner.jpg"></header>
<main><img src="/i/heart.png" width="24"><img src="/spacer.gif"><img src="/x.jpg" width="1" height="1">
<img src="/sprites/icons.png"><img src="/i/wide.jpg" width="1200" height="200"><img src="/mark.svg">
<img src="data:image/png;base64,iVBORw0KGgo="><img src="javascript:alert(1)"></main>
<footer><img src="/promise.jpg" width="400" height="400"></footer>"""


def test_furniture_is_left_out_and_counted_by_reason() -> None:
    found = page(JUNK, linked(product()))
    assert urls(found) == ["/i/dress.jpg"]
    assert found.left_out == {
        LeftOut.LOGO: 1,
        LeftOut.BANNER: 2,
        LeftOut.ICON: 3,
        LeftOut.SPACER: 2,
        LeftOut.DATA_URI: 1,
        LeftOut.BAD_URL: 1,
        LeftOut.FURNITURE: 1,
    }


def test_a_hoodie_with_a_logo_is_no_logo() -> None:
    found = page(f'<main><img src="/i/logo-hoodie.jpg">{PRICED.replace("Linen dress", "Logo hoodie")}</main>')
    assert urls(found) == ["/i/logo-hoodie.jpg"]


def test_what_is_on_every_page_belongs_to_none() -> None:
    repetition = Repetition(most=3)
    seen = [
        urls(
            page(
                f'<main><img src="/i/{n}.jpg"><img src="/promise.jpg">{PRICED}</main>',
                url=f"{SHOP}/p/{n}",
                repetition=repetition,
            )
        )
        for n in range(8)
    ]
    assert seen[0] == ["/i/0.jpg", "/promise.jpg"]
    assert seen[7] == ["/i/7.jpg"]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ("<h1>Nothing here</h1>", 200, PageKind.EMPTY),
        ("", 200, PageKind.EMPTY),
        ("<h1>404 Not Found</h1>", 200, PageKind.ERROR),
        ("<h1>페이지를 찾을 수 없습니다</h1>", 200, PageKind.ERROR),
        (f"<img src='/i/dress.jpg'>{PRICED}", 503, PageKind.ERROR),
        ("<h1>We use cookies</h1><p>Please choose.</p><form><button>Accept all</button></form>", 200, PageKind.CONSENT),
        ("<div role='dialog'>쿠키 사용에 동의해 주세요 <button>동의</button></div>", 200, PageKind.CONSENT),
        ("<main><img src='/team.jpg'><p>About us</p></main>", 200, PageKind.OTHER),
    ],
)
def test_a_page_is_told_what_it_is(body: str, status: int, kind: PageKind) -> None:
    assert page(body, status=status).kind is kind


def test_links_lead_to_further_pages_products_feeds_and_nowhere_forbidden() -> None:
    head = (
        '<link rel="canonical" href="/c/dresses"><link rel="next" href="/c/dresses?page=2">'
        '<link rel="alternate" type="application/rss+xml" href="/feed.rss">'
        '<meta name="robots" content="noindex, NOFOLLOW">'
    )
    body = (
        '<a href="?page=3">3</a><a href="/c/dresses?page=2">2</a><a href="/about#team">About</a>'
        '<a href="/about">again</a>'
        '<a href="https://other.example/">other</a><a href="mailto:a@b.example">mail</a><a href="/terms.pdf">terms</a>'
        '<a href="/cart" rel="nofollow">cart</a><a href="/c/dresses/page/4">4</a>'
        '<a href="/c/dresses?sort=price">sorted</a>'
    )
    links = page(body, head, url=f"{SHOP}/c/dresses").links
    assert links.pages == tuple(f"{SHOP}/c/dresses{tail}" for tail in ("?page=2", "?page=3", "/page/4"))
    assert links.others == (f"{SHOP}/about", f"{SHOP}/c/dresses?sort=price")
    assert links.feeds == (f"{SHOP}/feed.rss",)
    assert links.canonical == f"{SHOP}/c/dresses"
    assert (links.nofollow, links.noindex) == (True, True)
    assert page("", headers={"x-robots-tag": "none"}).links.nofollow


@pytest.mark.parametrize("declared", ["", '<meta charset="euc-kr">', '<meta charset="utf-8">'])
@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_korean_is_read_whatever_the_page_says_of_its_encoding(encoding: str, declared: str) -> None:
    html = f"<html><head>{declared}</head><img src='/i/dress.jpg'><h1>똠방각하 원피스</h1><b>39,000원</b></html>"
    found = extract(html.encode(encoding), HERE, {"content-type": "text/html"})
    assert only(found).title == "똠방각하 원피스"
    assert only(found).price == 39000


def test_urls_are_those_of_the_base_in_their_one_spelling() -> None:
    body = f"<img src=' 옷 1.jpg '>{PRICED}"
    found = page(body, '<base href="https://cdn.example/i/">')
    assert only(found).url == "https://cdn.example/i/%EC%98%B7%201.jpg"


def test_text_is_text() -> None:
    found = page("", linked(product(name="<script>alert(1)</script> &amp; co")))
    assert only(found).title == "<script>alert(1)</script> & co"


@given(st.binary(max_size=2_000), st.sampled_from([None, "text/html; charset=euc-kr", "text/html; charset=nonsense"]))
def test_any_bytes_give_a_result(body: bytes, content_type: str | None) -> None:
    extract(body, HERE, {"content-type": content_type} if content_type else {})


PARTS = r"""<div> </div> <img src= '/i/a.jpg' > <a href='/p/1'> </a> 39,000원 <script> </script> window.x={ } "name":"a"
"price":1 "image":"/a.jpg" , <script type='application/ld+json'> "@type":"Product" [ ] itemscope itemprop='image'
<noscript> <picture> srcset=' 1x, <h1> <base href='//['> <link rel=canonical href='http://['> &#0; &quot; <!--"""


@given(st.lists(st.sampled_from(PARTS.split()), max_size=60))
def test_any_mixture_of_markup_gives_a_result(parts: list[str]) -> None:
    extract(" ".join(parts).encode(), HERE)


@pytest.mark.parametrize(
    "body",
    [
        b"<div>" * 100_000,
        b"<img src=a.jpg>" * 100_000,
        b"<a href=/x><img src=a.jpg>" * 30_000,
        b"a" * 4_000_000,
        b"<script>price image {" + b"a" * 2_000_000,
        b"<script>price image " + b"x = {" * 300_000,
        b"<img srcset='" + b"a," * 500_000 + b"'>",
        b"<h1>" + b" " * 2_000_000 + b"<b class=price>" + b"1" * 1_000_000,
        b"<b itemprop=x itemscope>" * 20_000,
        b"<script type='application/ld+json'>" + b"[" * 1_000_000,
        b'<script type="application/ld+json">' + b'{"image":' * 50_000,
    ],
    ids=lambda body: body[:30].decode(),
)
def test_pages_that_are_made_to_take_long_end(body: bytes) -> None:
    assert extract(body, HERE).url == HERE


@pytest.mark.parametrize("base", [HERE, f"{SHOP}/c/?page=2", "http://127.1.0.5:8080/a"])
@given(reference=st.text("abA0/.:?#&=%-_~'() \\;@é", max_size=12))
def test_the_short_way_to_a_url_leads_where_the_long_one_does(base: str, reference: str) -> None:
    origin = base[: base.index("/", 8)]
    for tried in (reference, "/" + reference, origin + "/" + reference):
        assert Page(b"", base).absolute(tried) == joined(base, tried.strip())
