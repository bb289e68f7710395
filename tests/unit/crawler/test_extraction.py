"""Pictures, prices and links that are read from the visible content of a page."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from crawler.extraction import LeftOut, PageKind, RepeatedImages, Rule, extract
from tests.unit.crawler.small_pages import HERE, IMAGE, PRICED, SHOP, linked, only, page, product, urls


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
def test_a_page_without_structured_data_is_read_from_its_visible_content(image: str, rule: Rule) -> None:
    found = page(f"<main><div>{image}</div>{PRICED}</main>")
    picture = only(found)
    assert (picture.url, picture.rule, picture.product.title) == (IMAGE, rule, "Linen dress")
    assert (picture.product.price, picture.product.currency) == (Decimal(39000), "KRW")
    assert found.kind is PageKind.PRODUCT


def test_the_largest_file_is_chosen_whichever_rule_found_the_picture() -> None:
    found = page('<img src="/i/dress_1200x.jpg" alt="From the front">', linked(product(image="/i/dress_300x.jpg")))
    picture = only(found)
    assert (picture.url, picture.rule, picture.alt) == (f"{SHOP}/i/dress_1200x.jpg", Rule.JSON_LD, "From the front")


def test_the_rest_of_a_gallery_belongs_to_the_product() -> None:
    found = page('<main><img src="/i/dress.jpg"><img src="/i/back.jpg" alt="Back"></main>', linked(product()))
    assert [(picture.url.removeprefix(SHOP), picture.rule, picture.product.price) for picture in found.pictures] == [
        ("/i/dress.jpg", Rule.JSON_LD, Decimal(39000)),
        ("/i/back.jpg", Rule.IMG, Decimal(39000)),
    ]


def test_pictures_of_other_products_on_a_product_page_are_left_out() -> None:
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
    assert [
        (picture.url.removeprefix(SHOP), picture.product.title, picture.product.price) for picture in found.pictures
    ] == [(f"/i/{n}{view}.jpg", f"Dress {n}", Decimal(n * 10_000 + 9_000)) for n in (2, 3, 4) for view in ("", "-back")]
    assert {picture.product_url for picture in found.pictures} == {f"{SHOP}/p/{n}?utm_source=list" for n in (2, 3, 4)}
    assert found.kind is PageKind.LISTING


def test_structured_data_and_visible_cards_of_a_listing_are_merged() -> None:
    items = [
        {"@type": "ListItem", "url": f"/p/{n}", "item": product(name=f"Dress No. {n}", image=[], url=f"/p/{n}")}
        for n in (2, 3, 4)
    ]
    found = page(f"<ul>{CARDS}</ul>", linked({"@type": "ItemList", "itemListElement": items}), url=f"{SHOP}/c/dresses")
    assert [picture.product.title for picture in found.pictures if "back" not in picture.url] == [
        f"Dress No. {n}" for n in (2, 3, 4)
    ]
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
def test_the_price_of_a_page_is_the_current_price(price: str) -> None:
    marked = price.replace("<b>", "<b class='price'>")
    picture = only(page(f"<main><img src='/i/dress.jpg'><h1>Linen dress</h1>{marked}</main>"))
    assert picture.product.price == 39000


@pytest.mark.parametrize(
    "price",
    [
        "<div class='price'>€229<sup>99</sup></div>",
        "<div class='price'>€229.<sup>99</sup></div>",
        "<div class='price'>229,<sup>99</sup> €</div>",
        "<div class='price'>229 <sup>99</sup> €</div>",
        "<div class='price'>€ 229<small>,99</small></div>",
        "<div class='price'>€229<span class='x'>99</span></div>",
        "<div class='price'>229<span>€</span>99</div>",
        "<div class='price'><span>229</span><sup>€99</sup></div>",
        "<div class='price'>229€99</div>",
        "<div><span>€</span><span>229</span><span>99</span></div>",
        "<div><sup>€</sup>229<sup>99</sup></div>",
        "<div><b class='price-units'>229</b><b>.</b><b class='price-rest'>99</b><b>€</b></div>",
        "<div><span class='sr'>€229.99</span><div class='price' aria-hidden='true'>€229<i>99</i></div></div>",
        "<div data-testid='old-price'>€299.99</div><div data-testid='price'>229,99 €</div>",
        "<div itemprop='offers' itemscope itemtype='https://schema.org/Offer'><b itemprop='price'>229<sup>99</sup></b>"
        "<meta itemprop='priceCurrency' content='EUR'></div>",
    ],
)
def test_a_price_in_several_elements_is_read_as_people_see_it(price: str) -> None:
    named = f"<img itemprop='image' src='/i/dress.jpg'><h1 itemprop='name'>Dress</h1>{price}"
    body = f"<main itemscope itemtype='https://schema.org/Product'>{named}</main>"
    picture = only(page(body))
    assert (picture.product.price, picture.product.currency) == (Decimal("229.99"), "EUR")


@pytest.mark.parametrize(
    ("price", "amount"),
    [
        ("<p class='price'>39,000원 <b>12 left</b></p>", "39000"),
        ("<p><b class='price'>39,000</b><b>원</b><b>10%</b></p>", "39000"),
        ("<p><span>12</span><b class='price'>$39.00</b></p>", "39"),
        ("<p class='price'>$39.00<b>10 pieces</b></p>", "39"),
        ("<p class='price'>$39<b>10 pieces</b></p>", "39"),
    ],
)
def test_numbers_beside_a_price_are_no_cents(price: str, amount: str) -> None:
    picture = only(page(f"<main><img src='/i/dress.jpg'><h1>Dress</h1>{price}</main>"))
    assert picture.product.price == Decimal(amount)


@pytest.mark.parametrize(
    ("host", "price", "currency"),
    [
        ("shop.ca", "$12.50", "CAD"),
        ("shop.ca", "US$12.50", "USD"),
        ("shop.com.hk", "USD 12.50", "USD"),
        ("shop.com", "R$ 12,50", "BRL"),
        ("shop.cl", "$12.990", "CLP"),
        ("shop.no", "129 kr", "NOK"),
    ],
)
def test_a_shared_sign_means_the_currency_of_the_domain(host: str, price: str, currency: str) -> None:
    body = f"<main><img src='/i/dress.jpg'><h1>Dress</h1><p class='price'>{price}</p></main>"
    assert only(page(body, url=f"https://{host}/p/1")).product.currency == currency


JUNK = """<header><a href="/"><img class="logo" src="/shop.png" alt="Shop"></a><img src="/sale-banner.jpg"></header>
<main><img src="/i/heart.png" width="24"><img src="/spacer.gif"><img src="/x.jpg" width="1" height="1">
<img src="/sprites/icons.png"><img src="/i/wide.jpg" width="1200" height="200"><img src="/mark.svg">
<img src="data:image/png;base64,iVBORw0KGgo="><img src="javascript:alert(1)"></main>
<footer><img src="/promise.jpg" width="400" height="400"></footer>"""


def test_logos_icons_and_banners_are_left_out_and_counted_by_reason() -> None:
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


def test_a_hoodie_with_a_logo_is_not_left_out() -> None:
    found = page(f'<main><img src="/i/logo-hoodie.jpg">{PRICED.replace("Linen dress", "Logo hoodie")}</main>')
    assert urls(found) == ["/i/logo-hoodie.jpg"]


def test_an_image_that_is_on_every_page_is_left_out() -> None:
    repeated_images = RepeatedImages(max_pages=3)
    seen = [
        urls(
            page(
                f'<main><img src="/i/{n}.jpg"><img src="/promise.jpg">{PRICED}</main>',
                url=f"{SHOP}/p/{n}",
                repeated_images=repeated_images,
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
def test_the_kind_of_a_page_is_recognised(body: str, status: int, kind: PageKind) -> None:
    assert page(body, status=status).kind is kind


def test_links_are_sorted_by_kind_and_forbidden_ones_are_left_out() -> None:
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
    assert (links.others, links.views) == ((f"{SHOP}/about",), (f"{SHOP}/c/dresses?sort=price",))
    assert links.feeds == (f"{SHOP}/feed.rss",)
    assert links.canonical == f"{SHOP}/c/dresses"
    assert (links.nofollow, links.noindex) == (True, True)
    assert page("", headers={"x-robots-tag": "none"}).links.nofollow


@pytest.mark.parametrize("declared", ["", '<meta charset="euc-kr">', '<meta charset="utf-8">'])
@pytest.mark.parametrize("encoding", ["cp949", "utf-8"])
def test_korean_is_read_even_if_the_page_declares_a_wrong_encoding(encoding: str, declared: str) -> None:
    html = f"<html><head>{declared}</head><img src='/i/dress.jpg'><h1>똠방각하 원피스</h1><b>39,000원</b></html>"
    found = extract(html.encode(encoding), HERE, {"content-type": "text/html"})
    assert only(found).product.title == "똠방각하 원피스"
    assert only(found).product.price == 39000


def test_urls_are_resolved_against_the_base_and_spelled_canonically() -> None:
    body = f"<img src=' 옷 1.jpg '>{PRICED}"
    found = page(body, '<base href="https://cdn.example/i/">')
    assert only(found).url == "https://cdn.example/i/%EC%98%B7%201.jpg"


def test_markup_in_a_title_stays_text() -> None:
    found = page("", linked(product(name="<script>alert(1)</script> &amp; co")))
    assert only(found).product.title == "<script>alert(1)</script> & co"


def test_versions_in_other_languages_are_known_even_if_their_urls_forget_the_page_number() -> None:
    head = "".join(
        f'<link rel="alternate" hreflang="{language}" href="/{language}/c/coats">' for language in ("en", "de", "ko")
    )
    first = page("", head, url=f"{SHOP}/en/c/coats").links
    assert first.translations == (f"{SHOP}/de/c/coats", f"{SHOP}/ko/c/coats")
    second = extract(f'<html lang="en-GB"><head>{head}</head></html>'.encode(), f"{SHOP}/en/c/coats?page=2").links
    assert second.translations == first.translations


@pytest.mark.parametrize(
    ("tail", "query", "more"),
    [
        ('<button class="btn-load-more">More</button>', "", "/c/coats?page=2"),
        ("<p>1–4 of 60 products</p>", "", "/c/coats?page=2"),
        ("", "?page=3", "/c/coats?page=4"),
        ("", "?offset=8&limit=4", "/c/coats?offset=12&limit=4"),
        ('<div data-next-url="/api/coats?from=4"></div>', "", "/api/coats?from=4"),
        ('<script>var list = {"loadMoreUrl": "\\/api\\/coats?page={page}"}</script>', "", "/api/coats?page=2"),
        ('<a href="?page=2">2</a><button class="load-more">More</button>', "", None),
        ("", "", None),
    ],
)
def test_a_list_goes_on_where_its_page_says_so(tail: str, query: str, more: str | None) -> None:
    cards = "".join(
        f'<li><a href="/p/{n}"><img src="/i/{n}.jpg"><b>Coat {n}</b></a> <span>$1{n}.00</span></li>' for n in range(4)
    )
    links = page(f"<ul>{cards}</ul>{tail}", url=f"{SHOP}/c/coats{query}").links
    assert links.more == ((f"{SHOP}{more}",) if more else ())


def test_the_products_in_json_are_read_and_so_is_its_html() -> None:
    products = [{"name": f"Coat {n}", "price": 10 + n, "image": f"/i/{n}.jpg", "url": f"/p/{n}"} for n in range(4)]
    found = extract(json.dumps({"items": products, "next": "/api/coats?page=3"}).encode(), f"{SHOP}/api/coats?page=2")
    assert [picture.product.title for picture in found.pictures] == [f"Coat {n}" for n in range(4)]
    assert found.links.more == (f"{SHOP}/api/coats?page=3",)
    card = '<li><a href="/p/9"><img src="/i/9.jpg" alt="Hat"><b>Hat</b></a> <span>$9.00</span></li>'
    html = extract(json.dumps({"html": card, "note": "</script>"}).encode(), f"{SHOP}/api/html")
    assert [picture.url for picture in html.pictures] == [f"{SHOP}/i/9.jpg"]
