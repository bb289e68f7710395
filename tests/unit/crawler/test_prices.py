"""Reading prices as shops write them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.extraction.prices import looks_like_price, read_price


@pytest.mark.parametrize(
    ("text", "hint", "amount", "currency"),
    [
        ("₩39,000", None, "39000", "KRW"),
        ("39,000원", None, "39000", "KRW"),
        ("39,000 원", None, "39000", "KRW"),
        ("￦ 1,000", None, "1000", "KRW"),
        ("KRW 39,000", None, "39000", "KRW"),
        ("39.000", "KRW", "39000", "KRW"),
        (39000, "KRW", "39000", "KRW"),
        (39000.0, "KRW", "39000", "KRW"),
        ("39000.00", "KRW", "39000", "KRW"),
        ("1.299,00 €", None, "1299", "EUR"),
        ("€1,299.50", None, "1299.50", "EUR"),
        ("1 299,00 €", None, "1299", "EUR"),
        ("12,5", "EUR", "12.50", "EUR"),
        ("$1,299.00", None, "1299", "USD"),
        ("US$ 12.50", None, "12.50", "USD"),
        ("12.50", "$", "12.50", "USD"),
        ("£5", None, "5", "GBP"),
        ("12.99", None, "12.99", None),
        ("가격 39,000원", None, "39000", "KRW"),
    ],
)
def test_a_price_is_read_in_every_spelling(text: object, hint: str | None, amount: str, currency: str | None) -> None:
    price = read_price(text, hint)
    assert price is not None
    assert (str(price.amount), price.currency) == (amount, currency)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("59,000원 → 39,000원", "39000"),
        ("30% 59,000원 41,300원", "41300"),
        ("30 % ₩41,300", "41300"),
        ("$39.00 – $59.00", "39"),
        ("39,000원 (적립 390원)", "39000"),
    ],
)
def test_the_current_price_is_chosen_among_several_amounts(text: str, amount: str) -> None:
    price = read_price(text)
    assert price is not None
    assert str(price.amount) == amount


@pytest.mark.parametrize(
    "value", [None, True, "", "Free", "sold out", "0", 0, -5.0, float("nan"), float("inf"), "50%", [], {}]
)
def test_a_value_that_is_no_price_gives_none(value: object) -> None:
    assert read_price(value) is None


def test_a_size_or_a_count_does_not_look_like_a_price() -> None:
    assert looks_like_price("39,000원")
    assert looks_like_price("from € 12")
    assert not looks_like_price("Size 38")
    assert not looks_like_price("12 reviews")


@given(st.text(max_size=90) | st.floats() | st.integers(), st.none() | st.text(max_size=5))
def test_reading_any_value_gives_a_sensible_price_or_none(value: object, currency: str | None) -> None:
    price = read_price(value, currency)
    assert price is None or Decimal(0) < price.amount < Decimal(10) ** 12
