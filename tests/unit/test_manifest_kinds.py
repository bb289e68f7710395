"""The manifests that people have: names of columns, several pictures in a row, feeds, workbooks, encodings."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import openpyxl
import pytest

from core.item_errors import ItemError, SourceEnded
from core.sources.manifests import Columns, Row, manifest_rows

A, B, C = (f"https://shop.example/{name}.jpg" for name in "abc")
PAGE = "https://shop.example/products/coat"


def read(data: bytes | str, given: dict[str, str] | None = None) -> tuple[list[Row], dict[str, str]]:
    columns = Columns(given)
    raw = data.encode() if isinstance(data, str) else data
    rows = [row for row in manifest_rows(io.BytesIO(raw), 10_000, columns) if row is not None]
    return rows, columns.understood


def refusal(data: bytes | str, given: dict[str, str] | None = None) -> ItemError:
    with pytest.raises(SourceEnded) as caught:
        read(data, given)
    return caught.value.reason


def workbook(rows: list[list[Any]], title: str = "Catalog") -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = title
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "image_url",
        "Image URL",
        "IMAGE-LINK",
        "img",
        "Photo",
        "link",
        "picture",
        "url",
        "이미지",
        "이미지 URL",
        "대표이미지",
        "Image Src",
    ],
)
def test_the_column_of_pictures_has_many_names(name: str) -> None:
    rows, understood = read(f"{name};Product ID;SKU;상품명;Shelf\n{A};p-1;s-1;코트;3\n")
    assert rows == [
        Row(
            2,
            A,
            provenance={"product": {"product_id": "p-1", "sku": "s-1", "title": "코트"}},
            details={"Shelf": "3"},
        )
    ]
    assert understood == {name: "url", "Product ID": "product_id", "SKU": "sku", "상품명": "title"}


@pytest.mark.parametrize(
    ("header", "values", "url", "page"),
    [
        ("url,image_url", f"{PAGE},{A}", A, PAGE),
        ("link,image_link", f"{PAGE},{A}", A, PAGE),
        ("link,photo", f"{A},front view", A, None),
        ("image,url", f"a.jpg,{A}", A, None),
        ("url,page_url", f"{A},{PAGE}", A, PAGE),
    ],
)
def test_of_two_columns_with_addresses_the_pictures_are_in_the_one_that_names_pictures(
    header: str, values: str, url: str, page: str | None
) -> None:
    (row,), _ = read(f"{header}\n{values}\n")
    assert (row.url, row.provenance.get("page_url")) == (url, page)


@pytest.mark.parametrize(
    "data",
    [
        f"image_link\tadditional_image_link\n{A}\t{B},{C}\n",
        f'images,sku\n"{A}, {B}, {C}",s\n',
        f"images,sku\n{A} {B} {C},s\n",
        f"images,sku\n{A}|{B}|{C},s\n",
        f'images,sku\n"{A}\n{B}\n{C}",s\n',
        f'images,sku\n"[""{A}"", ""{B}"", ""{C}""]",s\n',
        f"image1,image2,Image 3\n{A},{B},{C}\n",
        f"image_url,image_url,image_url\n{A},{B},{C}\n",
        f'{{"image": "{A}", "additional_images": ["{B}", "{C}", "{A}"]}}\n',
        f'{{"images": [{{"url": "{A}"}}, {{"src": "{B}"}}, "{C}"]}}\n',
    ],
)
def test_a_row_can_have_several_pictures(data: str) -> None:
    rows, _ = read(data)
    assert [row.url for row in rows] == [A, B, C]
    assert len({row.number for row in rows}) == 1


def test_a_comma_inside_an_address_separates_nothing() -> None:
    url = "https://cdn.example/w_300,h_400/a.jpg"
    assert [row.url for row in read(f'url,sku\n"{url}",s\n')[0]] == [url]
    assert [row.url for row in read(f"{url}\n{url}?size=3,4\n")[0]] == [url, f"{url}?size=3,4"]


def test_a_list_of_urls_is_read_line_by_line() -> None:
    rows, understood = read(f"{A}\n\n# more\n{B}\n")
    assert [(row.number, row.url, row.error) for row in rows] == [(1, A, None), (4, B, None)]
    assert understood == {"1": "url"}


def test_a_table_without_a_header_names_its_columns_by_their_numbers() -> None:
    rows, understood = read(f"s-1,{PAGE},{A}\ns-2,{PAGE},{B}\n")
    assert [(row.number, row.url, row.details["1"]) for row in rows] == [(1, A, "s-1"), (2, B, "s-2")]
    assert understood == {"3": "url"}
    rows, _ = read(f"s-1,{PAGE},{A}\n", {"3": "url", "1": "sku", "2": "page_url"})
    assert rows == [Row(1, A, provenance={"page_url": PAGE, "product": {"sku": "s-1", "url": PAGE}})]


def test_a_column_with_an_unknown_name_is_found_by_its_urls() -> None:
    rows, understood = read(f"Artikel;Bild\nMantel;{A}\n")
    assert ([row.url for row in rows], rows[0].details, understood) == ([A], {"Artikel": "Mantel"}, {"Bild": "url"})


def test_a_title_above_the_header_is_no_header() -> None:
    rows, _ = read(f"Autumn 2026,\n,\nphoto,sku\n{A},s-1\n")
    assert [(row.number, row.url) for row in rows] == [(4, A)]


def test_columns_can_be_given_and_a_missing_one_is_refused() -> None:
    data = f"Foto vorn,Foto hinten,Nummer\n{A},{B},17\n"
    rows, understood = read(data, {"foto vorn": "more_urls", "Foto hinten": "url", "Nummer": "custom_id"})
    assert [(row.url, row.custom_id) for row in rows] == [(B, "17"), (A, "17")]
    assert understood == {"Foto vorn": "more_urls", "Foto hinten": "url", "Nummer": "custom_id"}
    # Nothing else names the product that both pictures show.
    assert [row.provenance for row in rows] == [{"product": {"product_id": "17"}}] * 2
    assert (
        "expected names among 'Foto vorn', 'Foto hinten', 'Nummer', got 'Bild'" in refusal(data, {"Bild": "url"}).detail
    )


def test_a_refusal_says_what_to_change() -> None:
    detail = refusal("Artikel,Preis\nMantel,10\n").detail
    assert "got the columns 'Artikel', 'Preis'. Rename the column, or say which one it is with columns=" in detail


RSS = f"""<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel><title>Shop</title><link>{PAGE}</link>
<item><g:id>17</g:id><title>Coat &amp; more</title><g:link>{PAGE}</g:link><g:image_link>{A}</g:image_link>
<g:additional_image_link>{B}</g:additional_image_link><g:additional_image_link>{C}</g:additional_image_link>
<g:price>39.90 EUR</g:price><g:availability>in stock</g:availability><g:item_group_id>coat</g:item_group_id>
<g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping></item>
<item><g:id>18</g:id></item></channel></rss>"""
ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0">
<entry><g:id>17</g:id><title>Coat</title><link href="{PAGE}"/><g:image_link>{A}</g:image_link></entry></feed>"""


def test_a_product_feed_is_read_product_by_product() -> None:
    rows, understood = read(RSS)
    product = {
        "variant_of": "coat",
        "title": "Coat & more",
        "price": "39.90",
        "currency": "EUR",
        "availability": "InStock",
        "url": PAGE,
    }
    assert [(row.number, row.url, row.custom_id) for row in rows] == [
        (1, A, "17"),
        (1, B, "17"),
        (1, C, "17"),
        (2, "", "18"),
    ]
    assert rows[0].provenance == {"page_url": PAGE, "product": product}
    assert rows[0].details == {"shipping.country": "DE", "shipping.price": "4.90 EUR"}
    assert rows[3].error is not None
    assert understood["image_link"] == "url"
    (row,), _ = read(ATOM)
    assert (row.url, row.custom_id, row.provenance["page_url"]) == (A, "17", PAGE)
    assert [row.url for row in read(RSS.encode("utf-16"))[0]] == [row.url for row in rows]


def test_a_feed_of_tabs_is_read() -> None:
    (row,), _ = read(
        "id\ttitle\timage link\tlink\tprice\tsale price\tgoogle product category\n"
        f"17\tCoat\t{A}\t{PAGE}\t50.00 USD\t39.90 USD\tApparel > Coats\n"
    )
    assert (row.url, row.custom_id, row.provenance["page_url"]) == (A, "17", PAGE)
    assert row.provenance["product"] == {
        "title": "Coat",
        "price": "39.90",
        "list_price": "50.00",
        "currency": "USD",
        "category": "Apparel > Coats",
        "url": PAGE,
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><rss><item><url>&b;</url></item></rss>',
            "without entities",
        ),
        ("<html><body>Not found</body></html>", "got XML without them"),
        (f"<rss><item><url>{A}</url></item><item>", "the XML is damaged"),
        ("<x>" * 100, "levels"),
    ],
)
def test_xml_that_is_no_feed_is_refused(data: str, reason: str) -> None:
    assert reason in refusal(data).detail


def test_a_huge_product_of_a_feed_is_an_error_and_the_others_are_read() -> None:
    rows, _ = read(f"<rss><item><url>{A}</url><x>{'y' * 200_000}</x></item><item><url>{B}</url></item></rss>")
    assert [(row.url, row.error is None) for row in rows] == [("", False), (B, True)]


def test_a_workbook_is_read_as_a_table() -> None:
    data = workbook(
        [["Autumn"], ["이미지", "바코드", "가격", "In Stock"], [f"{A}\n{B}", 8801234567893.0, 39.9, True], [], [C]]
    )
    rows, understood = read(data)
    assert [(row.number, row.url) for row in rows] == [(3, A), (3, B), (5, C)]
    assert rows[0].provenance["product"] == {"gtin": "8801234567893", "price": "39.9", "availability": "true"}
    assert understood["바코드"] == "gtin"


def test_a_workbook_that_states_a_wrong_size_is_read_completely() -> None:
    source, changed = zipfile.ZipFile(io.BytesIO(workbook([["url", "sku"], [A, "1"], [B, "2"]]))), io.BytesIO()
    with zipfile.ZipFile(changed, "w") as parts:
        for name in source.namelist():
            parts.writestr(name, source.read(name).replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1"'))
    assert [row.url for row in read(changed.getvalue())[0]] == [A, B]


def test_workbooks_that_cannot_be_read_are_refused() -> None:
    assert "damaged" in refusal(b"PK\x03\x04 no zip").detail
    assert ".xls" in refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1").detail
    assert "rename" in refusal(workbook([["Artikel"], ["Mantel"]])).detail.lower()


STRINGS = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"></sst>'
STRINGS_TYPE = (
    '<Override PartName="/xl/sharedStrings.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)


@pytest.mark.parametrize(
    ("part", "before", "repeated", "read_rows"),
    [
        ("[Content_Types].xml", "</Types>", "<a/>", 0),
        ("xl/workbook.xml", "</workbook>", "<a/>", 0),
        ("xl/styles.xml", "</styleSheet>", "<a/>", 0),
        ("xl/sharedStrings.xml", "</sst>", "<si/>", 0),
        ("xl/worksheets/sheet1.xml", "<sheetData>", "<a/>", 0),
        ("xl/worksheets/sheet1.xml", "</row></sheetData>", "<c/>", 1),
        ("xl/worksheets/sheet1.xml", "</worksheet>", "<a/>", 2),
    ],
)
def test_a_small_workbook_cannot_unpack_to_gigabytes(part: str, before: str, repeated: str, read_rows: int) -> None:
    source, changed = zipfile.ZipFile(io.BytesIO(workbook([["url"], [A], [B]]))), io.BytesIO()
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as parts:
        for name in [*source.namelist(), "xl/sharedStrings.xml"]:
            text = source.read(name).decode() if name in source.namelist() else STRINGS
            text = text.replace("</Types>", f"{STRINGS_TYPE}</Types>")
            if name == part:
                assert before in text
                text = text.replace(before, repeated * (22 * 2**20 // len(repeated)) + before)
            parts.writestr(name, text)
    found: list[Row | None] = []
    reason = ""
    try:
        for row in manifest_rows(io.BytesIO(changed.getvalue()), 10):
            found.append(row)
    except SourceEnded as ended:
        reason = ended.reason.detail
    assert len(found) == read_rows
    assert ("Save it as CSV" in reason) == (read_rows < 2)


def test_the_products_of_shopify_continue_over_several_rows() -> None:
    rows, _ = read(
        "Handle,Title,Body (HTML),Vendor,Type,Option1 Value,Variant SKU,Variant Price,Image Src,Image Position,"
        "Variant Image\n"
        f"coat,Coat,<p>Warm</p>,Acme,Coats,Red,c-r,39.90,{A},1,{A}\n"
        f"coat,,,,,Blue,c-b,39.90,{B},2,\n"
        "coat,,,,,Green,c-g,39.90,,,\n"
        f"coat,,,,,,,,{C},3,\n"
        f"shirt,Shirt,,Acme,Shirts,,s,9.90,{A},1,\n"
    )
    products = [row.provenance["product"] for row in rows]
    assert [(row.number, row.url) for row in rows] == [(2, A), (3, B), (5, C), (6, A)]
    assert [product.get("title") for product in products] == ["Coat", "Coat", "Coat", "Shirt"]
    assert [product["product_id"] for product in products] == ["coat", "coat", "coat", "shirt"]
    assert [product.get("sku") for product in products] == ["c-r", "c-b", None, "s"]


def test_the_encoding_is_that_of_the_whole_file() -> None:
    ascii_rows = f"{A},coat\n" * 5000
    for encoding, title in (("cp949", "셔츠 원피스"), ("cp1252", "Äußere Größe – Été"), ("utf-8", "셔츠 été")):
        rows, _ = read(f"url,title\n{ascii_rows}{B},{title}\n".encode(encoding))
        assert rows[-1].provenance["product"]["title"] == title
        assert all(row.error is None for row in rows)


@pytest.mark.parametrize("encoding", ["cp1252", "cp949"])
def test_one_row_in_another_encoding_names_itself(encoding: str) -> None:
    title = {"cp1252": "Ärmel Größe", "cp949": "셔츠"}[encoding]
    data = f"url,title\n{A},{title}\n{A},{title}\n".encode(encoding) + f"{B},".encode() + b"\x81\x20\n"
    found = read(data)[0]
    assert [row.error is None for row in found] == [True, True, False]
    assert "row 4: expected text in" in str(found[2].error)


def test_a_compressed_manifest_is_read_within_its_limit() -> None:
    data = gzip.compress(f"url,title\n{A},셔츠\n".encode("cp949"))
    assert read(data)[0][0].provenance["product"]["title"] == "셔츠"
    bomb = gzip.compress(b"url\n" + b"x" * 2**20)
    with pytest.raises(SourceEnded):
        list(manifest_rows(io.BytesIO(bomb), 10, max_bytes=2**16))
