"""The cursors of lists of items: where a page ends in the order of the list."""

from __future__ import annotations

from typing import Any

from api.answers.paging import decode_cursor
from api.answers.problems import invalid_field_problem
from db.tables import HintKind, Item
from db.views.item_pages import ItemCursor, ItemSort


def item_cursor_values(last: Item | ItemCursor, sort: ItemSort) -> dict[str, Any]:
    """Return the values of the cursor of the page after an item."""
    if sort.hint is not None:
        return {"position": last.position, "rank": _rank(last, sort.hint), "sort": sort.value}
    return {"position": last.position, "confidence": last.confidence, "sort": sort.value}


def decode_item_cursor(cursor: str | None, sort: ItemSort) -> ItemCursor | None:
    """Return the end of the page before.

    Raises:
        Problem: 422, the cursor does not come from a list of items in this order.
    """
    place: dict[str, tuple[type, ...]] = {"confidence": (int, float, type(None))}
    if sort.hint is not None:
        place = {"rank": (int,)}
    values = decode_cursor(cursor, {"position": (int,), **place, "sort": (str,)})
    if values and values.pop("sort") != sort.value:
        raise invalid_field_problem("cursor", "expected a cursor of a list with the same `sort`", "bad_cursor")
    return ItemCursor(**values) if values else None


def _rank(last: Item | ItemCursor, kind: HintKind) -> int | None:
    """Return the place of an item in the order of a hint."""
    if isinstance(last, ItemCursor):
        return last.rank
    return next(hint.rank for hint in last.hints if hint.kind == kind)
