"""Reads prices: the amount and the currency in the text of a shop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from price_parser import Price as Parsed

_CURRENCIES = {
    **dict.fromkeys(["₩", "￦", "원", "won"], "KRW"),
    **dict.fromkeys(["€", "euro", "eur"], "EUR"),
    **dict.fromkeys(["$", "us$"], "USD"),
    **dict.fromkeys(["¥", "￥", "円"], "JPY"),
    **{"£": "GBP", "c$": "CAD", "ca$": "CAD", "a$": "AUD", "au$": "AUD", "hk$": "HKD", "nt$": "TWD", "s$": "SGD"},
    **{"nz$": "NZD", "mx$": "MXN", "r$": "BRL", "元": "CNY", "圓": "TWD", "zł": "PLN", "zl": "PLN", "kč": "CZK"},
    **{"ft": "HUF", "lei": "RON", "kn": "HRK", "kr": "SEK", "kr.": "SEK", "₺": "TRY", "tl": "TRY", "₪": "ILS"},
    **dict.fromkeys(["₽", "руб", "руб.", "р", "р.", "rur"], "RUB"),
    **{"₴": "UAH", "грн": "UAH", "грн.": "UAH", "лв": "BGN", "лв.": "BGN", "₹": "INR", "rs": "INR", "rs.": "INR"},
    **{"฿": "THB", "₫": "VND", "đ": "VND", "₱": "PHP", "rp": "IDR", "rm": "MYR", "ر.س": "SAR", "د.إ": "AED"},
}
"""Sign or word in lower case → the ISO 4217 code. A sign that several currencies share has the most common one."""
_SHARED_SIGNS = {
    "USD": "ca:CAD au:AUD nz:NZD hk:HKD tw:TWD sg:SGD mx:MXN cl:CLP co:COP ar:ARS uy:UYU",
    "INR": "pk:PKR lk:LKR np:NPR mu:MUR",
    "SEK": "no:NOK dk:DKK is:ISK",
    "JPY": "cn:CNY",
    "CNY": "tw:TWD hk:HKD jp:JPY",
    "RUB": "by:BYN",
}
"""Code of a shared sign → top-level domain : code of the currency that the same sign means there."""
_CODES = (
    "(?-i:KRW|USD|EUR|GBP|JPY|CNY|CAD|AUD|NZD|HKD|TWD|SGD|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|HRK|RUB|UAH|BYN|TRY|ILS"
    "|AED|SAR|QAR|KWD|BHD|OMR|EGP|INR|PKR|THB|VND|IDR|MYR|PHP|ZAR|BRL|ARS|CLP|COP|MXN|PEN)"
)
_SIGN = r"[₩￦€$£¥￥원円元圓₺₪₽₴₹฿₫₱]"
_WORDS = r"(?<![a-z])(?:zł|kč|(?-i:Ft)|lei|kn|kr\.?|tl|руб\.?|р\.|грн\.?|лв\.?|rs\.?|ر\.س|د\.إ)(?![a-z])"
_CODE = re.compile(r"[A-Za-z]{3}")
_AMOUNT = r"\d[\d.,'’]*(?:[\s\xa0\u202f]\d{3}(?!\d))*(?:[.,]\d{1,2})?"
_WITH_CURRENCY = re.compile(
    rf"(?:{_SIGN}|\b(?:{_CODES})|us\$|{_WORDS})[\s\xa0]*{_AMOUNT}"
    rf"|{_AMOUNT}[\s\xa0\u202f]*(?:{_SIGN}|(?:{_CODES}|won|euro?)\b|{_WORDS})",
    re.I,
)
_AT_END = re.compile(rf"(?:{_SIGN}|{_WORDS}|\b{_CODES})\s*$", re.I)
_AT_START = re.compile(rf"\s*(?:{_SIGN}|{_WORDS}|{_CODES}\b)", re.I)
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


def local_currency(currency: str | None, host: str | None) -> str | None:
    """Return the currency that a shared sign, such as $ or kr, means on a host. `currency`: the code of the sign."""
    local = dict(pair.split(":") for pair in _SHARED_SIGNS.get(currency or "", "").split())
    return local.get((host or "").rpartition(".")[2], currency)


def outside_sign(before: str, after: str) -> str | None:
    """Return the currency sign at the end of the text before an amount or at the start of the text after it."""
    found = _AT_END.search(before) or _AT_START.match(after)
    return found.group().strip() if found else None


def _parsed(text: str, hint: str | None) -> Price | None:
    found = Parsed.fromstring(text.replace("￦", "₩"), currency_hint=hint)
    sign = next((sign for sign in ("원", "元", "圓") if sign in text), found.currency)
    own = _CURRENCIES[sign] if sign in {"원", "圓"} else currency_code(sign)
    return _checked(found.amount, own or hint)


def _checked(amount: Decimal | None, currency: str | None) -> Price | None:
    if amount is None or not amount.is_finite() or not 0 < amount < _MAX_AMOUNT:
        return None
    # 39000, 39000.00 and 3.9E+4 are the same price and become 39000. 12.5 becomes 12.50.
    for step in (Decimal(1), Decimal("0.01")):
        if amount == amount.quantize(step):
            return Price(amount.quantize(step), currency)
    return Price(amount, currency)
