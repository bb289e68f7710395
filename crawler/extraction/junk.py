"""What is no picture of a product by its looks: spacers, sprites, logos, icons, banners, and what is on every page."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any
from urllib.parse import unquote, urlsplit

from crawler.extraction.found import LeftOut
from crawler.extraction.variants import key_of
from crawler.words import words

_SMALLEST_ICON, _SMALLEST_PICTURE = 8, 64
"""In CSS pixels, as declared: below the first nothing is to be seen; below the second nothing to be recognised."""
_WIDEST = 3.0
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


def unfit(image: Any, url: str, title: str) -> LeftOut | None:
    """What speaks against an image: its declared size and shape, its file's format, the words in its name and classes.

    A hoodie may be called `logo-hoodie.jpg`: words of the product's own title do not count.
    """
    width, height = declared(image, "width"), declared(image, "height")
    known = [side for side in (width, height) if side is not None]
    if known and min(known) <= _SMALLEST_ICON:
        return LeftOut.SPACER
    if known and max(known) < _SMALLEST_PICTURE:
        return LeftOut.ICON
    path = urlsplit(url).path
    if path.lower().endswith((".svg", ".ico")):
        return _hint(path, title) or LeftOut.ICON
    if width and height and width / height > _WIDEST:
        return _hint(path, title) or LeftOut.BANNER
    return _hint(f"{path.rpartition('/')[2]} {image.get('class') or ''} {image.get('id') or ''}", title)


def declared(image: Any, side: str) -> float | None:
    """A side in CSS pixels as its attribute or its style says; None if neither does."""
    text = (image.get(side) or "").strip().removesuffix("px")
    if text.isdecimal() and text.isascii() and len(text) < 6:
        return float(text)
    style = image.get("style")
    match = _STYLED[side].search(style) if style else None
    return float(match[1]) if match else None


_STYLED = {side: re.compile(rf"(?:^|[;\s]){side}\s*:\s*(\d{{1,5}})(?:\.\d+)?px", re.I) for side in ("width", "height")}


class RepeatedImages:
    """Counts, for one host, on how many pages an image stood that nothing tied to a product.

    What is on more than `most` pages, and on at least `share` of those seen, is furniture: a banner without a telling
    name, a payment mark, a picture of the shop itself.
    """

    def __init__(self, max_pages: int = 4, min_share: float = 0.25, max_remembered: int = 20_000) -> None:
        self._max_pages, self._min_share, self._max_remembered = max_pages, min_share, max_remembered
        self._pages = 0
        self._counts: OrderedDict[str, int] = OrderedDict()

    def add_page(self, urls: set[str]) -> None:
        """A page was read; `urls` are its images that have neither price, title nor link of a product."""
        self._pages += 1
        for key in {key_of(url) for url in urls}:
            self._counts[key] = self._counts.pop(key, 0) + 1
        while len(self._counts) > self._max_remembered:
            self._counts.popitem(last=False)

    def is_repeated(self, url: str) -> bool:
        """Whether a picture is furniture, by the pages so far."""
        count = self._counts.get(key_of(url), 0)
        return count > self._max_pages and count >= self._min_share * self._pages


def _hint(name: str, title: str) -> LeftOut | None:
    words = [word.lower() for word in _WORD.findall(unquote(name)[-200:])]
    hints = [word for word in words if word in _HINTS]
    return next((_HINTS[word] for word in hints if word not in title.lower()), None) if hints else None
