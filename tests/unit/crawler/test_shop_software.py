"""Pages of widely used shop software, reduced to the parts that extraction reads."""

from __future__ import annotations

from pathlib import Path

from crawler.extraction import Extraction, LeftOut, PageKind, Rule, extract

HOST = "https://shop.example"
PAGES = Path(__file__).parent / "pages"


def read(name: str, path: str, encoding: str = "utf-8") -> Extraction:
    body = (PAGES / f"{name}.html").read_text("utf-8").encode(encoding)
    return extract(body, HOST + path, {"content-type": "text/html"})


def summary(found: Extraction) -> list[tuple[str, str | None, str]]:
    return [
        (picture.url.removeprefix(HOST), picture.product.title, str(picture.product.price))
        for picture in found.pictures
    ]


def test_a_korean_listing_in_euc_kr_is_read() -> None:
    found = read("korean-list", "/product/list.html?cate_no=24", "euc-kr")
    assert found.kind is PageKind.LISTING
    assert summary(found) == [
        (f"https://img.example/web/product/medium/{n}.jpg", f"린넨 원피스 {n}", f"{n}9000") for n in (1, 2, 3)
    ]
    assert found.links.pages == (f"{HOST}/product/list.html?cate_no=24&page=2",)
    assert found.encoding == "cp949"


def test_a_korean_product_page_in_euc_kr_is_read() -> None:
    found = read("korean-product", "/product/detail.html?product_no=7", "euc-kr")
    assert found.kind is PageKind.PRODUCT
    assert {url for url, _, _ in summary(found)} == {
        f"https://img.example/{path}"
        for path in ("web/product/big/7.jpg", "web/product/extra/small/7_2.jpg", "detail/7_wear.jpg")
    }
    assert {(title, price) for _, title, price in summary(found)} == {("린넨 원피스", "39000")}


def test_cards_with_the_link_beside_the_picture_are_read() -> None:
    found = read("cards", "/collections/coats")
    assert found.kind is PageKind.LISTING
    assert summary(found) == [(f"/cdn/shop/files/c{n}.jpg?v=16&width=533", f"Coat {n}", f"{n}9") for n in (4, 5, 6)]
    assert found.links.products == tuple(f"{HOST}/products/coat-{n}" for n in (4, 5, 6))
    assert found.left_out == {LeftOut.NO_PRODUCT: 1}


def test_a_gallery_with_links_to_large_files_is_read() -> None:
    found = read("gallery", "/product/wool-coat")
    assert found.kind is PageKind.PRODUCT
    assert summary(found) == [
        ("/wp-content/uploads/coat.jpg", "Wool coat", "79"),
        ("/wp-content/uploads/coat-back.jpg", "Wool coat", "79"),
    ]
    assert found.left_out == {LeftOut.LOGO: 1, LeftOut.OTHER_PRODUCT: 1}
    assert found.links.products == (f"{HOST}/product/hat",)


def test_a_product_is_found_after_the_shops_own_linked_data() -> None:
    found = read("graph", "/p/coat")
    (picture,) = found.pictures
    assert (picture.url, picture.product.title, str(picture.product.price), picture.product.currency) == (
        f"{HOST}/coat.jpg",
        "Coat & belt",
        "79",
        "EUR",
    )
    assert (picture.alt, picture.rule) == ("Front", Rule.JSON_LD)
