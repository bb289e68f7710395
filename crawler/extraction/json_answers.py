"""Turns a JSON answer of a shop into a page, so that all rules read its products and its fragments of HTML."""

from __future__ import annotations

import json
import re
from typing import Any

_FRAGMENT = re.compile(r"<(?:a|img|li|article|div)\b", re.I)
_MAX_FRAGMENTS = 2_000
_MAX_NODES = 200_000


def is_json(text: str, content_type: str) -> bool:
    """Return whether an answer is JSON. Servers often declare it as HTML."""
    if text[:200].lstrip("\ufeff \t\r\n")[:1] not in {"{", "["}:
        return False
    return "json" in content_type.lower() or _value(text) is not None


def json_as_html(text: str) -> str:
    """Return a page whose script holds the JSON, and whose body holds the HTML in its texts."""
    # No JSON has `</` outside its texts, and `<\/` is the same text as `</`.
    script = text.strip("\ufeff \t\r\n").replace("</", "<\\/").replace("<!--", "<\\u0021--")
    return f'<script type="application/json">{script}</script>{"".join(_fragments(_value(text)))}'


def _value(text: str) -> Any:
    try:
        return json.loads(text.lstrip("\ufeff"), strict=False)
    except (ValueError, RecursionError):
        return None


def _fragments(root: Any) -> list[str]:
    found: list[str] = []
    stack, seen = [root], 0
    while stack and seen < _MAX_NODES and len(found) < _MAX_FRAGMENTS:
        value = stack.pop()
        seen += 1
        if isinstance(value, dict):
            stack.extend(reversed(value.values()))
        elif isinstance(value, list):
            stack.extend(reversed(value))
        elif isinstance(value, str) and _FRAGMENT.search(value):
            found.append(value)
    return found
