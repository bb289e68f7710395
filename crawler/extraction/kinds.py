"""Determines the kind of a page, so that a cookie wall is not reported as a shop without products."""

from __future__ import annotations

import re

from crawler.extraction.found import PageKind
from crawler.extraction.page import Page, xpath

_MAX_CONSENT_TEXT = 3_000
"""Maximum number of characters on a consent page. A page with more text has other content, too."""
_CONSENT = re.compile(
    r"cookie|consent|gdpr|privacy (?:choices|preferences)|verify (?:that )?you are|are you (?:a )?(?:human|over)"
    r"|age verification|captcha|enable javascript|checking your browser|쿠키|개인정보|동의|성인\s*인증|로그인이 필요"
    r"|einwilligung|zustimm",
    re.I,
)
_CONTROLS = (
    "//form | //button | //input[@type='submit' or @type='button'] | //iframe | //*[@role='dialog' or @role='button']"
)
_ERROR = re.compile(
    r"^\W*(?:error\s*)?(?:40[0-9]|410|429|50[0-9])\b|\b(?:page )?not found\b|\bno longer available\b"
    r"|service unavailable|internal server error|access denied|forbidden|bad gateway"
    r"|찾을 수 없|존재하지 않|오류가? 발생|점검\s*중|nicht gefunden",
    re.I,
)


def page_kind(page: Page, products: int, pictures: int, listed: int, *, is_product: bool = False) -> PageKind:
    """Return the kind of a page.

    Args:
        products, pictures: the numbers that were found on the page.
        listed: the number of products that have a page of their own.
        is_product: whether the page is about one product, and shows a picture or a price of it.
    """
    if page.status >= 400:
        return PageKind.ERROR
    if is_product:
        return PageKind.PRODUCT
    if listed:
        return PageKind.LISTING
    heading = f"{page.title or ''}\n{page.first('string(//h1)').strip()}"
    if any(_ERROR.search(line.strip()) for line in heading.splitlines()):
        return PageKind.ERROR
    if pictures:
        return PageKind.LISTING if products > 2 else PageKind.OTHER
    return PageKind.CONSENT if _is_consent_page(page, heading) else PageKind.EMPTY


def _is_consent_page(page: Page, heading: str) -> bool:
    text = " ".join(xpath("//body//text()[not(parent::script or parent::style)]")(page.tree)[:2_000])
    if len(text) >= _MAX_CONSENT_TEXT or not _CONSENT.search(f"{heading} {text}"):
        return False
    return bool(page.find(_CONTROLS))
