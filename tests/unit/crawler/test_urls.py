"""The canonical spelling of URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.item_errors import FetchForbidden
from crawler.urls import canonical_url


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Shop.Example:80/a#top", "http://shop.example/a"),
        ("https://shop.example", "https://shop.example/"),
        ("https://shop.example/a?b=2&a=1", "https://shop.example/a?a=1&b=2"),
        ("https://shop.example/a?a=2&a=1", "https://shop.example/a?a=2&a=1"),
        ("https://shop.example/a?utm_source=x&UTM_Medium=y&gclid=1&fbclid=2&NaPm=ct", "https://shop.example/a"),
        ("https://shop.example/a;jsessionid=0A1B?PHPSESSID=q1&id=3", "https://shop.example/a?id=3"),
        ("https://shop.example/a?sid=5f2a9c81d3e04b7795", "https://shop.example/a"),
        ("https://shop.example/a?sid=12", "https://shop.example/a?sid=12"),
        ("https://shop.example/%7euser/%ec%98%b7", "https://shop.example/~user/%EC%98%B7"),
        ("https://shop.example/옷?q=코트", "https://shop.example/%EC%98%B7?q=%EC%BD%94%ED%8A%B8"),
        ("https://shop.example/a?flag", "https://shop.example/a?flag="),
        ("https://shop.example/(S(lit3py55t21z5v55vlm25s55))/a", "https://shop.example/a"),
        ("https://shop.example/a?q=%c4%da%c6%ae", "https://shop.example/a?q=%C4%DA%C6%AE"),
    ],
)
def test_urls_of_the_same_page_have_one_canonical_spelling(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


def test_values_that_are_not_utf_8_stay_different() -> None:
    assert canonical_url("https://shop.example/a?q=%C4%DA%C6%AE") != canonical_url(
        "https://shop.example/a?q=%C5%DA%C6%AE"
    )


def test_a_url_that_cannot_be_fetched_has_no_canonical_spelling() -> None:
    with pytest.raises(FetchForbidden):
        canonical_url("javascript:alert(1)")


@given(st.text(max_size=60))
def test_canonical_urls_stay_as_they_are(tail: str) -> None:
    try:
        once = canonical_url(f"https://shop.example/{tail}")
    except FetchForbidden:
        return
    assert canonical_url(once) == once
