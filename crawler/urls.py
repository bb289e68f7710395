"""URLs of pages: one spelling for each page, and a limit on pages that differ only by a number, a date or a session."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urljoin

from core.errors import FetchForbidden
from core.fetching.urls import parse_url
from crawler.words import words

_TRACKING = frozenset(
    words(
        "gclid gclsrc dclid gbraid wbraid fbclid msclkid yclid twclid ttclid igshid igsh srsltid mc_cid mc_eid _ga _gl "
        "_hsenc _hsmi mkt_tok vero_id oly_enc_id oly_anon_id wickedid epik s_cid napm n_media n_query n_rank "
        "n_ad_group n_ad n_keyword_id n_keyword n_campaign_type n_match spm scm"
    )
)
"""Parameters that only serve to track visitors."""
_SESSION = frozenset(words("phpsessid jsessionid sessionid session_id sessid cfid cftoken oscsid zenid xtcsid"))
"""Parameters that always contain a session id."""
_POSSIBLE_SESSION = frozenset({"sid", "s", "session", "token"})
"""Parameters that contain a session id if the value is long and random. Otherwise they belong to the shop."""
_RANDOM_VALUE = re.compile(r"(?=[^\d]*\d)(?=[^a-z]*[a-z])[a-z\d_-]{16,}", re.I)
_PATH_SESSION = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/?;]*", re.I)
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.I)
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")

_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d(?:[-/_.]?(?:0?[1-9]|1[0-2])(?:[-/_.]?(?:0?[1-9]|[12]\d|3[01]))?)?(?!\d)")
_HASH = re.compile(
    r"(?<![a-z\d])(?=[a-z-]*\d)(?=[\d-]*[a-z])(?:[\da-f]{8,}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})(?![a-z\d])", re.I
)
_NUMBER = re.compile(r"\d+")


def absolute_url(base: str, reference: str | None) -> str | None:
    """Return the absolute URL of a reference, without its fragment, or None if it may not be fetched."""
    if not reference:
        return None
    try:
        return str(parse_url(urljoin(base, reference)))
    except (FetchForbidden, ValueError):
        return None


def without_www(host: str | None) -> str:
    """Return a host name in lower case without a leading `www.`, because shops answer on both names."""
    return (host or "").lower().removeprefix("www.")


@lru_cache(maxsize=16_384)
def canonical_url(url: str) -> str:
    """Return the spelling that all URLs of one page have in common.

    It has no fragment, no tracking parameters and no session ids. Its parameters are sorted by name, and its escapes
    have one spelling. It only serves to compare URLs. A crawl requests the URL that the page contains.

    Raises:
        FetchForbidden: the URL may not be fetched.
    """
    # w3lib.url.canonicalize_url does not replace this function. It keeps tracking parameters, session ids, `:443` and
    # hosts such as 0x7f000001, so that a page would have many spellings. It sorts parameters of the same
    # name by value, and their order can matter. It also accepts URLs that may never be fetched.
    target = parse_url(url)
    path, _, query = target.path.partition("?")
    path = _ESCAPE.sub(_normal_escape, _PATH_SESSION.sub("", path))
    kept = sorted(
        (
            (name, value)
            for name, value in parse_qsl(query, keep_blank_values=True)
            if not _is_tracking_or_session(name, value)
        ),
        key=lambda pair: pair[0],
    )
    scheme, host = target.scheme, target.authority
    return f"{scheme}://{host}{path}" + (f"?{urlencode(kept)}" if kept else "")


def url_pattern(url: str) -> str:
    """Return the part that a URL has in common with similar URLs, such as `shop.example/item/{n}?page`.

    Placeholders replace the dates, hashes and numbers of the path. Parameters lose their values. If a path repeats a
    segment, each segment remains once, because broken relative links make such paths grow without end.

    Raises:
        FetchForbidden: the URL may not be fetched.
    """
    target = parse_url(url)
    path, _, query = target.path.partition("?")
    path = _PATH_SESSION.sub("", path)
    for expression, word in ((_HASH, "{hash}"), (_DATE, "{date}"), (_NUMBER, "{n}")):
        path = expression.sub(word, path)
    segments = _without_repetition(path.split("/"))
    names = sorted(
        {name for name, value in parse_qsl(query, keep_blank_values=True) if not _is_tracking_or_session(name, value)}
    )
    return target.authority + "/".join(segments) + (f"?{'&'.join(names)}" if names else "")


class PatternBound:
    """Limits the number of barren pages per URL pattern. A page is barren if it has nothing new.

    A calendar, or a session id in a URL, produces new URLs of the same pattern without end and without content. The
    product pages of a shop also share a pattern, and they must not be cut off. Therefore a page that has something new
    does not count. Call `admit` just before a page is fetched, and not when its link is found.
    """

    def __init__(self, max_barren: int = 200, max_patterns: int = 10_000) -> None:
        """Limit barren pages.

        Args:
            max_barren: the maximum number of barren pages of one pattern.
            max_patterns: the number of patterns that are counted separately. All later patterns count as one.
        """
        self._max_barren = max_barren
        self._max_patterns = max_patterns
        self._barren: Counter[str] = Counter()

    def admit(self, url: str) -> bool:
        """Return whether the page may be fetched, and count it as barren until `mark_fruitful` is called for it."""
        try:
            key = self._key(url)
        except FetchForbidden:
            return False
        if self._barren[key] >= self._max_barren:
            return False
        self._barren[key] += 1
        return True

    def mark_fruitful(self, url: str) -> None:
        """Note that an admitted page has new pictures or products, so that it does not count as barren."""
        key = self._key(url)
        self._barren[key] = max(0, self._barren[key] - 1)

    def _key(self, url: str) -> str:
        key = url_pattern(url)
        return key if key in self._barren or len(self._barren) < self._max_patterns else ""


def _is_tracking_or_session(name: str, value: str) -> bool:
    lower = name.lower()
    if lower.startswith(("utm_", "aspsessionid")) or lower in _TRACKING or lower in _SESSION:
        return True
    return lower in _POSSIBLE_SESSION and _RANDOM_VALUE.fullmatch(value) is not None


def _normal_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape.group()[1:], 16))
    return character if character in _UNRESERVED else escape.group().upper()


def _without_repetition(segments: list[str]) -> list[str]:
    counts = Counter(segments)
    return (
        list(dict.fromkeys(segments))
        if any(n >= 3 for segment, n in counts.items() if segment and "{" not in segment)
        else segments
    )


def canonical_or_same(url: str) -> str:
    """Return the canonical form of a URL, or the URL itself if it can never be fetched."""
    try:
        return canonical_url(url)
    except FetchForbidden:
        return url
