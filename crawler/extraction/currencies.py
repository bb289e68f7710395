"""Knows the currencies that shops name by code, sign or word, and finds the one beside an amount."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from crawler.words import words

_CODES = words(
    "KRW USD EUR GBP JPY CNY CAD AUD NZD HKD TWD SGD CHF SEK NOK DKK ISK PLN CZK HUF RON BGN HRK RSD RUB UAH BYN KZT"
    " GEL TRY ILS AED SAR QAR KWD BHD OMR JOD EGP MAD TND INR PKR LKR BDT THB VND IDR MYR PHP ZAR NGN KES GHS BRL ARS"
    " CLP COP MXN PEN UYU CRC DOP"
)
"""The codes of ISO 4217 that are read beside an amount."""
_DOLLARS = {
    **{"us": "USD", "c": "CAD", "ca": "CAD", "can": "CAD", "a": "AUD", "au": "AUD", "nz": "NZD", "hk": "HKD"},
    **{"nt": "TWD", "s": "SGD", "sg": "SGD", "mx": "MXN", "mex": "MXN", "r": "BRL", "rd": "DOP", "ar": "ARS"},
    **{"cl": "CLP", "col": "COP", "u": "UYU", "uy": "UYU"},
}
"""Letters directly before a dollar sign → the code of the country's currency."""
_SIGNS = {
    **dict.fromkeys("₩￦원", "KRW"),
    **{"€": "EUR", "$": "USD", "£": "GBP", "元": "CNY", "圓": "TWD", "₺": "TRY", "₪": "ILS", "₽": "RUB", "₴": "UAH"},
    **dict.fromkeys("¥￥円", "JPY"),
    **{"₹": "INR", "฿": "THB", "₫": "VND", "₱": "PHP", "₦": "NGN", "₵": "GHS", "₸": "KZT", "৳": "BDT", "₡": "CRC"},
    "₾": "GEL",
}
_WORDS = {
    **{"zł": "PLN", "kč": "CZK", "lei": "RON", "kn": "HRK", "kr": "SEK", "tl": "TRY", "руб": "RUB", "р.": "RUB"},
    **{"грн": "UAH", "лв": "BGN", "тг": "KZT", "rs": "INR", "ksh": "KES", "rp": "IDR", "won": "KRW", "บาท": "THB"},
    **{"euro": "EUR", "euros": "EUR", "đ": "VND"},
}
"""Word → the code. A point may follow each word, and must follow those that have one here."""
_SPELLED_WORDS = {
    **{"Ft": "HUF", "NIS": "ILS", "Dh": "AED", "Dhs": "AED", "DH": "AED", "RM": "MYR", "S/": "PEN", "Fr.": "CHF"},
    **{"SFr.": "CHF", "Eur": "EUR"},
}
"""The same for words that count only as they are spelled here, because they are also parts of sentences."""
_ARABIC_WORDS = {"ر.س": "SAR", "د.إ": "AED", "د.ك": "KWD", "ج.م": "EGP"}
_NAMES = {
    **_SIGNS,
    **{word.lower().rstrip("."): code for word, code in (_WORDS | _SPELLED_WORDS | _ARABIC_WORDS).items()},
    **{f"{letters}$": code for letters, code in _DOLLARS.items()},
    # Only in the data of shops, not beside an amount.
    **{"rur": "RUB", "zl": "PLN"},
}
"""Sign or word in lower case, without a point at its end → the code. A shared sign has the most common currency."""
_SHARED_SIGNS = {
    "USD": "ca:CAD au:AUD nz:NZD hk:HKD tw:TWD sg:SGD mx:MXN cl:CLP co:COP ar:ARS uy:UYU do:DOP",
    "INR": "pk:PKR lk:LKR np:NPR mu:MUR",
    "SEK": "no:NOK dk:DKK is:ISK",
    "JPY": "cn:CNY",
    "CNY": "tw:TWD hk:HKD jp:JPY",
    "RUB": "by:BYN",
    "AED": "ma:MAD",
}
"""Code of a sign that several currencies share → top-level domain : code of the currency that it means there."""
THREE_DECIMALS = frozenset(words("KWD BHD OMR JOD TND"))
"""The currencies with a thousand parts: 12.500 KWD are twelve and a half."""

_SHARING = {"$", "¥", "￥", "元", "kr", "rs", "р", "руб", "dh", "dhs"}


def _any_of(words_: Iterable[str]) -> str:
    return "|".join(rf"{re.escape(word[:-1])}(?=\.)" if word.endswith(".") else re.escape(word) for word in words_)


CODE = rf"(?<![a-z])(?-i:{'|'.join(_CODES)})(?![a-z])"
SIGN = f"[{''.join(_SIGNS)}]"
_WORD = rf"(?:(?<![a-z])(?:{_any_of(_WORDS)}|(?-i:{_any_of(_SPELLED_WORDS)}))(?![a-z])\.?|{_any_of(_ARABIC_WORDS)})"
MARK = rf"(?:(?<![a-z])(?:{'|'.join(_DOLLARS)})\$|{SIGN}|{CODE}|{_WORD})"
"""Matches what names a currency beside an amount. Use it, CODE and SIGN without regard to case."""
_FIND_CODE, _FIND_MARK = re.compile(CODE, re.I), re.compile(MARK, re.I)
_HINT = re.compile(r"[A-Za-z]{3}")


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency that a text names."""

    code: str
    """The ISO 4217 code. A sign that several currencies share has the most common one."""
    is_shared: bool
    """Whether several currencies share the sign."""


def currency_in(text: str) -> Currency | None:
    """Return the currency that a text names. A code counts before a sign, because it is never shared."""
    code = _FIND_CODE.search(text)
    if code:
        return Currency(code.group(), False)
    mark = _FIND_MARK.search(text)
    name = _name(mark.group()) if mark else ""
    return Currency(_NAMES[name], name in _SHARING) if name else None


def currency_code(text: str | None) -> str | None:
    """Return the ISO 4217 code for a code, sign or word, or None if the text is none of them."""
    stripped = (text or "").strip()
    return _NAMES.get(_name(stripped)) or (stripped.upper() if _HINT.fullmatch(stripped) else None)


def local_currency(currency: str | None, host: str | None) -> str | None:
    """Return the currency that a shared sign, such as $ or kr, means on a host. `currency`: the code of the sign."""
    return _meanings(currency).get((host or "").rpartition(".")[2], currency)


def can_mean(shared: str, currency: str) -> bool:
    """Return whether the shared sign of one currency also stands for another one."""
    return currency == shared or currency in _meanings(shared).values()


def _meanings(currency: str | None) -> dict[str, str]:
    return dict(pair.split(":") for pair in _SHARED_SIGNS.get(currency or "", "").split())


def _name(text: str) -> str:
    return text.lower().rstrip(".")
