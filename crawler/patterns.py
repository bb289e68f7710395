"""Learns which patterns of URLs show nothing new. Filters, sort orders and calendars thus come last, and then end.

The rules know no site and no names of parameters: what counts is whether the pages of a pattern showed products that
the crawl did not know.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum
from functools import lru_cache

from core.fetching.urls import parse_url
from core.item_errors import FetchForbidden
from crawler.urls import is_tracking_or_session, parameters

MAX_PROBES = 5
"""After this number of barren pages in a row, further pages of the pattern come after all others."""
MAX_BARREN_PARAMETER = 30
MAX_BARREN_PATH = 100
"""After this number of barren pages in a row, no further page of the pattern is requested. Paths have a higher limit,
because one pattern of paths may stand for very different pages."""

_MAX_PATTERNS = 10_000
_MAX_PRODUCTS = 1_000_000
_MAX_SEGMENTS = 3
"""Longer paths have the pattern of paths of this length."""
_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][a-z]{2})?", re.I)
_PROGRAM = re.compile(r"[\w-]+\.(?:php|aspx?|jsp|do|cgi|dll)", re.I)
"""A segment that names a program, so that only the parameters say which page it is."""


class Admission(Enum):
    """Whether a page is requested."""

    NOW = "now"
    LATER = "later"
    """After all other pages."""
    NEVER = "never"


class Patterns:
    """Counts for each pattern of URLs the pages in a row that were barren: without a product new to the crawl."""

    def __init__(self) -> None:
        self._barren: Counter[str] = Counter()
        self._shown: set[int] = set()
        """Hashes of everything that the pages of the crawl have shown."""

    def admit(self, url: str) -> Admission:
        """Return whether a page is worth a request."""
        found = patterns_of(url)
        if not found:
            return Admission.NEVER
        barren = {pattern: self._barren[self._key(pattern)] for pattern in found}
        if any(number >= _limit(pattern) for pattern, number in barren.items()):
            return Admission.NEVER
        return Admission.LATER if max(barren.values()) >= MAX_PROBES else Admission.NOW

    def note(self, url: str, shown: set[str]) -> bool:
        """Note what a page has shown: products and pictures, by any text that identifies them.

        Return whether any of it is new to the crawl. If nothing is, the page is barren.
        """
        hashes = {hash(each) for each in shown}
        fruitful = not hashes <= self._shown
        if len(self._shown) < _MAX_PRODUCTS:
            self._shown |= hashes
        for pattern in patterns_of(url):
            key = self._key(pattern)
            self._barren[key] = 0 if fruitful else self._barren[key] + 1
        return fruitful

    def _key(self, pattern: str) -> str:
        return pattern if pattern in self._barren or len(self._barren) < _MAX_PATTERNS else ""


@lru_cache(maxsize=16_384)
def patterns_of(url: str) -> tuple[str, ...]:
    """Return the patterns of a URL: one for each parameter, such as `shop.example/c?color`, or that of its path.

    The pattern of a path has its first segment and the number of segments, because the others are names of categories,
    products, filters or dates. If a path repeats a segment, each segment counts once, because broken relative links
    make such paths grow without end. A URL that may not be fetched has no patterns.
    """
    try:
        target = parse_url(url)
    except FetchForbidden:
        return ()
    path, _, query = target.path.partition("?")
    segments = _without_repetition([segment for segment in path.split("/") if segment])
    first = next((number for number, segment in enumerate(segments) if not _LANGUAGE.fullmatch(segment)), 0)
    known = ["*" if number != first else segment for number, segment in enumerate(segments[:_MAX_SEGMENTS])]
    names = sorted({name for name, value in parameters(query) if not is_tracking_or_session(name, value)})
    if names:
        program = next((segment for segment in segments if _PROGRAM.fullmatch(segment)), "")
        start = program or (segments[first] if len(segments) > first + 1 else "")
        return tuple(f"{target.authority}/{start}?{name}" for name in names)
    if len(segments) <= first + 1:
        known = ["*"] * len(known)
    return (f"{target.authority}/{'/'.join(known)}",)


def _limit(pattern: str) -> int:
    return MAX_BARREN_PARAMETER if "?" in pattern else MAX_BARREN_PATH


def _without_repetition(segments: list[str]) -> list[str]:
    return list(dict.fromkeys(segments)) if any(n >= 3 for n in Counter(segments).values()) else segments
