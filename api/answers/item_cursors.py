"""The cursors of lists of items: where a page ends in the order of the list."""

from __future__ import annotations

from typing import Any

from api.answers.paging import decode_cursor
from api.answers.problems import invalid_field_problem
from db.tables import Item
from db.views.item_pages import ItemCursor, ItemSort


def item_cursor_values(last: Item | ItemCursor, sort: ItemSort) -> dict[str, Any]:
    """Return the values of the cursor of the page after an item."""
    return {"position": last.position, "confidence": last.confidence, "sort": sort.value}


def decode_item_cursor(cursor: str | None, sort: ItemSort) -> ItemCursor | None:
    """Return the end of the page before.

    Raises:
        Problem: 422, the cursor does not come from a list of items in this order.
    """
    values = decode_cursor(cursor, {"position": (int,), "confidence": (int, float, type(None)), "sort": (str,)})
    if values and values.pop("sort") != sort.value:
        raise invalid_field_problem("cursor", "expected a cursor of a list with the same `sort`", "bad_cursor")
    return ItemCursor(**values) if values else None
