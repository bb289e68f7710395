"""Recognising one picture in several sizes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.extraction.variants import Variant, key_of, largest, read_srcset

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("/i/dress_600x.jpg", "/i/dress_1200x.jpg"),
        ("/i/dress_600x.jpg", "/i/dress.jpg"),
        ("/i/dress-300x300.jpg", "/i/dress-1024x1024.jpg"),
        ("/i/dress_300x400_crop_center.jpg?v=1", "/i/dress.jpg?v=1"),
        ("/i/dress.jpg?w=300&q=80", "/i/dress.jpg?w=900&q=60"),
        ("/i/dress.jpg?width=300", "/i/dress.jpg"),
        ("/300x300/dress.jpg", "/900x900/dress.jpg"),
        ("/thumb/dress.jpg", "/big/dress.jpg"),
        ("/w_300,h_400,c_fill/dress.jpg", "/w_1000,h_1000,c_fill/dress.jpg"),
        ("/i/dress.jpg", "/i/dress@2x.jpg"),
        ("/i/dress_small.jpg", "/i/dress_grande.jpg"),
        ("/i/12-0-400q75.jpg", "/i/12-0-800q90.jpg"),
    ],
)
def test_two_sizes_are_one_picture_and_the_larger_one_is_chosen(smaller: str, larger: str) -> None:
    assert key_of(SHOP + smaller) == key_of(SHOP + larger)
    variants = [Variant(SHOP + smaller), Variant(SHOP + larger)]
    assert largest(variants).url == largest(variants[::-1]).url == SHOP + larger


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/i/dress-1.jpg", "/i/dress-2.jpg"),
        ("/i/IMG_1200.jpg", "/i/IMG_1201.jpg"),
        ("/i/1200.jpg", "/i/1201.jpg"),
        ("/view?id=1&w=300", "/view?id=2&w=300"),
        ("/a/front.jpg", "/a/back.jpg"),
        ("/a/600x600", "/b/600x600"),
    ],
)
def test_different_pictures_are_not_merged(first: str, second: str) -> None:
    assert key_of(SHOP + first) != key_of(SHOP + second)


def test_a_declared_width_takes_precedence_over_the_name() -> None:
    assert (
        largest([Variant("https://s.example/big.jpg", 300), Variant("https://s.example/small.jpg", 900)]).width == 900
    )


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("a.jpg 1x, b.jpg 2x", [("a.jpg", 1, "x"), ("b.jpg", 2, "x")]),
        ("a.jpg 200w,b.jpg 400w", [("a.jpg", 200, "w"), ("b.jpg", 400, "w")]),
        ("/w_1,h_2/a.jpg 100w, /w_2,h_4/a.jpg 200w", [("/w_1,h_2/a.jpg", 100, "w"), ("/w_2,h_4/a.jpg", 200, "w")]),
        ("a.jpg, b.jpg 2x", [("a.jpg", 1, ""), ("b.jpg", 2, "x")]),
        ("  a.jpg  1.5x  ", [("a.jpg", 1.5, "x")]),
        ("a.jpg", [("a.jpg", 1, "")]),
        (" , ,", []),
        ("", []),
    ],
)
def test_a_srcset_is_read_as_browsers_do(text: str, candidates: list[tuple[str, float, str]]) -> None:
    assert read_srcset(text) == candidates


@given(st.text())
def test_reading_any_text_as_a_srcset_raises_nothing(text: str) -> None:
    assert all(reference for reference, _, _ in read_srcset(text))
