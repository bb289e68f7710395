"""The fields of a product: where they are read from, and what happens where a page contradicts itself."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from crawler.extraction import Product, Rule
from crawler.extraction.product_data import read_availability, read_gtin
from tests.unit.crawler.small_pages import HERE, SHOP, linked, page, product

GTIN = "4006381333931"
FACTS = {
    "sku": "LD-100",
    "gtin": GTIN,
    "mpn": "MK7",
    "brand": "Acme",
    "availability": "PreOrder",
    "color": "Indigo",
    "size": "M",
    "material": "Linen",
}
PICTURE = '<h1>Linen dress</h1><img src="/i/dress.jpg">'


def facts(found: Product) -> dict[str, Any]:
    return {name: getattr(found, name) for name in FACTS}


def annotated(scope: str, kind: str, name: str) -> str:
    """Return the product as microdata or as RDFa."""
    members = "".join(
        f'<span {name}="{member}">{value}</span>'
        for member, value in FACTS.items()
        if member not in {"brand", "availability"}
    )
    brand = f'<div {name}="brand" {scope} {kind}="https://schema.org/Brand"><b {name}="name">Acme</b></div>'
    offer = (
        f'<div {name}="offers" {scope} {kind}="https://schema.org/Offer"><meta {name}="price" content="39.90">'
        f'<meta {name}="priceCurrency" content="EUR"><link {name}="availability" href="https://schema.org/PreOrder"></div>'
    )
    return (
        f'<div {scope} {kind}="https://schema.org/Product"><h1 {name}="name">Linen dress</h1>'
        f'<img {name}="image" src="/i/dress.jpg">{members}{brand}{offer}</div>'
    )


LINKED = product(
    name="Linen dress",
    **{name: value for name, value in FACTS.items() if name not in {"brand", "gtin", "availability"}},
    gtin13=GTIN,
    brand={"@type": "Brand", "name": "Acme"},
    offers={"price": "39.90", "priceCurrency": "EUR", "availability": "https://schema.org/PreOrder"},
)
META = "".join(
    f'<meta property="product:{name}" content="{value}">'
    for name, value in {
        "retailer_item_id": FACTS["sku"],
        "mfr_part_no": "MK7",
        "availability": "preorder",
        "price:amount": "39.90",
        "price:currency": "EUR",
        **{name: FACTS[name] for name in ("gtin", "brand", "color", "size", "material")},
    }.items()
)
STATE = {
    "name": "Linen dress",
    "image": "/i/dress.jpg",
    "salePrice": 39.9,
    "currency": "EUR",
    "barcode": int(GTIN),
    "brand": {"id": 3, "name": "Acme"},
    "manufacturerPartNumber": "MK7",
    **{name: FACTS[name] for name in ("sku", "availability", "color", "size", "material")},
}
TEXT = f"""<main>{PICTURE}<p class="price">39,90 €</p><button>In den Warenkorb</button>
<ul><li>Artikel-Nr.: LD-100</li><li>EAN {GTIN}</li><li>Hersteller-Nr.: MK7</li><li>Marke: Acme</li></ul>
<dl><dt>Farbe:</dt><dd>Indigo</dd><dt>Größe</dt><dd>M</dd><dt>Material</dt><dd>Linen</dd></dl></main>"""


@pytest.mark.parametrize(
    ("rule", "body", "head"),
    [
        (Rule.JSON_LD, "", linked(LINKED)),
        (Rule.MICRODATA, annotated("itemscope", "itemtype", "itemprop"), ""),
        (Rule.RDFA, annotated("", "typeof", "property").replace("https://schema.org/", "schema:"), ""),
        (Rule.RDFA, f'<div vocab="https://schema.org/">{annotated("", "typeof", "property")}</div>', ""),
        (Rule.OPEN_GRAPH, PICTURE, '<meta property="og:type" content="product">' + META),
        (Rule.STATE, f"<script>window.__STATE__ = {json.dumps({'product': STATE})}</script>", ""),
        (Rule.TEXT, TEXT, ""),
    ],
)
def test_every_rule_reads_all_fields_and_is_named_as_their_source(rule: Rule, body: str, head: str) -> None:
    found = page(body, head).product
    by_text = {"availability": "InStock"} if rule is Rule.TEXT else {}
    assert facts(found) == FACTS | by_text
    assert (found.title, found.price, found.currency) == ("Linen dress", Decimal("39.90"), "EUR")
    expected = dict.fromkeys([*FACTS, "price", "currency", "product_id"], rule)
    assert {name: found.sources[name] for name in expected} == expected


def test_a_more_trusted_rule_wins_and_the_others_fill_in_what_is_missing() -> None:
    data = product(name="Linen dress", sku="LD-100", brand={"name": "Acme"})
    found = page(TEXT.replace("Acme", "Other"), linked(data) + META.replace("Indigo", "Blue")).product
    assert (found.brand, found.color, found.material) == ("Acme", "Blue", "Linen")
    assert [found.sources[name] for name in ("brand", "color", "mpn")] == [
        Rule.JSON_LD,
        Rule.OPEN_GRAPH,
        Rule.OPEN_GRAPH,
    ]


@pytest.mark.parametrize(
    ("line", "sku"),
    [
        ("<p>SKU: AB-1234</p>", "AB-1234"),
        ("<p>Item #: <span>778812</span></p>", "778812"),
        ("<dl><dt>Product code</dt><dd>83810610</dd></dl>", "83810610"),
        ("<p>Bestellnummer 106606</p>", "106606"),
        ("<p>Référence : 4411-B</p>", "4411-B"),
        ("<p>Código del producto: 55810</p>", "55810"),
        ("<p>Codice articolo 009912</p>", "009912"),
        ("<p>Numer referencyjny: 45979556</p>", "45979556"),
        ("<p>Šifra: <b>0638</b></p>", "0638"),
        ("<p>Артикул: 12-99-A</p>", "12-99-A"),
        ("<p>상품번호 : 3454863898</p>", "3454863898"),
        ("<p>商品番号：rk-20310</p>", "rk-20310"),
        ("<p>貨號 A20310</p>", "A20310"),
        ("<p>Item number of the month</p>", None),
        ("<p>Item no. 12/05/2024</p>", None),
        ("<p style='display: none'>SKU: AB-1234</p>", None),
        ("<footer>SKU: AB-1234</footer>", None),
    ],
)
def test_the_code_beside_its_label_is_the_sku_in_every_language(line: str, sku: str | None) -> None:
    found = page(f"<main>{PICTURE}<b class='price'>39,000원</b>{line}</main>", url=f"{SHOP}/dress").product
    assert found.sku == sku


@pytest.mark.parametrize(
    ("data", "line", "url", "sku", "source"),
    [
        # The maker's name in the field for the shop's code.
        ({"sku": "Linen dress"}, "SKU: 4411", "/dress", "4411", Rule.TEXT),
        # The data has an internal number. Customers see another one.
        ({"sku": "238368885"}, "Product code: 83810610", "/dress", "83810610", Rule.TEXT),
        # Customers see both. The data knows which one is the code.
        ({"sku": "AB-1"}, "Model: 9912 AB-1", "/dress", "AB-1", Rule.JSON_LD),
        ({"sku": "B00445"}, "Reviews", "/dress-b00445", "B00445", Rule.JSON_LD),
        ({"productID": "4781720"}, "", "/dress/p4781720", "4781720", Rule.JSON_LD),
        # An id in the address that the page uses, too.
        ({}, '<input type="hidden" name="pid" value="4781720">', "/dress/p4781720?utm_id=99123", "4781720", Rule.URL),
        ({}, '<a data-id="262388">', "/store/36064?pid=262388", "262388", Rule.URL),
        ({}, "Reviews", "/dress/p4781720", None, None),
    ],
)
def test_contradicting_codes_are_resolved(
    data: dict[str, str], line: str, url: str, sku: str | None, source: Rule | None
) -> None:
    found = page(f"<main>{PICTURE}{line}</main>", linked(product(**data)), url=SHOP + url).product
    assert (found.sku, found.sources.get("sku")) == (sku, source)


BUTTON = "<button>Add to cart</button>"


def sold(prices: str, more: str = "") -> str:
    return f"<main>{PICTURE}<div>{prices}</div>{BUTTON}</main>{more}"


@pytest.mark.parametrize(
    ("fault", "data", "body", "price", "list_price"),
    [
        ("stale data", {"price": "49.00"}, sold('<b class="price">€39.90</b>'), "39.90", None),
        ("a list price in the data", {"price": "49"}, sold('<s>€49.00</s> <b class="price">€39.90</b>'), "39.90", "49"),
        ("a decimal point lost", {"price": "3990"}, sold('<b class="price">39,90 €</b>'), "39.90", None),
        ("a point of thousands read as decimal", {"price": "3.34"}, sold('<b class="price">€ 3.340</b>'), "3340", None),
        ("three decimals", {"price": "5.674"}, sold('<b class="price">56,74 €</b>'), "56.74", None),
        ("raised cents", {}, sold('<p class="price">39<sup>90</sup> €</p>'), "39.90", None),
        ("delivery", {}, sold('<b class="price">€39.90</b> <p>Delivery: <b>€4.90</b></p>'), "39.90", None),
        ("delivery first", {}, sold('<p>Shipping <b>€4.90</b></p><b class="price">€39.90</b>'), "39.90", None),
        ("without tax", {}, sold("<p>excl. VAT <b>€33.00</b></p><p>incl. VAT <b>€39.90</b></p>"), "39.90", None),
        ("an instalment", {}, sold('<b class="price">€39.90</b><p>or <b>€13.30</b> per month</p>'), "39.90", None),
        ("a saving", {}, sold('<s>€49</s><b class="price">€39.90</b><p>You save <b>€9.10</b></p>'), "39.90", "49"),
        ("RRP", {}, sold('<p>RRP <span>€49.00</span></p><b class="price">€39.90</b>'), "39.90", "49"),
        ("bold is not old", {}, sold('<b class="text-bold price">€39.90</b>'), "39.90", None),
        (
            "recommendations without links",
            {},
            sold('<b class="price">€39.90</b>', '<section><h2>Hat</h2><b class="price">€9</b></section>'),
            "39.90",
            None,
        ),
        (
            "a menu with offers before the heading",
            {},
            '<div class="menu"><p>Hat</p><b class="price">€9</b></div>' * 3 + sold('<b class="price">€39.90</b>'),
            "39.90",
            None,
        ),
        ("sold out, others recommended", {}, f"<main>{PICTURE}</main>" + "<p></p>" * 500 + "<b>€9</b>", None, None),
    ],
)
def test_contradicting_prices_are_resolved(
    fault: str, data: dict[str, str], body: str, price: str | None, list_price: str | None
) -> None:
    offers = {"@type": "Offer", "priceCurrency": "EUR"} | data
    found = page(body, linked(product(offers=offers))).product
    assert (found.price, found.list_price) == (
        price and Decimal(price),
        list_price and Decimal(list_price),
    ), fault


def test_several_offers_are_one_price_and_the_visible_one_decides() -> None:
    offers = [{"price": price, "priceCurrency": "EUR", "sku": f"A-{price}"} for price in ("18.00", "17.10", "25")]
    assert page("", linked(product(offers=offers))).product.price == 18
    both = sold('<b class="full-price">€18.00</b><b class="price">€17.10</b>')
    found = page(both, linked(product(offers=offers))).product
    assert (found.price, found.list_price, found.sources["price"]) == (Decimal("17.10"), Decimal(18), Rule.JSON_LD)
    aggregate = {"@type": "AggregateOffer", "lowPrice": 17.1, "highPrice": 25, "priceCurrency": "EUR"}
    assert page("", linked(product(offers=aggregate))).product.price == Decimal("17.10")


def test_price_specifications_tell_the_list_price_and_not_the_price_per_kilogram() -> None:
    specifications = [
        {"price": 49, "priceType": "https://schema.org/ListPrice"},
        {"price": 39.9, "priceType": "https://schema.org/SalePrice"},
        {"price": 4, "referenceQuantity": {"value": 1, "unitCode": "KGM"}},
    ]
    found = page("", linked(product(offers={"priceCurrency": "EUR", "priceSpecification": specifications}))).product
    assert (found.price, found.list_price, found.currency) == (Decimal("39.90"), Decimal(49), "EUR")


@pytest.mark.parametrize(
    ("stated", "body", "availability"),
    [
        ("InStock", sold('<b class="price">€39.90</b>'), "InStock"),
        ("https://schema.org/OutOfStock", sold('<b class="price">€39.90</b>'), "OutOfStock"),
        # The data is older than the page.
        ("InStock", f"<main>{PICTURE}<p>Sold out</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>Currently unavailable.</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>Derzeit nicht verfügbar</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>품절</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>在庫切れ</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>Agotado</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>En rupture de stock</p></main>", "OutOfStock"),
        (None, f"<main>{PICTURE}<p>Auf Lager</p></main>", "InStock"),
        # One size is sold out, the button works.
        (None, sold('<b class="price">€39.90</b><p>XL: sold out</p>'), "InStock"),
        (None, f'<main>{PICTURE}<b class="price">€39.90</b></main>', "InStock"),
        (None, f"<main>{PICTURE}</main>", None),
    ],
)
def test_the_stock_is_that_of_the_data_unless_the_page_says_sold_out(
    stated: str | None, body: str, availability: str | None
) -> None:
    offers = {"@type": "Offer"} | ({"availability": stated} if stated else {})
    assert page(body, linked(product(offers=offers))).product.availability == availability


def test_a_product_with_one_size_in_stock_is_in_stock() -> None:
    offers = [{"price": 5, "availability": stock} for stock in ("SoldOut", "InStock", "OutOfStock")]
    assert page("", linked(product(offers=offers))).product.availability == "InStock"


def test_variants_of_one_product_share_its_id_and_not_their_own_data() -> None:
    variants = [
        {"@type": "Product", "name": f"Linen dress {size}", "sku": f"LD-{size}", "size": size, "image": "/i/dress.jpg"}
        for size in ("S", "M")
    ]
    group = {
        "@type": "ProductGroup",
        "name": "Linen dress",
        "productGroupID": "LD",
        "url": HERE,
        "hasVariant": variants,
    }
    found = page("<h1>Linen dress</h1>", linked(group)).product
    assert (found.product_id, found.variant_of, found.sku, found.size) == ("LD", "LD", None, None)
    assert found.sources["product_id"] is Rule.JSON_LD


def test_the_product_id_is_the_group_or_the_code_or_the_address() -> None:
    ids = [
        page(PICTURE, linked(product(**members))).product.product_id
        for members in (
            {"inProductGroupWithID": "G7", "sku": "LD-100"},
            {"sku": "LD-100", "gtin": GTIN},
            {"gtin": GTIN, "mpn": "MK7"},
            {"mpn": "MK7"},
            {},
        )
    ]
    assert ids == ["G7", "LD-100", GTIN, "MK7", HERE]


def test_placeholders_are_no_values() -> None:
    data = product(sku="null", mpn="N/A", brand={"name": " "}, color="$color", gtin13="1234567890123")
    found = page(PICTURE, linked(data)).product
    assert (found.sku, found.mpn, found.brand, found.color, found.gtin) == (None, None, None, None, None)


def test_a_description_is_plain_text_of_bounded_length() -> None:
    found = page(PICTURE, linked(product(description=f"<p>Soft &amp; light</p> {'word ' * 400}"))).product
    assert found.description is not None
    assert found.description.startswith("Soft & light word")
    assert 990 <= len(found.description) <= 1_000


def test_a_product_as_json_has_only_the_fields_with_a_value() -> None:
    stored = page(PICTURE, linked(LINKED)).product.as_json()
    assert stored["price"] == "39.90"
    assert stored["sources"]["brand"] == "json_ld"
    assert json.loads(json.dumps(stored)) == stored
    assert not {"list_price", "variant_of", "breadcrumb"} & stored.keys()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("http://schema.org/InStock", "InStock"),
        ("in stock", "InStock"),
        ("instock", "InStock"),
        ("out of stock", "OutOfStock"),
        ("https://schema.org/SoldOut/", "SoldOut"),
        ("preorder", "PreOrder"),
        ("available for order", "BackOrder"),
        (True, "InStock"),
        ("maybe", None),
        (3, None),
    ],
)
def test_the_availability_is_read_in_every_spelling(text: object, name: str | None) -> None:
    assert read_availability(text) == name


@pytest.mark.parametrize(
    ("text", "digits"),
    [(GTIN, GTIN), ("4006 3813 3393 1", GTIN), (96385074, "96385074"), ("4006381333932", None), ("0" * 13, None)],
)
def test_a_gtin_has_a_known_length_and_the_right_check_digit(text: object, digits: str | None) -> None:
    assert read_gtin(text) == digits
