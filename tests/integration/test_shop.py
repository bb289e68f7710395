"""The pages of the fixture shop agree with its truth."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import lxml.html
import pytest

from core.fetching import Fetcher
from core.pictures import load
from tests.integration.shop_fetcher import fetcher
from tests.shop import KINDS, ProductTruth, Shop, SiteTruth, running_shop
from tests.shop.catalogue import GARMENTS
from tests.shop.shelf import kind_of

__all__ = ["fetcher"]

PRODUCTS = 60


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_shop(seed=7, products=PRODUCTS) as running:
        yield running


def every_page(shop: Shop, fetcher: Fetcher, kind: str) -> Iterator[tuple[ProductTruth, str]]:
    for truth in shop.truth(kind).products():
        yield truth, fetcher.get(truth.url).expect_ok().body.decode()


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_pictures_of_a_page_are_those_of_its_truth(shop: Shop, fetcher: Fetcher, kind: str) -> None:
    for truth, page in every_page(shop, fetcher, kind):
        plain = html.unescape(page.replace("\\/", "/"))
        references = re.findall(r"(?:https?:/)?/[^\s\"'<>\\]+\.(?:jpg|png|gif|webp|svg|ico)(?:\?[\w=&]+)?", plain)
        urls = {urljoin(truth.url, reference) for reference in references}
        largest = {url for url in urls if kind_of(url) == "largest"}
        assert largest == {picture.url for picture in truth.pictures}, truth.url


def meta(page: str, name: str) -> str:
    return str(lxml.html.fromstring(page).xpath(f"string(//meta[@property='{name}']/@content)"))


def only_group(pattern: str, text: str) -> str:
    """Return the first group of a pattern that the text has to contain."""
    match = re.search(pattern, text, re.DOTALL)
    assert match, f"no {pattern} in the text"
    return match[1]


def script(page: str, marker: str) -> str:
    return only_group(rf"<script[^>]*{marker}[^>]*>(.*?)</script>", page)


def from_json_ld(page: str) -> tuple[str, str, str]:
    def things(found: Any) -> Iterator[dict[str, Any]]:
        for thing in found if isinstance(found, list) else [found]:
            yield thing
            yield from things(thing.get("@graph", []))

    found = things(json.loads(script(page, "ld.json")))
    product = next(thing for thing in found if "Product" in thing.get("@type", ""))
    offer = product["offers"][0] if isinstance(product["offers"], list) else product["offers"]
    price = str(offer.get("price") or offer["lowPrice"]).replace(",", "")
    return product["name"], price, offer["priceCurrency"]


def in_full(price: str) -> str:
    """Return a price that a page shows as a number. It has two decimals or none."""
    match = re.fullmatch(r"\D*([\d.,]*?)(?:([.,])(\d\d))?\D*", price)
    assert match, price
    whole, point, cents = match.groups()
    return digits(whole) + (f".{cents}" if point else "")


def digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def from_microdata(page: str) -> tuple[str, str, str]:
    def value(name: str, what: str) -> str:
        return str(lxml.html.fromstring(page).xpath(f"string(//*[@itemprop='{name}']{what})"))

    price = value("price", "/@content") or in_full(value("price", ""))
    return value("name", ""), price, value("priceCurrency", "/@content")


def from_open_graph(page: str) -> tuple[str, str, str]:
    price, currency = (
        meta(page, f"product:price:{name}") or meta(page, f"og:price:{name}") for name in ("amount", "currency")
    )
    return meta(page, "og:title"), price, currency


def from_next(page: str) -> tuple[str, str, str]:
    product = json.loads(script(page, "__NEXT_DATA__"))["props"]["pageProps"]["product"]
    return product["title"], product["price"], product["currency"]


def from_state(page: str) -> tuple[str, str, str]:
    text = only_group(r"__INITIAL_STATE__ = ([^\n]*);\n", page)
    if text.startswith("JSON.parse("):
        text = json.loads(text.removeprefix("JSON.parse(").removesuffix(")"))
    detail = json.loads(text.replace("user: undefined", '"user": null'))["product"]["detail"]
    return detail["name"], str(detail["salePrice"]["amount"]), detail["salePrice"]["currency"]


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("json-ld", from_json_ld),
        ("microdata", from_microdata),
        ("open-graph", from_open_graph),
        ("next", from_next),
        ("state", from_state),
    ],
)
def test_structured_data_of_pages_agrees_with_their_truth(
    shop: Shop, fetcher: Fetcher, kind: str, read: Callable[[str], tuple[str, str, str]]
) -> None:
    for truth, page in every_page(shop, fetcher, kind):
        title, price, currency = read(page)
        assert (title, Decimal(price), currency) == (truth.title, truth.price, truth.currency), truth.url


@pytest.mark.parametrize("kind", ["json-ld-broken", "picture", "lazy", "noscript", "img"])
def test_visible_title_price_and_category_agree_with_the_truth(shop: Shop, fetcher: Fetcher, kind: str) -> None:
    for truth, page in every_page(shop, fetcher, kind):
        tree = lxml.html.fromstring(page)
        assert tree.xpath("string(//h1)") == truth.title
        assert Decimal(in_full(tree.xpath("string(//span[@class='price'])"))) == truth.price
        trail = [item.text_content() for item in tree.xpath("//nav[@class='breadcrumb']//li")]
        assert tuple(trail) == truth.breadcrumb
        assert trail[-1] == truth.category


def test_json_ld_that_is_called_broken_is_no_json(shop: Shop, fetcher: Fetcher) -> None:
    seen = set()
    for truth, page in every_page(shop, fetcher, "json-ld-broken"):
        with pytest.raises(json.JSONDecodeError):
            json.loads(script(page, "ld.json"))
        seen.add(truth.variant)
    assert len(seen) == 6


def test_a_picture_has_the_hash_of_its_truth_and_comes_in_five_sizes_and_three_qualities(
    shop: Shop, fetcher: Fetcher
) -> None:
    for kind in KINDS:
        for truth in islice(shop.truth(kind).products(), 4):
            for picture in truth.pictures:
                data = fetcher.get(picture.url).expect_ok().body
                assert hashlib.sha256(data).hexdigest() == picture.sha256
                assert load(data)[0].size == (picture.width, picture.height)
    base = shop.url("img")
    sizes = {
        (w, q): fetcher.get(f"{base}/photos/3-1-{w}q{q}.jpg").expect_ok().body
        for w in (80, 200, 400, 600, 800)
        for q in (60, 75, 90)
    }
    assert len(set(sizes.values())) == 15
    assert all(load(data)[0].width == width for (width, _), data in sizes.items())


def test_pictures_can_be_on_another_host(shop: Shop) -> None:
    for base in (shop.url("open-graph"), shop.address_url("open-graph")):
        for truth in islice(shop.truth("open-graph", base).products(), 3):
            assert truth.url.startswith(base)
            assert not truth.pictures[0].url.startswith(base)
            assert kind_of(truth.pictures[0].url) == "largest"


def test_a_page_without_products_has_a_large_picture(shop: Shop, fetcher: Fetcher) -> None:
    about = fetcher.get(shop.url("img", "/about")).expect_ok().body.decode()
    picture = urljoin(shop.url("img"), meta(about, "og:image"))
    assert kind_of(picture) == "furniture"
    assert load(fetcher.get(picture).body)[0].size == (1200, 800)


def test_the_old_url_of_a_product_redirects_to_the_new_one(shop: Shop, fetcher: Fetcher) -> None:
    moved = fetcher.get(shop.url("img", "/p/blouses-2"))
    assert (moved.url, moved.status) == (shop.url("img", "/p/shirts-2"), 200)
    page = moved.body.decode()
    assert f'<link rel="canonical" href="{moved.url}">' in page


def test_search_results_have_the_format_of_the_first_crawler(shop: Shop, fetcher: Fetcher) -> None:
    listings = list(shop.truth("next").searches(size=3))
    assert sum(len(listing.products) for listing in listings) == PRODUCTS
    for listing in listings:
        page = fetcher.get(listing.url).expect_ok().body.decode()
        state = json.loads(script(page, "__NEXT_DATA__"))["props"]["pageProps"]["initialState"]["products"]
        items = [entry["item"] for entry in state["list"]]
        assert [(item["imageUrl"], item["title"], Decimal(item["price"])) for item in items] == [
            (product.pictures[0].url, product.title, product.price) for product in listing.products
        ]
        assert state["query"] == listing.query


@pytest.mark.parametrize("kind", KINDS)
def test_the_pages_of_all_listings_link_every_product(shop: Shop, fetcher: Fetcher, kind: str) -> None:
    home = fetcher.get(shop.url(kind, "/")).expect_ok()
    waiting = re.findall(r'href="([^"]*/c/[^"]*)"', home.body.decode())
    found, seen = set(), set()
    while waiting:
        url = urljoin(home.url, waiting.pop())
        if url not in seen:
            seen.add(url)
            page = fetcher.get(url).expect_ok().body.decode()
            found |= {urljoin(url, link) for link in re.findall(r'"(?:http://[^/"]+)?(/p/[^"]+)"', page)}
            waiting += [urljoin(url, link) for link in re.findall(r'rel="next" href="([^"]+)"', page)]
    assert found == {truth.url for truth in shop.truth(kind).products()}


def test_sitemaps_list_every_product_and_every_second_sitemap_is_compressed(shop: Shop, fetcher: Fetcher) -> None:
    index = fetcher.get(shop.url("img", "/sitemap.xml")).expect_ok().body.decode()
    parts = re.findall("<loc>(.*?)</loc>", index)
    assert [part.rpartition("/")[2] for part in parts] == ["sitemap-1.xml", "sitemap-2.xml.gz"]
    first, second = (fetcher.get(part).expect_ok().body for part in parts)
    named = re.findall("<url><loc>(.*?)</loc>", (first + gzip.decompress(second)).decode())
    assert named == [truth.url for truth in shop.truth("img").products()]


def test_feeds_list_the_first_products(shop: Shop, fetcher: Fetcher) -> None:
    expected = [truth.url for truth in islice(shop.truth("lazy").products(), 20)]
    rss = fetcher.get(shop.url("lazy", "/feed.rss")).expect_ok().body.decode()
    atom = fetcher.get(shop.url("lazy", "/feed.atom")).expect_ok().body.decode()
    assert re.findall("<guid>(.*?)</guid>", rss) == re.findall("<entry>.*?<id>(.*?)</id>", atom) == expected


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = ["/p/shirts-2", "/c/shirts", "/photos/2-0-400q75.jpg", "/sitemap.xml", "/assets/banner.jpg"]

    def bytes_of(seed: int) -> list[bytes]:
        with running_shop(seed, 30) as shop, Fetcher(allow=shop.allow, resolver=shop.resolver) as fetcher:
            bodies = [fetcher.get(shop.url("json-ld", path)).expect_ok().body for path in paths]
            return [body.replace(str(shop.port).encode(), b"PORT") for body in bodies]

    first, other = bytes_of(7), bytes_of(8)
    assert bytes_of(7) == first
    assert [body == changed for body, changed in zip(first, other, strict=True)] == [False, False, False, True, True]


def second_visit(urls_of: Callable[[SiteTruth], list[tuple[str, str]]]) -> dict[str, set[int]]:
    """Visit URLs twice, the second time with the ETags of the first, and return the second statuses by fate."""
    statuses: dict[str, set[int]] = {}
    with running_shop(7, 400) as shop, Fetcher(allow=shop.allow, resolver=shop.resolver) as fetcher:
        port = shop.port
        before = {url: fetcher.get(url) for url, _ in urls_of(shop.truth("img"))}
    assert {page.status for page in before.values()} == {200}
    with (
        running_shop(7, 400, visit=2, port=port) as shop,
        Fetcher(allow=shop.allow, resolver=shop.resolver) as fetcher,
    ):
        for url, fate in urls_of(shop.truth("img")):
            known = {"If-None-Match": before[url].headers["etag"]} if url in before else {}
            statuses.setdefault(fate, set()).add(fetcher.get(url, headers=known).status)
    return statuses


def test_a_second_visit_finds_gone_changed_new_and_unchanged_pages() -> None:
    found = second_visit(lambda truth: list(truth.fates()))
    # A new picture under the same URL does not change the page.
    changed = {"price": {200}, "photo": {304}, "both": {200}}
    assert found == {"same": {304}, **changed, "new": {200}, "gone": {404, 410}}


def test_a_second_visit_finds_gone_changed_new_and_unchanged_pictures() -> None:
    def photos(truth: SiteTruth) -> list[tuple[str, str]]:
        base = truth.shelf.base
        # Only the pictures of three garments, because each picture has to be drawn.
        fates = [(number, fate) for number, (_, fate) in enumerate(truth.fates()) if number % len(GARMENTS) < 3]
        return [(f"{base}/photos/{number}-0-80q60.jpg", fate) for number, fate in fates]

    found = second_visit(photos)
    changed = {"price": {304}, "photo": {200}, "both": {200}}
    assert found == {"same": {304}, **changed, "new": {200}, "gone": {404}}


def test_unmodified_bodies_are_not_sent_again(shop: Shop, fetcher: Fetcher) -> None:
    for path in ("/p/shirts-2", "/photos/2-0-800q90.jpg"):
        first = fetcher.get(shop.url("img", path))
        for known in (
            {"If-None-Match": first.headers["etag"]},
            {"If-None-Match": f'"other", W/{first.headers["etag"]}'},
            {"If-Modified-Since": first.headers["last-modified"]},
        ):
            again = fetcher.get(shop.url("img", path), headers=known)
            assert (again.status, again.size) == (304, 0)
        for unknown in ({"If-None-Match": '"other"'}, {"If-Modified-Since": "Mon, 02 Nov 2020 09:00:00 GMT"}):
            assert fetcher.get(shop.url("img", path), headers=unknown).body == first.body
