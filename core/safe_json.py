"""JSON whose texts neither break its lines nor control a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

_INVISIBLE = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that JSON allows in texts, and that end a line, control a terminal, turn the direction of writing, or
cannot be written as UTF-8. JSON itself escapes those below U+0020."""


def to_json(value: Any, **options: Any) -> str:
    """Return `value` as JSON with readable letters of all languages. `options` are those of `json.dumps`."""
    text = json.dumps(value, ensure_ascii=False, **options)
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
