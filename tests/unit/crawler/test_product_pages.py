"""The kind of a page with one product: with recommendations, with variants, and almost without data."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crawler.extraction import LeftOut, PageKind, Rule
from tests.unit.crawler.small_pages import HERE, SHOP, linked, only, page, product, urls

CARDS = "".join(
    f'<li><a href="/p/{n}"><img src="/i/{n}.jpg"></a><h3><a href="/p/{n}">Hat {n}</a></h3>'
    f'<b class="price">€{n}9.00</b></li>'
    for n in range(2, 14)
)
DRESS = '<h1>Linen dress</h1><img src="/i/dress.jpg"><b class="price">€39.90</b>'
HATS = [product(name=f"Hat {n}", url=f"/p/{n}", image=f"/i/{n}.jpg") for n in range(2, 14)]


@pytest.mark.parametrize(
    ("fault", "body", "head"),
    [
        ("many recommended products", f"<main>{DRESS}<button>Add to cart</button></main><ul>{CARDS}</ul>", ""),
        ("a button in another language", f"<main>{DRESS}<button>Do košíka</button></main><ul>{CARDS}</ul>", ""),
        ("data about recommended products only", f"<main>{DRESS}<button>Buy now</button></main>", linked(HATS)),
        (
            "the data of the product between those of others, without addresses",
            f"<main>{DRESS}</main>",
            linked([product(name=f"Hat {n}") for n in (2, 3)] + [product(), product(name="Hat 4")]),
        ),
        (
            "variants with addresses of their own",
            f"<main>{DRESS}</main>",
            linked([product(url=f"/dress-{size}.html", sku=size) for size in "SML"]),
        ),
        (
            "an address in the data that differs from the one asked",
            f"<main>{DRESS}</main>",
            linked(product(url="/catalog/linen-dress")) + '<link rel="canonical" href="/en/linen-dress">',
        ),
        ("headings in the cards", f"<main>{DRESS}<a class='button'>Kaufen</a></main>" + CARDS.replace("h3", "h1"), ""),
        ("the heading in an article's header", f"<article><header>{DRESS}</header></article>", ""),
        (
            "sold out, without a price",
            '<main><h1>Linen dress</h1><img src="/i/dress.jpg"><p>Currently unavailable.</p><p>Brand: Acme</p></main>',
            "",
        ),
    ],
)
def test_a_page_with_one_product_is_known_as_such(fault: str, body: str, head: str) -> None:
    found = page(body, head + "<title>Linen dress | Shop</title>")
    assert (found.kind, found.product.title, urls(found)) == (PageKind.PRODUCT, "Linen dress", ["/i/dress.jpg"]), fault


def test_a_product_whose_pictures_a_script_adds_is_known_by_its_price() -> None:
    bought = page('<main><h1>Linen dress</h1><b class="price">€39.90</b><button>Add to cart</button></main>')
    described = page("<h1>Linen dress</h1>", linked(product(image=[])))
    assert [found.kind for found in (bought, described)] == [PageKind.PRODUCT, PageKind.PRODUCT]
    assert [found.product.title for found in (bought, described)] == ["Linen dress", "Linen dress"]


@pytest.mark.parametrize(
    ("fault", "body", "head"),
    [
        (
            "a filter by price",
            f"<h1>Hats</h1><div class='filter'><b class='price'>€29.00</b></div><ul>{CARDS}</ul>",
            "",
        ),
        ("a heading and cards", f"<main><h1>Hats</h1><img src='/i/teaser.jpg'><ul>{CARDS}</ul></main>", ""),
        ("free delivery", f"<h1>Hats</h1><p>Free delivery from <b class='price'>€50</b></p><ul>{CARDS}</ul>", ""),
        ("a list in the data", f"<h1>Hats</h1><ul>{CARDS}</ul>", linked(HATS)),
    ],
)
def test_a_listing_stays_a_listing(fault: str, body: str, head: str) -> None:
    found = page(body, head + "<title>Hats | Shop</title>", url=f"{SHOP}/c/hats")
    assert (found.kind, len(found.pictures)) == (PageKind.LISTING, 12), fault
    assert found.product.title is None


GALLERY = "".join(f'<a href="/big/{n}.jpg"><div><img src="/small/{n}.jpg"></div></a>' for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("body", "pictures"),
    [
        ('<main><h1>Blue vase</h1><img src="/i/vase.jpg"></main>', ["/i/vase.jpg"]),
        (f"<main><h1>Blue vase</h1>{GALLERY}</main>", ["/big/1.jpg", "/big/2.jpg", "/big/3.jpg"]),
        (
            '<main><h1>Blue vase</h1><a href="/big/1.jpg">Front</a> <a href="/big/2.jpg">Back</a></main>',
            ["/big/1.jpg", "/big/2.jpg"],
        ),
    ],
)
def test_a_page_without_data_and_price_shows_a_product_if_a_listing_leads_to_it(body: str, pictures: list[str]) -> None:
    found = page(body, from_listing=True)
    assert (found.kind, found.product.title, urls(found)) == (PageKind.PRODUCT, "Blue vase", pictures)
    assert found.product.product_id == HERE
    assert page(body).kind is not PageKind.PRODUCT


@pytest.mark.parametrize(
    "body",
    [
        "<h1>Hats</h1><img src='/i/hero.jpg'>" + CARDS.replace("price", "text").replace("€", ""),
        f"<h1>Hats</h1>{''.join(f'<a href=/c/{n}><img src=/i/{n}.jpg></a>' for n in range(4))}<img src='/i/end.jpg'>",
        "<img src='/i/vase.jpg'>",
        "<h1>Blue vase</h1>",
    ],
)
def test_a_listing_also_leads_to_pages_that_are_no_products(body: str) -> None:
    assert page(f"<main>{body}</main>", from_listing=True).kind is not PageKind.PRODUCT


def test_the_linked_large_file_is_taken_instead_of_the_small_one() -> None:
    links = (
        '<a href="/i/large/vase.jpg"><span><img src="/i/vase.jpg" srcset="/i/vase.jpg 1x, /i/vase2.jpg 2x"></span></a>'
    )
    found = only(page(f"<main>{links}<h1>Vase</h1><b>€39.90</b></main>"))
    assert (found.url, found.rule) == (f"{SHOP}/i/large/vase.jpg", Rule.IMG)


def test_css_backgrounds_of_the_main_part_are_pictures() -> None:
    body = (
        "<div style=\"background-image: url('/i/hero.jpg')\"></div>"
        "<main><h1>Vase</h1><b class='price'>€39.90</b>"
        "<div role='img' aria-label='Front' style='background:#fff url(&quot;/i/vase.jpg&quot;) center'></div>"
        f"<section style='background-image:url(/i/wall.jpg)'>{'A long text about the maker. ' * 5}</section>"
        "<i class='icon' style='background-image:url(/i/cart.png);width:16px;height:16px'></i></main>"
        "<footer><p style='background-image:url(/i/foot.jpg)'></p></footer>"
    )
    found = page(body)
    picture = only(found)
    assert (picture.url, picture.rule, picture.alt) == (f"{SHOP}/i/vase.jpg", Rule.BACKGROUND, "Front")
    assert found.left_out == {LeftOut.ICON: 1}


def test_an_attribute_with_sized_files_is_read() -> None:
    image = """<img src="data:image/gif;base64,R0" data-files='{"/i/a.jpg":[500,400],"/i/b.jpg":[1500,1200]}'>"""
    found = only(page(f"<main><h1>Vase</h1>{image}<b>€39.90</b></main>"))
    assert (found.url, found.width) == (f"{SHOP}/i/b.jpg", 1500)


def test_all_pictures_of_a_page_share_its_product() -> None:
    found = page(f'<main>{DRESS}<img src="/i/back.jpg"><p>SKU: LD-100</p></main>')
    assert urls(found) == ["/i/dress.jpg", "/i/back.jpg"]
    assert {id(picture.product) for picture in found.pictures} == {id(found.product)}
    assert (found.product.product_id, found.product.price) == ("LD-100", Decimal("39.90"))


def test_the_product_of_a_card_has_its_own_address() -> None:
    found = page(f"<h1>Hats</h1><ul>{CARDS}</ul>", url=f"{SHOP}/c/hats")
    first = found.pictures[0].product
    assert (first.title, first.url, first.product_id) == ("Hat 2", f"{SHOP}/p/2", f"{SHOP}/p/2")
    assert first.sources == {
        "title": Rule.TEXT,
        "price": Rule.TEXT,
        "currency": Rule.TEXT,
        "url": Rule.URL,
        "product_id": Rule.URL,
    }
