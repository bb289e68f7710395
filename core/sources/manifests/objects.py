"""Reads JSONL: one object per line."""

from __future__ import annotations

from collections.abc import Iterator

from core.item_errors import BadRow, ItemError
from core.sources.manifests.columns import Columns
from core.sources.manifests.rows import (
    MAX_DEPTH,
    Row,
    is_unreadable,
    json_type,
    parse_json,
    rows_of,
    storable_json,
    unreadable_row,
    with_row_number,
)
from core.sources.manifests.text import MAX_ROW, Lines, TooLong


def object_rows(lines: Lines, columns: Columns, encoding: str) -> Iterator[Row | None]:
    """Yield the pictures of each line, and None for each empty line."""
    number = 0
    while (line := lines.next()) is not None:
        number += 1
        if not line.strip():
            yield None
        elif isinstance(line, TooLong):
            yield Row(number, error=BadRow(f"row {number}: expected at most {MAX_ROW:,} characters, got more"))
        elif is_unreadable([line]):
            yield unreadable_row(number, encoding)
        else:
            yield from _rows_of_line(number, line, columns)


def _rows_of_line(number: int, line: str, columns: Columns) -> Iterator[Row]:
    try:
        members = parse_json(line)
        if not isinstance(members, dict):
            raise BadRow(f"expected a JSON object, got {json_type(members)}")
        members = storable_json(members)
    except RecursionError:
        yield Row(number, error=BadRow(f"row {number}: expected no more than {MAX_DEPTH} levels of JSON"))
    except ValueError as error:
        yield Row(number, error=BadRow(f"row {number}: expected a JSON object, got invalid JSON: {error}"))
    except ItemError as error:
        yield Row(number, error=with_row_number(number, error))
    else:
        yield from rows_of(number, list(members), list(members.values()), columns)
