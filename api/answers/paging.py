"""Keyset pagination: opaque cursors and the Link header."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request

from api.answers.problems import Problem

Row = TypeVar("Row")
Value = TypeVar("Value")


def encode_cursor(values: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kinds: dict[str, tuple[type, ...]]) -> dict[str, Any] | None:
    """Return the values of a cursor. `kinds` are the types that each value may have, by name.

    Raises:
        Problem: 422, the cursor does not come from this list.
    """
    if cursor is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        values = None
    is_valid = isinstance(values, dict) and values.keys() == kinds.keys()
    if not is_valid or not all(_has_type(values[name], types) for name, types in kinds.items()):
        raise Problem(
            422,
            "bad_cursor",
            f"cursor: expected a next_cursor of this list, got {cursor[:80]!r}",
            errors=[("/cursor", "expected a next_cursor of this list")],
        )
    return dict(values)


def decode_cursor_value(cursor: str | None, name: str, kind: type[Value]) -> Value | None:
    """Return the only value of a cursor, or None without a cursor.

    Raises:
        Problem: 422, the cursor does not come from this list.
    """
    values = decode_cursor(cursor, {name: (kind,)})
    return None if values is None else values[name]


def cut_page(
    rows: Sequence[Row], limit: int, cursor_values: Callable[[Row], dict[str, Any]]
) -> tuple[Sequence[Row], str | None]:
    """Return the first `limit` rows and the cursor of the next page, which is None if there are no more rows.

    `rows` should hold one row more than `limit`. `cursor_values` returns the place of a row in the list.
    """
    page = rows[:limit]
    return page, encode_cursor(cursor_values(page[-1])) if len(rows) > limit else None


def _has_type(value: object, types: tuple[type, ...]) -> bool:
    # PostgreSQL refuses text with NUL.
    return isinstance(value, types) and not (isinstance(value, str) and "\0" in value)


def link_header(next_cursor: str | None) -> dict[str, str]:
    """Return `Link: <…>; rel="next"` with the current query and the next cursor, or no header on the last page."""
    if next_cursor is None:
        return {}
    query = urlencode({**request.args.to_dict(), "cursor": next_cursor})
    return {"Link": f'<{request.path}?{query}>; rel="next"'}
