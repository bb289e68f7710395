"""Reading sitemaps and feeds."""

from __future__ import annotations

import gzip
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_a_sitemap_lists_pages_with_their_images() -> None:
    body = (
        f"{XML}<urlset {NS}><url><loc> https://shop.example/p/1?a=1&amp;b=2 </loc><lastmod>2026-11-02</lastmod>"
        "<image:image><image:loc>https://cdn.example/1.jpg</image:loc></image:image>"
        "<image:image><image:loc>https://cdn.example/2.jpg</image:loc></image:image></url></urlset>"
    )
    images = ("https://cdn.example/1.jpg", "https://cdn.example/2.jpg")
    assert read_feed(body.encode(), HERE).entries == (
        Entry("https://shop.example/p/1?a=1&b=2", "2026-11-02", images=images),
    )


def test_gzip_is_unpacked_whatever_the_ending_of_the_url() -> None:
    assert len(read_feed(gzip.compress(urlset("https://shop.example/p/1")), HERE).entries) == 1


def test_a_list_of_lines_is_read_as_a_sitemap() -> None:
    found = read_feed(b"\xef\xbb\xbfhttps://shop.example/1\r\nhttps://shop.example/2\nwords\n", HERE)
    assert [entry.url for entry in found.entries] == ["https://shop.example/1", "https://shop.example/2"]


def test_rss_and_atom_feeds_list_pages() -> None:
    rss = (
        '<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel>'
        "<link>https://shop.example/</link><item>"
        "<title>Coat &amp; hat</title><link>https://shop.example/p/1</link>"
        "<pubDate>Mon, 02 Nov 2026 09:00:00 GMT</pubDate>"
        '<enclosure url="/i/1.jpg" type="image/jpeg"/><media:content url="/i/2.jpg" medium="image"/>'
        "</item></channel></rss>"
    )
    atom = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><link rel="self" href="/feed"/><entry><title>Coat</title>'
        '<link rel="edit" href="/edit/1"/><link href="/p/1"/><updated>2026-11-02</updated></entry></feed>'
    )
    images = ("https://shop.example/i/1.jpg", "https://shop.example/i/2.jpg")
    page = "https://shop.example/p/1"
    assert read_feed(rss.encode(), HERE).entries == (
        Entry(page, "Mon, 02 Nov 2026 09:00:00 GMT", "Coat & hat", images),
    )
    assert read_feed(atom.encode(), HERE).entries == (Entry(page, "2026-11-02", "Coat"),)


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
