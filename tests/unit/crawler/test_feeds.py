"""Reading sitemaps and feeds."""

from __future__ import annotations

import gzip
from decimal import Decimal
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.extraction import Rule
from crawler.feeds import MAX_URLS, Entry, is_feed, read_feed

HERE = "https://shop.example/sitemap.xml"
XML = '<?xml version="1.0" encoding="UTF-8"?>'
NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1"'


def urlset(*locations: str) -> bytes:
    urls = "".join(f"<url><loc>{escape(location)}</loc></url>" for location in locations)
    return f"{XML}<urlset {NS}>{urls}</urlset>".encode()


def test_a_sitemap_index_lists_further_sitemaps() -> None:
    body = f"{XML}<sitemapindex {NS}><sitemap><loc>https://shop.example/a.xml.gz</loc></sitemap></sitemapindex>"
    assert read_feed(body.encode(), HERE).sitemaps == ("https://shop.example/a.xml.gz",)


def test_the_sitemaps_of_products_come_first_and_the_others_are_known() -> None:
    names = ["post-sitemap.xml", "sitemap_products_1.xml.gz", "sitemap-items.xml", "page-sitemap.xml"]
    body = "".join(f"<sitemap><loc>https://shop.example/{name}</loc></sitemap>" for name in names)
    feed = read_feed(f"{XML}<sitemapindex {NS}>{body}</sitemapindex>".encode(), HERE)
    assert [url.rpartition("/")[2] for url in feed.sitemaps] == [*names[1:3], names[0], names[3]]
    assert feed.other_sitemaps == {f"https://shop.example/{name}" for name in (names[0], names[3])}
    alone = read_feed(
        f"{XML}<sitemapindex>{body.replace('products', 'a').replace('items', 'b')}</sitemapindex>".encode(), HERE
    )
    assert alone.other_sitemaps == frozenset()


def test_a_page_in_several_languages_is_one_entry() -> None:
    languages = ["en", "de", "ko"]
    pages = {x: f"https://shop.example/{x}/p/1" for x in languages}
    links = "".join(f'<xhtml:link rel="alternate" hreflang="{x}" href="{pages[x]}"/>' for x in languages)
    links += '<xhtml:link rel="alternate" hreflang="fr" href="https://shop.fr/p/1"/>'
    urls = "".join(f"<url><loc>{pages[x]}</loc>{links}</url>" for x in languages)
    body = f'{XML}<urlset {NS} xmlns:xhtml="http://www.w3.org/1999/xhtml">{urls}</urlset>'
    expected = Entry(pages["en"], translations=(pages["de"], pages["ko"]))
    assert read_feed(body.encode(), HERE).entries == (expected,)


def test_gzip_is_unpacked_whatever_the_ending_of_the_url_also_twice_and_in_members() -> None:
    body = urlset("https://shop.example/p/1", "https://shop.example/p/2")
    members = gzip.compress(body[:90]) + gzip.compress(body[90:])
    for packed in (gzip.compress(body), gzip.compress(gzip.compress(body)), members):
        assert is_feed(packed)
        assert len(read_feed(packed, HERE).entries) == 2
    assert read_feed(gzip.compress(gzip.compress(bytes(60 * 2**20), 1), 1), HERE).cut


def test_a_list_of_lines_is_read_as_a_sitemap() -> None:
    found = read_feed(b"\xef\xbb\xbfhttps://shop.example/1\r\nhttps://shop.example/2\nwords\n", HERE)
    assert [entry.url for entry in found.entries] == ["https://shop.example/1", "https://shop.example/2"]


def test_rss_and_atom_feeds_list_pages_with_their_pictures() -> None:
    rss = (
        '<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel>'
        "<link>https://shop.example/</link><item>"
        "<title>Coat &amp; hat</title><link>https://shop.example/p/1</link>"
        '<enclosure url="/i/1.jpg" type="image/jpeg"/><media:content url="/i/2.jpg" medium="image"/>'
        "</item></channel></rss>"
    )
    atom = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><link rel="self" href="/feed"/><entry><title>Coat</title>'
        '<link rel="edit" href="/edit/1"/><link href="/p/1"/><updated>2026-11-02</updated></entry></feed>'
    )
    images = ("https://shop.example/i/1.jpg", "https://shop.example/i/2.jpg")
    page = "https://shop.example/p/1"
    assert read_feed(rss.encode(), HERE).entries == (Entry(page, "Coat & hat", images=images),)
    assert read_feed(atom.encode(), HERE).entries == (Entry(page, "Coat"),)


def test_a_product_feed_lists_prices_and_pictures() -> None:
    # https://support.google.com/merchants/answer/7052112 describes the elements.
    body = (
        '<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><item><g:title>Coat</g:title>'
        "<g:link>https://shop.example/p/1</g:link><g:price>59.00 EUR</g:price><g:sale_price>39.00 EUR</g:sale_price>"
        "<g:image_link>/i/1.jpg</g:image_link><g:additional_image_link>/i/2.jpg</g:additional_image_link>"
        "</item></channel></rss>"
    )
    (entry,) = read_feed(body.encode(), HERE).entries
    first, second = entry.pictures(HERE)
    assert (first.url, second.url) == ("https://shop.example/i/1.jpg", "https://shop.example/i/2.jpg")
    product = first.product
    assert (product.title, product.price, product.currency) == ("Coat", Decimal("39.00"), "EUR")
    assert (first.product_url, first.rule, second.rank) == ("https://shop.example/p/1", Rule.FEED, 2)


def test_a_sitemap_lists_only_urls_of_its_own_host() -> None:
    found = read_feed(
        urlset("https://www.shop.example/1", "http://10.0.0.1/", "file:///etc/passwd", "javascript:x"), HERE
    )
    assert [entry.url for entry in found.entries] == ["https://www.shop.example/1"]
    assert found.refused == 3


@pytest.mark.parametrize("entity", ['"ha"', 'SYSTEM "file:///etc/passwd"', '"&b;&b;&b;"'])
def test_entities_are_never_resolved(entity: str) -> None:
    body = (
        f"{XML}<!DOCTYPE u [<!ENTITY b '{'x' * 9}'><!ENTITY a {entity}>]><urlset><url><loc>https://shop.example/&a;</loc></url>"
        "<url><loc>https://shop.example/2</loc></url></urlset>"
    )
    assert [entry.url for entry in read_feed(body.encode(), HERE).entries] == ["https://shop.example/2"]


def test_a_broken_sitemap_gives_the_entries_before_the_break() -> None:
    body = urlset("https://shop.example/1", "https://shop.example/2")[:-30]
    assert [entry.url for entry in read_feed(body, HERE).entries][:1] == ["https://shop.example/1"]


def test_a_sitemap_is_cut_at_the_limits() -> None:
    found = read_feed(urlset(*(f"/{n}" for n in range(MAX_URLS + 10))), HERE)
    assert (len(found.entries), found.cut) == (MAX_URLS, True)
    assert read_feed(gzip.compress(bytes(60 * 2**20), 1), HERE).cut


def test_feeds_are_distinguished_from_pages() -> None:
    assert is_feed(urlset())
    assert is_feed(gzip.compress(urlset()))
    assert is_feed(b"<rss version='2.0'></rss>")
    assert not is_feed(b"<!doctype html><html><body>&lt;rss <urlset></body></html>", "text/html")
    assert not is_feed(b"", None)


@given(
    st.binary(max_size=500),
    st.sampled_from([b"", b"<urlset><url><loc>", b"<rss><channel><item><link>", b"\x1f\x8b\x08"]),
)
def test_reading_any_bytes_as_a_feed_raises_nothing(body: bytes, head: bytes) -> None:
    read_feed(head + body, HERE)
    is_feed(head + body)
