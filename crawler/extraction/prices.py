"""Reads prices: the amount and the currency in the text of a shop."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from price_parser import Price as Parsed

from crawler.extraction.currencies import CODE, MARK, SIGN, THREE_DECIMALS, can_mean, currency_code, currency_in

_AMOUNT = r"\d[\d.,'’]*(?:[\s\xa0\u202f]\d{3}(?!\d))*(?:[.,]\d{1,2})?"
_GAP = r"[\s\xa0\u202f]*"
_WITH_CURRENCY = re.compile(
    rf"{MARK}{_GAP}{SIGN}?{_GAP}{_AMOUNT}(?:{_GAP}{CODE})?|{_AMOUNT}{_GAP}{MARK}(?:{_GAP}{CODE})?", re.I
)
_AT_END = re.compile(rf"{MARK}\s*$", re.I)
_AT_START = re.compile(rf"\s*{MARK}", re.I)
_SIGN_FOR_POINT = re.compile(r"(?<![\d.,$€£])(\d{1,4})([$€£])(\d\d)(?![\d.,])")
"""Matches 229€99."""
_THOUSANDTHS = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})*|\d+)\.(\d{3})(?![\d.,])")
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
    is_local: bool = field(default=False, compare=False)
    """Whether the shop only names the currency with a sign that several share, so that its domain decides."""


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
    text = _SIGN_FOR_POINT.sub(r"\1.\3\2", _PERCENTAGE.sub(" ", str(value))).strip()
    if not text or len(text) > _MAX_TEXT or _NEGATIVE.fullmatch(text):
        return None
    if _PLAIN.fullmatch(text):
        return _checked(Decimal(text), hint)
    amounts = _WITH_CURRENCY.findall(text) or [text]
    prices = [price for amount in amounts if (price := _parsed(amount, hint))]
    if not prices:
        return None
    return min((price for price in prices if price.amount * 10 >= prices[0].amount), key=lambda price: price.amount)


def outside_sign(before: str, after: str) -> str | None:
    """Return the currency sign at the end of the text before an amount or at the start of the text after it."""
    found = _AT_END.search(before) or _AT_START.match(after)
    return found.group().strip() if found else None


def _parsed(text: str, hint: str | None) -> Price | None:
    named = currency_in(text) if _WITH_CURRENCY.fullmatch(text) else None
    found = Parsed.fromstring(text.replace("￦", "₩"), currency_hint=hint)
    if named is None:
        return _checked(_in_thousandths(text, hint) or found.amount, currency_code(found.currency) or hint)
    # $ on a page whose data say CAD means Canadian dollars.
    code = hint if hint and named.is_shared and can_mean(named.code, hint) else named.code
    amount = _in_thousandths(text, code) or found.amount
    return _checked(amount, code, is_local=named.is_shared and code != hint)


def _in_thousandths(text: str, currency: str | None) -> Decimal | None:
    """Return an amount with three decimals, or None if the text has none or its currency does not have them."""
    match = _THOUSANDTHS.search(text) if currency in THREE_DECIMALS else None
    return Decimal(f"{match[1].replace(',', '')}.{match[2]}") if match else None


def _checked(amount: Decimal | None, currency: str | None, *, is_local: bool = False) -> Price | None:
    if amount is None or not amount.is_finite() or not 0 < amount < _MAX_AMOUNT:
        return None
    # 39000, 39000.00 and 3.9E+4 are the same price and become 39000. 12.5 becomes 12.50.
    for step in (Decimal(1), Decimal("0.01")):
        if amount == amount.quantize(step):
            return Price(amount.quantize(step), currency, is_local)
    return Price(amount, currency, is_local)
