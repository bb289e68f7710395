"""Reads prices: the amount and the currency in the text of a shop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from price_parser import Price as Parsed

_CURRENCIES = {
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
_PERCENTAGE = re.compile(r"-?\d+(?:[.,]\d+)?[\s\xa0]*%")
_PLAIN = re.compile(r"\d{1,12}(?:\.(?:\d{1,2}|\d{4,6}))?")
_NEGATIVE = re.compile(r"[-−][\d.,\s]+")
_MAX_TEXT = 80
_MAX_AMOUNT = 10**12


@dataclass(frozen=True, slots=True)
class Price:
    """The current price of a product."""

    amount: Decimal
    currency: str | None
    """The ISO 4217 code, or None if the shop does not name the currency."""


def looks_like_price(text: str) -> bool:
    """Return whether a text is short and contains an amount with a currency."""
    return len(text) <= _MAX_TEXT and _WITH_CURRENCY.search(text) is not None


def count_prices(text: str) -> int:
    """Return the number of amounts with a currency in a text."""
    return len(_WITH_CURRENCY.findall(text))


def read_price(value: Any, currency: Any = None) -> Price | None:
    """Return the price in a number or a text (`₩39,000`, `1.299,00 €`), or None if there is no price.

    If a text has several amounts, the lowest one is the current price. Amounts below a tenth of the first one are
    ignored, because they are something else, such as points or a monthly rate.

    `currency`: a code or sign from another part of the page.
    """
    hint = currency_code(currency) if isinstance(currency, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = _PERCENTAGE.sub(" ", str(value)).strip()
    if not text or len(text) > _MAX_TEXT or _NEGATIVE.fullmatch(text):
        return None
    if _PLAIN.fullmatch(text):
        return _checked(Decimal(text), hint)
    amounts = _WITH_CURRENCY.findall(text) or [text]
    prices = [price for amount in amounts if (price := _parsed(amount, hint))]
    if not prices:
        return None
    return min((price for price in prices if price.amount * 10 >= prices[0].amount), key=lambda price: price.amount)


def currency_code(text: str | None) -> str | None:
    """Return the ISO 4217 code for a code or a sign, or None if the text is neither."""
    if not text:
        return None
    stripped = text.strip()
    return _CURRENCIES.get(stripped.lower()) or (stripped.upper() if _CODE.fullmatch(stripped) else None)


def _parsed(text: str, hint: str | None) -> Price | None:
    found = Parsed.fromstring(text.replace("￦", "₩"), currency_hint=hint)
    own = "KRW" if "원" in text else currency_code(found.currency)
    return _checked(found.amount, own or hint)


def _checked(amount: Decimal | None, currency: str | None) -> Price | None:
    if amount is None or not amount.is_finite() or not 0 < amount < _MAX_AMOUNT:
        return None
    # 39000, 39000.00 and 3.9E+4 are the same price and become 39000. 12.5 becomes 12.50.
    for step in (Decimal(1), Decimal("0.01")):
        if amount == amount.quantize(step):
            return Price(amount.quantize(step), currency)
    return Price(amount, currency)
