"""What a page is: so that a cookie wall is not reported as a shop without products."""

from __future__ import annotations

import re

from crawler.extraction.found import PageKind
from crawler.extraction.page import Page, xpath

_SHORT = 3_000
"""A page with more text than this, in characters, is not just a question that stands before the shop."""
_CONSENT = re.compile(
    r"cookie|consent|gdpr|privacy (?:choices|preferences)|verify (?:that )?you are|are you (?:a )?(?:human|over)"
    r"|age verification|captcha|enable javascript|checking your browser|쿠키|개인정보|동의|성인\s*인증|로그인이 필요"
    r"|einwilligung|zustimm",
    re.I,
)
_ASKS = (
    "//form | //button | //input[@type='submit' or @type='button'] | //iframe | //*[@role='dialog' or @role='button']"
)
_ERROR = re.compile(
    r"^\W*(?:error\s*)?(?:40[0-9]|410|429|50[0-9])\b|\b(?:page )?not found\b|\bno longer available\b"
    r"|service unavailable|internal server error|access denied|forbidden|bad gateway"
    r"|찾을 수 없|존재하지 않|오류가? 발생|점검\s*중|nicht gefunden",
    re.I,
)


def kind_of(page: Page, products: int, pictures: int, listed: int, *, is_product: bool = False) -> PageKind:
    """The verdict.

    `products`, `pictures`: found on the page; `listed`: products with pages of their own; `is_product`: the page is
    about one product.
    """
    if page.status >= 400:
        return PageKind.ERROR
    if is_product and pictures:
        return PageKind.PRODUCT
    if listed:
        return PageKind.LISTING
    heading = f"{page.title or ''}\n{page.first('string(//h1)').strip()}"
    if any(_ERROR.search(line.strip()) for line in heading.splitlines()):
        return PageKind.ERROR
    if pictures:
        return PageKind.LISTING if products > 2 else PageKind.OTHER
    return PageKind.CONSENT if _asks_first(page, heading) else PageKind.EMPTY


def _asks_first(page: Page, heading: str) -> bool:
    text = " ".join(xpath("//body//text()[not(parent::script or parent::style)]")(page.tree)[:2_000])
    return len(text) < _SHORT and _CONSENT.search(f"{heading} {text}") is not None and bool(page.find(_ASKS))
