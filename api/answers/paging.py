"""Keyset pages: opaque cursors, and the Link header."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlencode

from flask import request

from api.answers.problems import Problem


def encode_cursor(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: dict[str, tuple[type, ...]]) -> dict[str, Any] | None:
    """The values of a cursor that this server made, each of one of the `kinds` given for its name.

    Raises:
        Problem: 422, it did not come from this list.
    """
    if cursor is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        values = None
    fits = isinstance(values, dict) and values.keys() == kinds.keys()
    if not fits or not all(_is_a(values[name], kind) for name, kind in kinds.items()):
        raise Problem(
            422,
            "bad_cursor",
            f"cursor: expected a next_cursor of this list, got {cursor[:80]!r}",
            errors=[("/cursor", "expected a next_cursor of this list")],
        )
    return dict(values)


def _is_a(value: object, kind: tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not (isinstance(value, str) and "\0" in value)


def link_header(next_cursor: str | None) -> dict[str, str]:
    """`Link: <…>; rel="next"` with the present query and the next cursor, or nothing on the last page."""
    if next_cursor is None:
        return {}
    query = urlencode({**request.args.to_dict(), "cursor": next_cursor})
    return {"Link": f'<{request.path}?{query}>; rel="next"'}
