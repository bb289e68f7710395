"""From a page as people see it to its products' pictures, prices and links."""

from __future__ import annotations

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
def test_a_page_that_says_nothing_to_machines_is_read_as_people_see_it(image: str, rule: Rule) -> None:
    found = page(f"<main><div>{image}</div>{PRICED}</main>")
    one = only(found)
    assert (one.url, one.rule, one.title) == (IMAGE, rule, "Linen dress")
    assert (one.price, one.currency) == (Decimal(39000), "KRW")
    assert found.kind is PageKind.PRODUCT


def test_the_largest_file_is_taken_whichever_rule_found_the_picture() -> None:
    found = page('<img src="/i/dress_1200x.jpg" alt="From the front">', linked(product(image="/i/dress_300x.jpg")))
    one = only(found)
    assert (one.url, one.rule, one.alt) == (f"{SHOP}/i/dress_1200x.jpg", Rule.JSON_LD, "From the front")


def test_the_rest_of_a_gallery_belongs_to_the_product() -> None:
    found = page('<main><img src="/i/dress.jpg"><img src="/i/back.jpg" alt="Back"></main>', linked(product()))
    assert [(one.url.removeprefix(SHOP), one.rule, one.price) for one in found.pictures] == [
        ("/i/dress.jpg", Rule.JSON_LD, Decimal(39000)),
        ("/i/back.jpg", Rule.IMG, Decimal(39000)),
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
        (f"/i/{n}{view}.jpg", f"Dress {n}", Decimal(n * 10_000 + 9_000)) for n in (2, 3, 4) for view in ("", "-back")
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
