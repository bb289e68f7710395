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
        ("229€99", None, "229.99", "EUR"),
        ("1 229€99", None, "1229.99", "EUR"),
        ("R$ 229,99", None, "229.99", "BRL"),
        ("CA$12.50", None, "12.50", "CAD"),
        ("C$ 12.50", None, "12.50", "CAD"),
        ("A$12", None, "12", "AUD"),
        ("AU$ 1,299.00", None, "1299", "AUD"),
        ("NT$ 990", None, "990", "TWD"),
        ("HK$990", None, "990", "HKD"),
        ("S$12.90", None, "12.90", "SGD"),
        ("MX$ 1,299.00", None, "1299", "MXN"),
        ("RD$ 1,290", None, "1290", "DOP"),
        ("$U 1.290", "UYU", "1290", "UYU"),
        ("$12.990 CLP", None, "12990", "CLP"),
        ("$1,299.00 MXN", None, "1299", "MXN"),
        ("MXN $1,299.00", None, "1299", "MXN"),
        ("COP$ 129.900", None, "129900", "COP"),
        ("$ 12.50", "CAD", "12.50", "CAD"),
        ("¥129", "CNY", "129", "CNY"),
        ("kr 129", "NOK", "129", "NOK"),
        ("€ 12.50", "CAD", "12.50", "EUR"),
        ("US$ 12.50", "CAD", "12.50", "USD"),
        ("S/. 129.90", None, "129.90", "PEN"),
        ("Fr. 129.50", None, "129.50", "CHF"),
        ("CHF 129.–", None, "129", "CHF"),
        ("1,290 บาท", None, "1290", "THB"),
        ("129 ر.س", None, "129", "SAR"),
        ("د.إ 129", None, "129", "AED"),
        ("129 Dhs.", None, "129", "AED"),
        ("₦12,900", None, "12900", "NGN"),
        ("1 299 ₸", None, "1299", "KZT"),
        ("129 NIS", None, "129", "ILS"),
        ("129,00 Eur", None, "129", "EUR"),
        ("12 990 р.", None, "12990", "RUB"),
        ("1 299 грн.", None, "1299", "UAH"),
        ("129 лв.", None, "129", "BGN"),
        ("2 499 Ft", None, "2499", "HUF"),
        ("129:- kr", None, "129", "SEK"),
        ("12.500 KWD", None, "12.50", "KWD"),
        ("12.525", "KWD", "12.525", "KWD"),
        ("1,012.500", "BHD", "1012.50", "BHD"),
        ("12.5", "OMR", "12.50", "OMR"),
        ("12,500", "KWD", "12500", "KWD"),
        ("12.500", "CLP", "12500", "CLP"),
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
        ("$12$15", "12"),
        ("€12 €15", "12"),
        ("R$ 39,90 R$ 29,90", "29.90"),
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
    assert not looks_like_price("Fr 12.03.")
    assert not looks_like_price("try 12")


@given(st.text(max_size=90) | st.floats() | st.integers(), st.none() | st.text(max_size=5))
def test_reading_any_value_gives_a_sensible_price_or_none(value: object, currency: str | None) -> None:
    price = read_price(value, currency)
    assert price is None or Decimal(0) < price.amount < Decimal(10) ** 12
