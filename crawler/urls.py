"""URLs of pages: one spelling for each page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode, urljoin

from core.fetching.urls import parse_url
from core.item_errors import FetchForbidden
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
_PATH_SESSION = re.compile(r";(?:jsessionid|phpsessid|sid)=[^/?;]*|/\(S\([a-z0-9]{24}\)\)", re.I)
_ESCAPE = re.compile(r"%[0-9a-f]{2}", re.I)
_UNRESERVED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")


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
        ((name, value) for name, value in parameters(query) if not is_tracking_or_session(name, value)),
        key=lambda pair: pair[0],
    )
    scheme, host = target.scheme, target.authority
    return f"{scheme}://{host}{path}" + (f"?{encoded(kept)}" if kept else "")


def canonical_or_same(url: str) -> str:
    """Return the canonical spelling of a URL, or the URL itself if it may not be fetched."""
    try:
        return canonical_url(url)
    except FetchForbidden:
        return url


def parameters(query: str) -> list[tuple[str, str]]:
    """Return the names and values of a query, each byte as one character, for `encoded`.

    The bytes of some shops are EUC-KR or Latin-1. Read as UTF-8, many different values would become the same one.
    """
    return parse_qsl(query, keep_blank_values=True, encoding="latin-1")


def encoded(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the query with these names and values, which are those of `parameters`."""
    return urlencode(list(pairs), encoding="latin-1")


def is_tracking_or_session(name: str, value: str) -> bool:
    """Return whether a parameter of a URL only tracks a visitor, so that the page is the same without it."""
    lower = name.lower()
    if lower.startswith(("utm_", "aspsessionid")) or lower in _TRACKING or lower in _SESSION:
        return True
    return lower in _POSSIBLE_SESSION and _RANDOM_VALUE.fullmatch(value) is not None


def _normal_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape.group()[1:], 16))
    return character if character in _UNRESERVED else escape.group().upper()
