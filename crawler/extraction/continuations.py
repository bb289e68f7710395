"""Finds where a list goes on that has no link to its next page: it grows while a visitor scrolls or presses a button.

The URLs are those that the page keeps for its own scripts, or else those of the usual parameters. A crawl requests the
next one only while each shows products that are new.
"""

from __future__ import annotations

import html
import re
from urllib.parse import urlsplit, urlunsplit

from crawler.extraction.page import Page
from crawler.urls import encoded, parameters
from crawler.words import words

PAGE_NUMBERS = frozenset(words("page p pg pageno page_no pagenum pagenumber paged pagingindex currentpage cpage"))
"""Parameters with the number of a page of a list, in lower case."""
OFFSETS = frozenset(words("offset start from skip"))
"""Parameters with the number of products before a page of a list, in lower case."""
_SIZES = frozenset(words("limit size count per_page perpage pagesize page_size rows"))

_MAX_FOUND = 3
_MIN_PRODUCTS = 4
"""A list with fewer products than that has no further page."""
_ATTRIBUTE = re.compile(
    r"(?:data-(?:[\w-]*-)?(?:next|more|load|infinite|ajax|endpoint|api|scroll)(?:-[\w-]*)?|hx-get)"
    r"\s*=\s*(?:\"([^\"]{1,2000})\"|'([^']{1,2000})')",
    re.I,
)
_MEMBER = re.compile(
    r"\b(?:(?:next|(?:load_?)?more|infinite)(?:_?page)?(?:_?(?:url|uri|link|href|path|endpoint|api))?"
    r"|(?:list|products?|items)_?(?:url|uri|endpoint|api))"
    r"[\"']?\s*[:=]\s*(?:\"([^\"\n]{1,2000})\"|'([^'\n]{1,2000})')",
    re.I,
)
_OTHER_FILES = re.compile(r"\.(?:js|css|svg|png|jpe?g|gif|webp|avif|woff2?)$", re.I)
_MORE_BUTTON = (
    "//*[self::button or self::a or self::div or self::span or self::input]"
    "[contains(translate(concat(@class, ' ', @id), 'LOADMREINFTSCWH-_', 'loadmreinftscwh'), 'loadmore')"
    " or contains(translate(concat(@class, ' ', @id), 'LOADMREINFTSCWH-_', 'loadmreinftscwh'), 'infinitescroll')"
    " or contains(translate(concat(@class, ' ', @id), 'LOADMREINFTSCWH-_', 'loadmreinftscwh'), 'showmore')]"
)
_MORE_TEXT = re.compile(
    r">\s*(?:load|show|view) more\b|더\s?보기|mehr (?:laden|anzeigen)|(?:charger|voir|afficher) plus|(?:cargar|ver) más"
    r"|もっと見る",
    re.I,
)
_TOTAL = re.compile(
    r"\bof\s+(\d{1,6})\s+(?:products|items|results)|총\s*(\d{1,6})\s*개"
    r"|[\"']?(?:data-)?total(?:_?(?:count|products|items|results))?[\"']?\s*[:=]\s*[\"']?(\d{1,6})\b",
    re.I,
)
_NO_MORE = re.compile(r"[\"'](?:has_?(?:more|next(?:_?page)?))[\"']\s*:\s*(?:false|0|null)\b", re.I)
_PAGE_PLACE = re.compile(r"\{\{?\s*page\s*\}?\}|%7Bpage%7D|__page__|:page\b|%page%", re.I)
_OFFSET_PLACE = re.compile(r"\{\{?\s*(?:offset|start|skip)\s*\}?\}|%7Boffset%7D|__offset__|:offset\b", re.I)


def find_continuations(page: Page, shown: int) -> tuple[str, ...]:
    """Return the URLs at which a list may go on.

    `shown`: the number of products that the page shows.
    """
    if shown < _MIN_PRODUCTS or _NO_MORE.search(page.text):
        return ()
    found = [url for url in _announced(page, shown) if url != page.url]
    if not found:
        following = _following(page.url, shown)
        if following is None and _seems_cut(page, shown):
            following = _with_parameter(page.url, "page", "2")
        found = [following] if following else []
    return tuple(dict.fromkeys(found))[:_MAX_FOUND]


def _announced(page: Page, shown: int) -> list[str]:
    """Return the URLs that the attributes and the data of the page name for the next part of the list."""
    texts = [] if page.is_json else [html.unescape(_either(match)) for match in _ATTRIBUTE.finditer(page.text)]
    if not page.is_json:
        for element in page.find(_MORE_BUTTON):
            texts += [element.get(name) for name in ("data-url", "data-href", "data-src", "data-target-url", "href")]
    texts += [_either(match).replace("\\/", "/").replace("\\u0026", "&") for match in _MEMBER.finditer(page.text)]
    number = _page_number(page.url)
    found = []
    for text in texts:
        if not text or not text.startswith(("/", "?", "./", "http://", "https://")):
            continue
        filled = _OFFSET_PLACE.sub(str(shown), _PAGE_PLACE.sub(str(number + 1), text))
        url = page.absolute(filled)
        parts = urlsplit(url or "")
        if url is not None and parts.netloc == urlsplit(page.url).netloc and not _OTHER_FILES.search(parts.path):
            found.append(url)
    return found


def _following(url: str, shown: int) -> str | None:
    """Return the URL of the next part of a list whose own URL has a page number or an offset."""
    query = parameters(urlsplit(url).query)
    sizes = [int(value) for name, value in query if name.lower() in _SIZES and _is_number(value)]
    for name, value in query:
        if not _is_number(value):
            continue
        if name.lower() in PAGE_NUMBERS:
            return _with_parameter(url, name, str(int(value) + 1))
        if name.lower() in OFFSETS:
            return _with_parameter(url, name, str(int(value) + (sizes[0] if sizes and sizes[0] else shown)))
    return None


def _seems_cut(page: Page, shown: int) -> bool:
    """Return whether the page says that its list has more products than it shows."""
    totals = (int(next(filter(None, match.groups()))) for match in _TOTAL.finditer(page.text))
    if any(total > shown for total in totals):
        return True
    return not page.is_json and (_MORE_TEXT.search(page.text) is not None or bool(page.find(_MORE_BUTTON)))


def _page_number(url: str) -> int:
    numbers = [value for name, value in parameters(urlsplit(url).query) if name.lower() in PAGE_NUMBERS]
    return int(numbers[0]) if numbers and _is_number(numbers[0]) else 1


def _with_parameter(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    query = parameters(parts.query)
    changed = [(key, value if key == name else old) for key, old in query]
    return urlunsplit(parts._replace(query=encoded(changed if (name in dict(query)) else [*query, (name, value)])))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 7


def _either(match: re.Match[str]) -> str:
    return match[1] or match[2] or ""
