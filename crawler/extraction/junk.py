"""Recognises images that show no product: spacers, sprites, logos, icons, banners, and images on every page."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any
from urllib.parse import unquote, urlsplit

from crawler.extraction.found import LeftOut
from crawler.extraction.variants import key_of
from crawler.words import words

_MIN_ICON, _MIN_PICTURE = 8, 64
"""Declared sizes in CSS pixels. Images up to the first are invisible. Below the second, nothing can be recognised."""
_MAX_ASPECT_RATIO = 3.0
_WORD = re.compile(r"[a-z]+", re.I)
_HINTS = {
    **dict.fromkeys(
        words("spacer blank pixel transparent placeholder loading loader spinner noimage dummy tracking beacon"),
        LeftOut.SPACER,
    ),
    **dict.fromkeys(words("sprite sprites"), LeftOut.SPRITE),
    **dict.fromkeys(words("logo logos wordmark"), LeftOut.LOGO),
    **dict.fromkeys(
        words(
            "icon icons ico favicon arrow btn button badge badges flag flags visa mastercard amex paypal kakao "
            "naverpay payment rating stars close search hamburger heart wish wishlist share facebook instagram twitter "
            "youtube avatar emoji"
        ),
        LeftOut.ICON,
    ),
    **dict.fromkeys(words("banner banners promo popup ads"), LeftOut.BANNER),
}


def reason_unfit(image: Any, url: str, title: str) -> LeftOut | None:
    """Return why an image does not look like a picture of a product, or None.

    The reasons are the declared size and shape, the format of the file, and the words in its name and classes. Words of
    the product's title do not count, because the picture of a hoodie can have the name `logo-hoodie.jpg`.
    """
    width, height = declared(image, "width"), declared(image, "height")
    known = [side for side in (width, height) if side is not None]
    if known and min(known) <= _MIN_ICON:
        return LeftOut.SPACER
    if known and max(known) < _MIN_PICTURE:
        return LeftOut.ICON
    path = urlsplit(url).path
    if path.lower().endswith((".svg", ".ico")):
        return _reason_by_name(path, title) or LeftOut.ICON
    if width and height and width / height > _MAX_ASPECT_RATIO:
        return _reason_by_name(path, title) or LeftOut.BANNER
    return _reason_by_name(f"{path.rpartition('/')[2]} {image.get('class') or ''} {image.get('id') or ''}", title)


def declared(image: Any, side: str) -> float | None:
    """Return the length of a side in CSS pixels from its attribute or its style, or None if neither declares it."""
    text = (image.get(side) or "").strip().removesuffix("px")
    if text.isdecimal() and text.isascii() and len(text) < 6:
        return float(text)
    style = image.get("style")
    match = _STYLED[side].search(style) if style else None
    return float(match[1]) if match else None


_STYLED = {side: re.compile(rf"(?:^|[;\s]){side}\s*:\s*(\d{{1,5}})(?:\.\d+)?px", re.I) for side in ("width", "height")}


class RepeatedImages:
    """Counts the pages of one host on which an image appears without a connection to a product.

    An image belongs to the site and not to a product if it is on more than `max_pages` pages, and on at least
    `min_share` of all pages so far. Examples are banners with an ordinary name, payment logos and photos of the shop.
    """

    def __init__(self, max_pages: int = 4, min_share: float = 0.25, max_remembered: int = 20_000) -> None:
        self._max_pages, self._min_share, self._max_remembered = max_pages, min_share, max_remembered
        self._pages = 0
        self._counts: OrderedDict[str, int] = OrderedDict()

    def add_page(self, urls: set[str]) -> None:
        """Count a page. `urls` are its images that have neither a link nor a price."""
        self._pages += 1
        for key in {key_of(url) for url in urls}:
            self._counts[key] = self._counts.pop(key, 0) + 1
        while len(self._counts) > self._max_remembered:
            self._counts.popitem(last=False)

    def is_repeated(self, url: str) -> bool:
        """Return whether a picture belongs to the site and not to a product, judging by the pages so far."""
        count = self._counts.get(key_of(url), 0)
        return count > self._max_pages and count >= self._min_share * self._pages


def _reason_by_name(name: str, title: str) -> LeftOut | None:
    lower_words = [word.lower() for word in _WORD.findall(unquote(name)[-200:])]
    hints = [word for word in lower_words if word in _HINTS]
    return next((_HINTS[word] for word in hints if word not in title.lower()), None) if hints else None
