"""Joins the text of a price whose amount, cents and currency stand in separate elements."""

from __future__ import annotations

import re
from typing import Any

from crawler.extraction.names import name_of
from crawler.extraction.page import text_parts, tidy

_CENTS = re.compile(r"\s*\d\d(?![\d.,])")
WHOLE_UNITS = r"(?<![.,\d])(?:\d{1,3}(?:[.,]\d{3})*|\d+)"
"""Matches an amount without cents, or its end if it has spaces or apostrophes."""
_AMOUNT_END = re.compile(rf"{WHOLE_UNITS}$")
_CENTS_NAME = re.compile(r"cent|decimal|fraction|penny|pence")


def price_text(element: Any) -> str | None:
    """Return the text of an element in one line, with a point before cents that only their element separates.

    173<sup>34</sup> and $173<span>34</span> are 173.34, as people see them.
    """
    joined = ""
    for part in text_parts(element):
        if not isinstance(part, str):
            joined += " "
            continue
        text = str(part)
        if _CENTS.match(text):
            if _is_raised(part):
                joined, text = joined.rstrip(), text.lstrip()
            if text[0].isdigit() and _AMOUNT_END.search(joined):
                joined += "."
        joined += text
    return tidy(joined)


def _is_raised(text: Any) -> bool:
    """Return whether a text is that of an element above or behind the amount."""
    element = text.getparent()
    return not text.is_tail and (element.tag in {"sup", "small"} or _CENTS_NAME.search(name_of(element)) is not None)
