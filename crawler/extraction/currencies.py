"""Knows the currencies that shops name by code, sign or word, and finds the one beside an amount."""

from __future__ import annotations

import re
from dataclasses import dataclass

from crawler.words import words

CODES = words(
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
    **{"zł": "PLN", "kč": "CZK", "lei": "RON", "kn": "HRK", "kr": "SEK", "tl": "TRY", "руб": "RUB", "р": "RUB"},
    **{"грн": "UAH", "лв": "BGN", "тг": "KZT", "rs": "INR", "fr": "CHF", "sfr": "CHF", "s/": "PEN", "ksh": "KES"},
    **{"ر.س": "SAR", "د.إ": "AED", "د.ك": "KWD", "ج.م": "EGP", "บาท": "THB", "đ": "VND", "rp": "IDR", "rm": "MYR"},
    **{"ft": "HUF", "nis": "ILS", "dh": "AED", "dhs": "AED", "won": "KRW", "euro": "EUR", "euros": "EUR", "eur": "EUR"},
}
"""Word in lower case, without a point at its end → the code."""
_OTHER_HINTS = {"rur": "RUB", "zl": "PLN"}
"""Names that shops give to a currency in their data, and that are not read beside an amount."""
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
_ANY_CODE = f"(?-i:{'|'.join(CODES)})"
_PREFIXED = rf"(?<![a-z])(?:{'|'.join(_DOLLARS)})\$"
SIGN = f"[{''.join(_SIGNS)}]"
# Words that are also parts of sentences count only as shops spell them.
_AS_SPELLED = r"(?-i:Ft|NIS|Dhs?|DH|RM|S/|S?Fr(?=\.))"
_FREE = rf"zł|kč|lei|kn|kr|tl|руб|р(?=\.)|грн|лв|тг|rs|ksh|rp|won|euros?|(?-i:Eur)|บาท|đ|{_AS_SPELLED}"
WORD = rf"(?:(?<![a-z])(?:{_FREE})(?![a-z])\.?|ر\.س|د\.إ|د\.ك|ج\.م)"
MARK = rf"(?:{_PREFIXED}|{SIGN}|(?<![a-z]){_ANY_CODE}(?![a-z])|{WORD})"
"""Matches what names a currency beside an amount. Use it without regard to case."""
CODE = rf"(?<![a-z]){_ANY_CODE}(?![a-z])"

_FIND_CODE, _FIND_PREFIXED = re.compile(CODE, re.I), re.compile(_PREFIXED, re.I)
_FIND_MARK = re.compile(MARK, re.I)
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
    prefixed = _FIND_PREFIXED.search(text)
    if prefixed:
        return Currency(_DOLLARS[prefixed.group()[:-1].lower()], False)
    mark = _FIND_MARK.search(text)
    return _named(mark.group()) if mark else None


def currency_code(text: str | None) -> str | None:
    """Return the ISO 4217 code for a code, sign or word, or None if the text is none of them."""
    if not text or not text.strip():
        return None
    stripped = text.strip()
    named = _named(stripped)
    if named is not None:
        return named.code
    return stripped.upper() if _HINT.fullmatch(stripped) else None


def local_currency(currency: str | None, host: str | None) -> str | None:
    """Return the currency that a shared sign, such as $ or kr, means on a host. `currency`: the code of the sign."""
    return _meanings(currency).get((host or "").rpartition(".")[2], currency)


def can_mean(shared: str, currency: str) -> bool:
    """Return whether the shared sign of one currency also stands for another one."""
    return currency == shared or currency in _meanings(shared).values()


def _meanings(currency: str | None) -> dict[str, str]:
    return dict(pair.split(":") for pair in _SHARED_SIGNS.get(currency or "", "").split())


def _named(text: str) -> Currency | None:
    lowered = text.lower()
    if lowered.endswith("$") and lowered[:-1] in _DOLLARS:
        return Currency(_DOLLARS[lowered[:-1]], False)
    name = lowered if lowered in _SIGNS else lowered.rstrip(".")
    code = _SIGNS.get(name) or _WORDS.get(name) or _OTHER_HINTS.get(name)
    return Currency(code, name in _SHARING) if code else None
