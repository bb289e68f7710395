"""The canonical spelling of URLs, and the limit of pages whose URLs differ only by a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import FetchForbidden
from crawler.urls import PatternBound, canonical_url, url_pattern


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
    ],
)
def test_urls_of_the_same_page_have_one_canonical_spelling(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical
    assert canonical_url(canonical) == canonical


@pytest.mark.parametrize(
    ("url", "pattern"),
    [
        ("https://shop.example/item/123?color=2&page=7", "shop.example/item/{n}?color&page"),
        ("https://shop.example/calendar/2024-05-17", "shop.example/calendar/{date}"),
        ("https://shop.example/calendar/2024/05/17", "shop.example/calendar/{date}"),
        ("https://shop.example/s/5f2a9c81d3e04b77/cart", "shop.example/s/{hash}/cart"),
        ("https://shop.example/p/linen-dress-88", "shop.example/p/linen-dress-{n}"),
        ("https://shop.example/a/b/a/b/a/b/a/b", "shop.example/a/b"),
    ],
)
def test_urls_that_differ_only_in_numbers_dates_or_hashes_share_a_pattern(url: str, pattern: str) -> None:
    assert url_pattern(url) == pattern


def test_endless_pages_of_one_pattern_end_at_the_limit() -> None:
    bound = PatternBound(max_barren=5)
    admitted = [bound.admit(f"https://shop.example/calendar/{year}/01/01") for year in range(1990, 2010)]
    assert sum(admitted) == 5
    assert bound.admit("https://shop.example/other/1")


def test_a_pattern_whose_pages_have_pictures_has_no_limit() -> None:
    bound = PatternBound(max_barren=5)
    for number in range(1000):
        url = f"https://shop.example/item/{number}"
        assert bound.admit(url)
        bound.mark_fruitful(url)


def test_the_number_of_patterns_is_limited() -> None:
    bound = PatternBound(max_barren=2, max_patterns=3)
    admitted = [bound.admit(f"https://shop.example/{'ab' * (i + 1)}/x") for i in range(50)]
    assert sum(admitted) == 3 + 2


def test_a_url_that_cannot_be_fetched_is_not_admitted() -> None:
    assert not PatternBound().admit("ftp://shop.example/")
    with pytest.raises(FetchForbidden):
        canonical_url("javascript:alert(1)")


@given(st.text(max_size=60))
def test_canonical_urls_stay_as_they_are(tail: str) -> None:
    try:
        once = canonical_url(f"https://shop.example/{tail}")
    except FetchForbidden:
        return
    assert canonical_url(once) == once
    assert url_pattern(once) == url_pattern(once)
