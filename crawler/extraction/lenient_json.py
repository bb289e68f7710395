"""JSON as shops write it: with comments, trailing commas, raw line ends, HTML entities, or as a JavaScript object."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import chompjs

_OPENINGS = ("<!--", "//<![CDATA[", "// <![CDATA[", "/*<![CDATA[*/", "/* <![CDATA[ */", "<![CDATA[", "\ufeff")
_CLOSINGS = ("-->", "//]]>", "// ]]>", "/*]]>*/", "/* ]]> */", "]]>", ";")
_BARE_ESCAPE = re.compile(r"\\(?![\"\\/bfnrtu])")
_BYTE_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_BEGIN = re.compile(r"[{\[]")
_MAX = 4 * 2**20
"""Longest text that is read, in characters. What a page says of its products is far shorter."""
# strict=False: raw line ends and tabs within strings, the commonest fault of all.
_DECODER = json.JSONDecoder(strict=False)


def read(text: str) -> Any:
    """The first JSON value of a text, None if there is none that can be understood. Never raises."""
    if len(text) > _MAX:
        return None
    bare = _unwrapped(text)
    if not bare:
        return None
    value = _strict(bare)
    if value is None and "&quot;" in bare:
        bare = html.unescape(bare)
        value = _strict(bare)
    return _javascript(bare) if value is None else value


def read_at(text: str, start: int) -> tuple[Any, int]:
    """The JavaScript object or array that begins at `start`, and where to go on; None for what cannot be understood."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return (_javascript(text[start:]) if len(text) - start <= _MAX else None), start + 1


def _unwrapped(text: str) -> str:
    bare = text.strip()
    for _ in range(4):
        before = bare
        for opening in _OPENINGS:
            bare = bare.removeprefix(opening).lstrip()
        for closing in _CLOSINGS:
            bare = bare.removesuffix(closing).rstrip()
        if bare == before:
            break
    return bare


def _strict(text: str) -> Any:
    try:
        value, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value


def _javascript(text: str) -> Any:
    begin = _BEGIN.search(text)
    if begin is None:
        return None
    try:
        return chompjs.parse_js_object(text[begin.start() :], loader=_load)
    except (ValueError, RecursionError):
        return None


def _load(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except ValueError:
        # JavaScript's \x41 and \' are no JSON.
        return _DECODER.decode(_BARE_ESCAPE.sub("", _BYTE_ESCAPE.sub(r"\\u00\1", text)))
