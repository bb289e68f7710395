"""Broken and hostile pages: extraction always gives a result, and in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.extraction import extract
from crawler.extraction.page import Page
from crawler.urls import absolute_url
from tests.unit.crawler.small_pages import HERE, SHOP


@given(st.binary(max_size=2_000), st.sampled_from([None, "text/html; charset=euc-kr", "text/html; charset=nonsense"]))
def test_extraction_from_any_bytes_gives_a_result(body: bytes, content_type: str | None) -> None:
    extract(body, HERE, {"content-type": content_type} if content_type else {})


PARTS = r"""<div> </div> <img src= '/i/a.jpg' > <a href='/p/1'> </a> 39,000원 <script> </script> window.x={ } "name":"a"
"price":1 "image":"/a.jpg" , <script type='application/ld+json'> "@type":"Product" [ ] itemscope itemprop='image'
<noscript> <picture> srcset=' 1x, <h1> <base href='//['> <link rel=canonical href='http://['> &#0; &quot; <!--"""


@given(st.lists(st.sampled_from(PARTS.split()), max_size=60))
def test_extraction_from_any_mixture_of_markup_gives_a_result(parts: list[str]) -> None:
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
def test_pages_made_to_slow_extraction_down_are_read_in_time(body: bytes) -> None:
    assert extract(body, HERE).url == HERE


@pytest.mark.parametrize("base", [HERE, f"{SHOP}/c/?page=2", "http://127.1.0.5:8080/a"])
@given(reference=st.text("abA0/.:?#&=%-_~'() \\;@é", max_size=12))
def test_the_fast_resolution_of_a_url_agrees_with_the_full_one(base: str, reference: str) -> None:
    origin = base[: base.index("/", 8)]
    for tried in (reference, "/" + reference, origin + "/" + reference):
        assert Page(b"", base).absolute(tried) == absolute_url(base, tried.strip())
