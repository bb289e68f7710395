"""URLs of pages: one spelling for one page, and a bound on pages that only differ by a number, a date or a session."""

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
_SESSION = frozenset(words("phpsessid jsessionid sessionid session_id sessid cfid cftoken oscsid zenid xtcsid"))
_PERHAPS_SESSION = frozenset({"sid", "s", "session", "token"})
"""Names that hold a session where the value is long and random, and something of the shop's own otherwise."""
_RANDOM = re.compile(r"(?=[^\d]*\d)(?=[^a-z]*[a-z])[a-z\d_-]{16,}", re.I)
_PATH_SESSION = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/?;]*", re.I)
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.I)
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")

_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d(?:[-/_.]?(?:0?[1-9]|1[0-2])(?:[-/_.]?(?:0?[1-9]|[12]\d|3[01]))?)?(?!\d)")
_HASH = re.compile(
    r"(?<![a-z\d])(?=[a-z-]*\d)(?=[\d-]*[a-z])(?:[\da-f]{8,}|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})(?![a-z\d])", re.I
)
_NUMBER = re.compile(r"\d+")


def absolute_url(base: str, reference: str | None) -> str | None:
    """Where a reference leads from `base`, without its fragment; None if to nothing that may be fetched."""
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
    """The spelling by which two URLs of one page are known as one.

    The fragment, tracking parameters and session ids are gone, parameters sorted by name, escapes in one spelling.
    It is to compare by; what is asked for is the URL that the page gave.

    Raises:
        FetchForbidden: not a URL that may be fetched.
    """
    target = parse_url(url)
    path, _, query = target.path.partition("?")
    path = _ESCAPE.sub(_plain, _PATH_SESSION.sub("", path))
    kept = sorted(
        (
            (name, value)
            for name, value in parse_qsl(query, keep_blank_values=True)
            if not _carries_nothing(name, value)
        ),
        key=lambda pair: pair[0],
    )
    scheme, host = target.scheme, target.authority
    return f"{scheme}://{host}{path}" + (f"?{urlencode(kept)}" if kept else "")


def url_pattern(url: str) -> str:
    """What a URL has in common with others of its kind: `shop.example/item/{n}?page`.

    Dates, hashes and numbers of the path are replaced, of the parameters only the names are left, and a path that
    repeats a segment, as broken relative links make it grow without end, has each segment once.

    Raises:
        FetchForbidden: not a URL that may be fetched.
    """
    target = parse_url(url)
    path, _, query = target.path.partition("?")
    path = _PATH_SESSION.sub("", path)
    for found, word in ((_HASH, "{hash}"), (_DATE, "{date}"), (_NUMBER, "{n}")):
        path = found.sub(word, path)
    segments = _without_repetition(path.split("/"))
    names = sorted(
        {name for name, value in parse_qsl(query, keep_blank_values=True) if not _carries_nothing(name, value)}
    )
    return target.authority + "/".join(segments) + (f"?{'&'.join(names)}" if names else "")


class PatternBound:
    """How many pages of one pattern may be fetched without finding anything new on them.

    A calendar or a URL that carries a session has ever new URLs of one pattern and nothing on them; a shop's product
    pages have one pattern too, and are not to be cut off. So a page that brought something gives its place back. Ask
    `admit` when a page is about to be fetched, not when its link is found.
    """

    def __init__(self, cap: int = 200, patterns: int = 10_000) -> None:
        """`cap`: barren pages of one pattern. `patterns`: how many are told apart; all later ones count as one."""
        self._cap = cap
        self._patterns = patterns
        self._barren: Counter[str] = Counter()

    def admit(self, url: str) -> bool:
        """Whether the page may be fetched; counts it as barren until `mark_fruitful` says otherwise."""
        try:
            key = self._key(url)
        except FetchForbidden:
            return False
        if self._barren[key] >= self._cap:
            return False
        self._barren[key] += 1
        return True

    def mark_fruitful(self, url: str) -> None:
        """The admitted page brought pictures or products that were not known."""
        key = self._key(url)
        self._barren[key] = max(0, self._barren[key] - 1)

    def _key(self, url: str) -> str:
        key = url_pattern(url)
        return key if key in self._barren or len(self._barren) < self._patterns else ""


def _carries_nothing(name: str, value: str) -> bool:
    lower = name.lower()
    if lower.startswith("utm_") or lower in _TRACKING or lower in _SESSION or lower.startswith("aspsessionid"):
        return True
    return lower in _PERHAPS_SESSION and _RANDOM.fullmatch(value) is not None


def _plain(escape: re.Match[str]) -> str:
    character = chr(int(escape.group()[1:], 16))
    return character if character in _UNRESERVED else escape.group().upper()


def _without_repetition(segments: list[str]) -> list[str]:
    counts = Counter(segments)
    return (
        list(dict.fromkeys(segments))
        if any(n >= 3 for segment, n in counts.items() if segment and "{" not in segment)
        else segments
    )
