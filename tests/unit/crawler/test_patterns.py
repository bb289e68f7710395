"""Which patterns of URLs are no longer worth a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.patterns import MAX_BARREN_PARAMETER, MAX_BARREN_PATH, MAX_PROBES, Admission, Patterns, patterns_of

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("path", "patterns"),
    [
        ("/c/shirts?color=red&size=m&utm_source=x", ["/c?color", "/c?size"]),
        ("/ko/c/shirts", ["/*/c/*"]),
        ("/shirts?color=red", ["/?color"]),
        ("/calendar/2024/05/17", ["/calendar/*/*"]),
        ("/calendar/2024/05/17/18/19", ["/calendar/*/*"]),
        ("/product.php?id=7", ["/product.php?id"]),
        ("/linen-dress-88", ["/*"]),
        ("/a/b/a/b/a/b/a/b", ["/a/*"]),
        ("/", ["/"]),
    ],
)
def test_a_url_has_the_patterns_of_its_path_and_its_parameters(path: str, patterns: list[str]) -> None:
    assert patterns_of(SHOP + path) == tuple(f"shop.example{pattern}" for pattern in patterns)


@pytest.mark.parametrize(("form", "limit"), [("/events?month={}", MAX_BARREN_PARAMETER), ("/e/{}", MAX_BARREN_PATH)])
def test_pages_that_show_nothing_new_come_later_and_then_never(form: str, limit: int) -> None:
    patterns = Patterns()
    admissions = []
    for number in range(limit + 3):
        url = SHOP + form.format(number)
        admissions.append(patterns.admit(url))
        patterns.note(url, {"the same banner"} if number else set())
    # The first banner was new.
    assert admissions[: MAX_PROBES + 1].count(Admission.NOW) == MAX_PROBES + 1
    assert admissions.count(Admission.NOW) + admissions.count(Admission.LATER) == limit + 2
    assert admissions[-1] is Admission.NEVER
    assert patterns.admit(f"{SHOP}/c/shirts") is Admission.NOW


def test_a_page_with_something_new_starts_the_count_anew() -> None:
    patterns = Patterns()
    for number in range(1_000):
        url = f"{SHOP}/item?id={number}"
        assert patterns.admit(url) is Admission.NOW
        patterns.note(url, {f"product {number // 3}"})


def test_one_barren_parameter_is_enough() -> None:
    patterns = Patterns()
    for number in range(MAX_BARREN_PARAMETER):
        patterns.note(f"{SHOP}/c/shirts?color={number}", set())
    assert patterns.admit(f"{SHOP}/c/coats?color=1&size=2") is Admission.NEVER
    assert patterns.admit(f"{SHOP}/c/coats?size=2") is Admission.NOW
    assert patterns.admit("ftp://shop.example/") is Admission.NEVER


@given(st.text(max_size=60))
def test_every_url_has_patterns_or_may_not_be_fetched(tail: str) -> None:
    assert patterns_of(f"{SHOP}/{tail}") == patterns_of(f"{SHOP}/{tail}")
