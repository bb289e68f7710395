"""Prices: an amount and its currency out of what a shop wrote."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from price_parser import Price as Parsed

_SIGNS = {
    **dict.fromkeys(["₩", "￦", "원", "won"], "KRW"),
    **dict.fromkeys(["€", "euro"], "EUR"),
    **dict.fromkeys(["$", "us$"], "USD"),
    **dict.fromkeys(["¥", "￥", "円"], "JPY"),
    **{"£": "GBP", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "hk$": "HKD", "nt$": "TWD", "s$": "SGD"},
}
_CODES = "KRW|USD|EUR|GBP|JPY|CNY|CAD|AUD|HKD|TWD|SGD"
_SIGN = r"[₩￦€$£¥￥원円]"
_CODE = re.compile(r"[A-Za-z]{3}")
_AMOUNT = r"\d[\d.,'’]*(?:[\s\xa0\u202f]\d{3}(?!\d))*(?:[.,]\d{1,2})?"
_WITH_CURRENCY = re.compile(
    rf"(?:{_SIGN}|\b(?:{_CODES})|us\$)[\s\xa0]*{_AMOUNT}|{_AMOUNT}[\s\xa0\u202f]*(?:{_SIGN}|(?:{_CODES}|won)\b)", re.I
)
_PER_CENT = re.compile(r"-?\d+(?:[.,]\d+)?[\s\xa0]*%")
_PLAIN = re.compile(r"\d{1,12}(?:\.(?:\d{1,2}|\d{4,6}))?")
_NEGATIVE = re.compile(r"[-−][\d.,\s]+")
_LONGEST = 80
_HIGHEST = 10**12


@dataclass(frozen=True, slots=True)
class Price:
    """What a product costs now."""

    amount: Decimal
    currency: str | None
    """ISO 4217, None if the shop does not say."""


def looks_like_price(text: str) -> bool:
    """Whether a short text holds an amount with a currency."""
    return len(text) <= _LONGEST and _WITH_CURRENCY.search(text) is not None


def read_price(value: Any, currency: Any = None) -> Price | None:
    """A price from a number or a text (`₩39,000`, `1.299,00 €`), None if it is none.

    Of several amounts in one text, the lowest is what it costs now, unless it is so low that it must be something
    else (points, a monthly rate). `currency`: what the page says of it elsewhere, a code or a sign.
    """
    hint = currency_code(currency) if isinstance(currency, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = _PER_CENT.sub(" ", str(value)).strip()
    if not text or len(text) > _LONGEST or _NEGATIVE.fullmatch(text):
        return None
    if _PLAIN.fullmatch(text):
        return _checked(Decimal(text), hint)
    amounts = _WITH_CURRENCY.findall(text) or [text]
    prices = [price for amount in amounts if (price := _parsed(amount, hint))]
    if not prices:
        return None
    return min((price for price in prices if price.amount * 10 >= prices[0].amount), key=lambda price: price.amount)


def currency_code(text: str | None) -> str | None:
    """The ISO 4217 code of a code or a sign, None if it is neither."""
    if not text:
        return None
    stripped = text.strip()
    return _SIGNS.get(stripped.lower()) or (stripped.upper() if _CODE.fullmatch(stripped) else None)


def _parsed(text: str, hint: str | None) -> Price | None:
    found = Parsed.fromstring(text.replace("￦", "₩"), currency_hint=hint)
    own = "KRW" if "원" in text else currency_code(found.currency)
    return _checked(found.amount, own or hint)


def _checked(amount: Decimal | None, currency: str | None) -> Price | None:
    if amount is None or not amount.is_finite() or not 0 < amount < _HIGHEST:
        return None
    # 39000, 39000.00 and 3.9E+4 are one price, written as 39000; 12.5 is written as 12.50.
    for step in (Decimal(1), Decimal("0.01")):
        if amount == amount.quantize(step):
            return Price(amount.quantize(step), currency)
    return Price(amount, currency)
