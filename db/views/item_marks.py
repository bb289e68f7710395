"""The marks of a job's items: cursors at regular distances, with which a page jumps to any place of a long list.

One query numbers the items that fulfil the filter, and reads all of them for it. The list of all items by position
needs no query.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.expression import nulls_last

from db.tables import Job
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort, select_keys


@dataclass(frozen=True, slots=True)
class Marks:
    """How many items a list has, and where its pages begin."""

    total: int
    cursors: list[ItemCursor]
    """The last item of each page that is followed by another page."""


def read_marks(session: Session, job: Job, item_filter: ItemFilter, sort: ItemSort, every: int) -> Marks:
    """Return the marks of a list in pages of `every` items."""
    if item_filter.chosen is None and item_filter == ItemFilter() and sort == ItemSort.POSITION:
        # Positions count from 0 without gaps.
        return Marks(job.total, [ItemCursor(position) for position in range(every - 1, job.total - 1, every)])
    keys = select_keys(job.id, item_filter, sort).subquery()
    orders = {
        ItemSort.POSITION: [keys.c.position],
        ItemSort.CONFIDENCE: [nulls_last(keys.c.confidence), keys.c.position],
    }
    order = orders.get(sort, [keys.c.rank])
    numbered = select(
        keys.c.position,
        keys.c.confidence,
        keys.c.rank,
        func.row_number().over(order_by=order).label("number"),
        func.lead(keys.c.position).over(order_by=order).is_(None).label("is_last"),
    ).subquery()
    rows = session.execute(
        select(numbered).where((numbered.c.number % every == 0) | numbered.c.is_last).order_by(numbered.c.number)
    ).all()
    cursors = [ItemCursor(row.position, row.confidence, row.rank) for row in rows if not row.is_last]
    return Marks(rows[-1].number if rows else 0, cursors)
