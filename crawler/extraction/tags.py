"""Finds titles and prices in single elements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from crawler.extraction.names import name_of
from crawler.extraction.page import text_of, tidy
from crawler.extraction.price_text import WHOLE_UNITS, price_text
from crawler.extraction.prices import Price, count_prices, looks_like_price, outside_sign, read_price
from crawler.extraction.shop_words import FORMER_PRICE, OTHER_AMOUNT
from crawler.words import words

_FRAME = frozenset({"footer", "nav", "aside"})
"""Elements whose content belongs to the site and not to the page. The header of an article or section belongs to it."""

_TITLE = re.compile(
    r"(?:^|[\s_-])(?:title|name|nm|subject|tit)(?:$|[\s_-])|(?:prd|goods|item|product)_?(?:name|title|nm)", re.I
)
_PRICE = re.compile(r"price|prc\b|cost\b|amount", re.I)
_FORMER_NAME = re.compile(
    r"(?:^|[^a-z])(?:old|was|before|origin|original|regular|strik\w*|strok\w*|retail|consumer|msrp|rrp|uvp|srp|mrp"
    r"|crossed|barred|cross-?out|former|previous|ancien|barre|tachado|anterior|listino|durchgestrichen|compare-?at"
    r"|product-custom)(?![a-z])"
    r"|(?:list|old|before|former|origin|original|regular|normal|full|initial|custom|cut|compare)-?(?:price|prc)"
    r"|(?:price|prc)-?(?:old|before|list|was|origin|normal|full|compare)(?![a-z])",
)
_OTHER_NAME = re.compile(
    r"(?:^|[^a-z])(?:shipping|delivery|postage|versand\w*|sav(?:e|es|ed|ing|ings)|discount-?amount|coupon|voucher|points?|mileage"
    r"|install?ments?|monthly|finance|klarna|afterpay|no-?tax|ex-?(?:tax|vat)|excl-?(?:tax|vat)|tax-?excl\w*|price-tax|netto"
    r"|unit-?price|price-?per|per-?unit|base-?price|grundpreis|reward|deposit|warranty|minimum|count|used|rating|review)(?![a-z])"
)
_CURRENT_NAME = re.compile(
    r"(?:^|[^a-z])(?:sale|final|current|special|now|selling|sell|offer|deal|our|actual|today|new|main|buy|pay)(?![a-z])"
)
_STRUCK_TAGS = frozenset({"del", "s", "strike"})
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_NO_TITLES = frozenset({"img", "ul", "ol", "form"})
MAY_HOLD_PRICE = (
    "//*["
    + " or ".join(f"self::{tag}" for tag in words("span p div strong b em ins del s strike td dd li bdi data"))
    + "]"
)
_MAX_PRICE, _MAX_TITLE = 40, 300
"""Maximum lengths in characters."""
_MAX_WORDS = 60
"""Maximum number of characters of a text that says what the amount beside it is."""
_MAX_PARTS, _MAX_IN_PARTS = 5, 20
"""Maximum numbers of elements and of their characters in a price without text of its own."""
_MAY_GO_ON = re.compile(rf"{WHOLE_UNITS}[.,]?\s?[^\d.,]?$")
"""Matches a price without cents at the end of a text: €229, €229. and 229€."""
_CENTS = re.compile(r"[.,]?\d\d\D{0,4}")
_NUMBER_BEFORE, _NUMBER_AFTER = re.compile(r"\d[.,]?$|^[.,]$"), re.compile(r"[.,]?\d\d$|[.,]$")
_BARE_NUMBER = re.compile(r"\d[\d.,'’\s]{0,14}")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class PriceTag:
    """A price and its element."""

    element: Any
    price: Price
    is_former: bool
    """Whether the price is struck out, or a name or the words beside it say that it is a former price."""
    is_other: bool = False
    """Whether a name or the words beside it say that it is another amount, such as that of the delivery."""
    confidence: int = 0
    """The number of signs for a price that is current: a currency, and names of the element."""


def price_tag(element: Any) -> PriceTag | None:
    """Return the price that an element itself contains.

    Return None if it contains no price, or if one of its descendants contains the whole price.
    """
    own = tidy(element.text) if element.text else None
    if not len(element) and (own is None or not _DIGIT.search(own)):
        return None
    has_itemprop = element.get("itemprop") == "price"
    has_price_name = has_itemprop or _PRICE.search(name_of(element)) is not None
    text = _whole_price(element, own, has_price_name=has_price_name)
    if text is not None and _BARE_NUMBER.fullmatch(text):
        text = _with_sign_outside(element, text)
    if text is None or not (looks_like_price(text) or (has_price_name and text[:1].isdigit())):
        return None
    stated = element.get("content") if has_itemprop else None
    shown = read_price(text)
    price = read_price(stated, shown.currency if shown else None) if stated else shown
    if price is None:
        return None
    around = list(islice(chain([element], element.iterancestors()), 4))
    names = " ".join(map(name_of, around))
    context = _words_beside(element)
    return PriceTag(
        element,
        price,
        is_former=any(map(_is_struck, around)) or FORMER_PRICE.search(context) is not None,
        is_other=_OTHER_NAME.search(" ".join(map(name_of, around[:2]))) is not None
        or OTHER_AMOUNT.search(context) is not None,
        confidence=2 * has_itemprop
        + (price.currency is not None)
        + (_PRICE.search(names) is not None)
        + (_CURRENT_NAME.search(names) is not None),
    )


def in_frame(element: Any) -> bool:
    """Return whether an element belongs to the frame of the site: its header, footer, menus and side bars."""
    in_header = False
    for ancestor in chain([element], element.iterancestors()):
        if ancestor.tag in {"main", "article"} or (in_header and ancestor.tag == "section"):
            return False
        if ancestor.tag in _FRAME:
            return True
        in_header = in_header or ancestor.tag == "header"
    return in_header


def price_now(tags: list[PriceTag]) -> PriceTag | None:
    """Return the current price. Former prices count only if there are no others. Prices with a currency come first."""
    current = [tag for tag in tags if not (tag.is_former or tag.is_other)]
    current = current or [tag for tag in tags if not tag.is_other] or tags
    return next((tag for tag in current if tag.price.currency), next(iter(current), None))


def title_at(element: Any) -> str | None:
    """Return the text of an element if its tag or name says that it is a title, or None."""
    name = element.get("class")
    is_title = element.tag in HEADINGS or element.get("itemprop") == "name"
    if not is_title and (name is None or element.tag in _NO_TITLES or not _TITLE.search(name)):
        return None
    text = text_of(element)
    return text if text and len(text) <= _MAX_TITLE and not looks_like_price(text) else None


def _whole_price(element: Any, own: str | None, *, has_price_name: bool) -> str | None:
    """Return the text of an element's price: its own text, or that of all parts if the price has several.

    The currency sign, the number and the cents often have separate elements.
    """
    if not len(element):
        return own
    if own is not None and looks_like_price(own):
        # $229 goes on in $229<sup>99</sup>, and not in $229 <b>10 pieces</b>.
        whole = _text_of_parts(element) if _MAY_GO_ON.search(own) else None
        return whole if whole and _CENTS.fullmatch(whole.removeprefix(own)) else own
    return (_text_of_parts(element) if has_price_name or _is_in_parts(element) else None) or own


def _is_in_parts(element: Any) -> bool:
    """Return whether a price is in parts: inside of child elements or beside them, as in `<ins><i>$</i>79.00</ins>`."""
    if not 0 < len(element) <= _MAX_PARTS:
        return False
    direct_text = f"{element.text or ''}{''.join(child.tail or '' for child in element)}"
    if any(character.isdigit() for character in direct_text):
        return len(direct_text) <= _MAX_PRICE
    texts = ["" if len(child) else (child.text or "").strip() for child in element]
    return all(texts) and len("".join(texts)) <= _MAX_IN_PARTS and not any(map(looks_like_price, texts))


def _with_sign_outside(element: Any, number: str) -> str | None:
    """Return a number with the currency sign that is directly before or after its element: `$<b>99</b>`.

    Return None if the number goes on there: 99 is a part of `<b>229</b><i>.</i><b>99</b>`.
    """
    before, parent, after = element.getprevious(), element.getparent(), element.getnext()
    if before is not None:
        text_before = before.tail or before.text or ""
    else:
        text_before = (parent.text if parent is not None else None) or ""
    text_after = element.tail or ""
    if not text_after.strip() and after is not None:
        text_after += after.text or ""
    if (len(number) == 2 and _NUMBER_BEFORE.search(text_before)) or _NUMBER_AFTER.match(text_after):
        return None
    sign = outside_sign(text_before[-8:], text_after.lstrip()[:8])
    return f"{number} {sign}" if sign else number


def _text_of_parts(element: Any) -> str | None:
    """Return the text of an element, or None if a part of it is struck out or it is no single price."""
    if any(_is_struck(part) and text_of(part) for part in element.iterdescendants()):
        return None
    whole = price_text(element)
    return whole if whole and len(whole) <= _MAX_PRICE and count_prices(whole) < 2 else None


def _words_beside(element: Any) -> str:
    """Return the words before a price in its line: its own, those of its parent, and those of the element before it."""
    before, parent = element.getprevious(), element.getparent()
    parts = [element.text, before.tail if before is not None else None]
    if before is not None and len(before) <= 2:
        beside = text_of(before)
        parts.append(None if beside is None or _DIGIT.search(beside) else beside)
    elif parent is not None and before is None:
        parts.append(parent.text)
        if parent.getparent() is not None and len((parent.text or "").strip()) <= 1:
            # The parent only has the currency sign.
            parts.append(parent.getparent().text)
        above = parent.getprevious()
        parts.append(text_of(above) if above is not None and not len(above) and len(parent) == 1 else None)
    parts += [child.text for child in islice(element, 3)]
    parts.append(element.tail)
    return " ".join(part.strip() for part in parts if part and len(part) <= _MAX_WORDS)


def _is_struck(element: Any) -> bool:
    if element.tag in _STRUCK_TAGS or "line-through" in (element.get("style") or ""):
        return True
    return _FORMER_NAME.search(name_of(element)) is not None
