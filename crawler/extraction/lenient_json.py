"""Reads JSON with the faults that shops make: comments, trailing commas, raw line ends, HTML entities, JavaScript."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import chompjs

from core.sources.names import storable

_OPENINGS = ("<!--", "//<![CDATA[", "// <![CDATA[", "/*<![CDATA[*/", "/* <![CDATA[ */", "<![CDATA[", "\ufeff")
_CLOSINGS = ("-->", "//]]>", "// ]]>", "/*]]>*/", "/* ]]> */", "]]>", ";")
_BARE_ESCAPE = re.compile(r"\\(?![\"\\/bfnrtu])")
_BYTE_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_OPENING_BRACKET = re.compile(r"[{\[]")
_MAX_LENGTH = 4 * 2**20
"""Maximum length of a text in characters. The product data of a page is far shorter."""
_UNSTORABLE_ESCAPE = re.compile(
    r"\\(?:u0000|x00|0|u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\)u[dD][c-fC-F]..)|\x00"
)
"""Escapes of NUL and of half a surrogate pair, which no database can store. Some texts match without having one."""
# strict=False allows raw line ends and tabs in strings, which are the most common fault.
_DECODER = json.JSONDecoder(strict=False)


def read(text: str) -> Any:
    """Return the first JSON value of a text, or None if the text has no readable value. It never raises."""
    if len(text) > _MAX_LENGTH:
        return None
    unwrapped = _unwrapped(text)
    if not unwrapped:
        return None
    value = _strict(unwrapped)
    if value is None and "&quot;" in unwrapped:
        unwrapped = html.unescape(unwrapped)
        value = _strict(unwrapped)
    return _javascript(unwrapped) if value is None else value


def read_at(text: str, start: int) -> tuple[Any, int]:
    """Return the JavaScript object or array at `start`, or None if it is unreadable, and the position after it."""
    try:
        value, end = _DECODER.raw_decode(text, start)
        return _storable(value, text, start, end), end
    except (ValueError, RecursionError):
        return (_javascript(text[start:]) if len(text) - start <= _MAX_LENGTH else None), start + 1


def _storable(value: Any, text: str, start: int, end: int) -> Any:
    """Return a value that was read from a part of a text, without characters that cannot be stored."""
    return _cleaned(value) if _UNSTORABLE_ESCAPE.search(text, start, end) else value


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, list):
        return [_cleaned(member) for member in value]
    if isinstance(value, dict):
        return {storable(name): _cleaned(member) for name, member in value.items()}
    return value


def _unwrapped(text: str) -> str:
    unwrapped = text.strip()
    for _ in range(4):
        before = unwrapped
        for opening in _OPENINGS:
            unwrapped = unwrapped.removeprefix(opening).lstrip()
        for closing in _CLOSINGS:
            unwrapped = unwrapped.removesuffix(closing).rstrip()
        if unwrapped == before:
            break
    return unwrapped


def _strict(text: str) -> Any:
    try:
        value, end = _DECODER.raw_decode(text)
        return _storable(value, text, 0, end)
    except (ValueError, RecursionError):
        return None


def _javascript(text: str) -> Any:
    opening = _OPENING_BRACKET.search(text)
    if opening is None:
        return None
    try:
        value = chompjs.parse_js_object(text[opening.start() :], loader=_load)
        return _storable(value, text, opening.start(), len(text))
    except (ValueError, RecursionError):
        return None


def _load(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except ValueError:
        # The escapes \x41 and \' are valid in JavaScript but not in JSON.
        return _DECODER.decode(_BARE_ESCAPE.sub("", _BYTE_ESCAPE.sub(r"\\u00\1", text)))
