"""Select the items of one page of a job: the first ones after a cursor, in a given order.

A page is merged from runs. A run is a part of the job that one index holds in the order of the page: the items of a
label, the items of a status, or all items. Each run contributes its first items after the cursor. A page therefore
costs the same at any depth, and for frequent and rare labels. The databases' query planners do not find such a plan by
themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, false, select, tuple_, union_all
from sqlalchemy.sql.expression import nulls_last

from db.tables import Item, ItemStatus, Review

MAX_RUNS = 100
"""Maximum number of labels that get a run each. SQLite merges at most 500. More labels are searched as one run."""

SelectT = TypeVar("SelectT", bound=Select[*tuple[Any, ...]])


class ItemSort(StrEnum):
    """The orders in which items can be listed."""

    POSITION = "position"
    """The order in which the items were submitted."""
    CONFIDENCE = "confidence"
    """The lowest confidence first. Items without a prediction come last."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions for the items to list. An item must fulfil all of them."""

    status: ItemStatus | None = None
    labels: tuple[str, ...] | None = None
    """The item has one of these labels."""
    min_confidence: float | None = None
    max_confidence: float | None = None
    reviewed: bool | None = None
    hide_duplicates: bool = False


@dataclass(frozen=True, slots=True)
class ItemCursor:
    """The position in the order at which a page ends: that of its last item."""

    position: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    where: tuple[ColumnElement[bool], ...]
    order: tuple[SQLColumnExpression[Any], ...]


def select_page(
    query: SelectT, job_id: str, item_filter: ItemFilter, sort: ItemSort, after: ItemCursor | None, limit: int
) -> SelectT:
    """Narrow a select over `Item` to the first `limit` items of a job after a cursor, in order."""
    by_confidence = sort == ItemSort.CONFIDENCE
    runs = _runs_by_confidence(item_filter, after) if by_confidence else _runs_by_position(item_filter, after)
    common = (Item.job_id == job_id, *_common_conditions(item_filter))
    if item_filter.reviewed:
        # People review only few items, therefore the index of the reviews finds them.
        query = query.join(Review, Review.item_id == Item.id).where(Review.job_id == job_id)
    if len(runs) == 1:
        return query.where(*common, *runs[0].where).order_by(*runs[0].order).limit(limit)
    parts = []
    for run in runs:
        keys = select(Item.position, Item.confidence).where(*common, *run.where)
        if item_filter.reviewed:
            keys = keys.join(Review, Review.item_id == Item.id).where(Review.job_id == job_id)
        parts.append(select(keys.order_by(*run.order).limit(limit).subquery()))
    merged = union_all(*parts).subquery()
    order = (nulls_last(merged.c.confidence), merged.c.position) if by_confidence else (merged.c.position,)
    first = select(merged).order_by(*order).limit(limit).subquery()
    order = (nulls_last(first.c.confidence), first.c.position) if by_confidence else (first.c.position,)
    at_key = (Item.job_id == job_id) & (Item.position == first.c.position)
    return query.join(first, at_key).order_by(*order)


def _common_conditions(item_filter: ItemFilter) -> list[ColumnElement[bool]]:
    conditions = []
    if item_filter.min_confidence is not None:
        conditions.append(Item.confidence >= item_filter.min_confidence)
    if item_filter.max_confidence is not None:
        conditions.append(Item.confidence <= item_filter.max_confidence)
    if item_filter.hide_duplicates:
        conditions.append(Item.duplicate_of.is_(None))
    if item_filter.reviewed is False:
        conditions.append(~select(Review.id).where(Review.item_id == Item.id).exists())
    return conditions


def _runs_by_position(item_filter: ItemFilter, after: ItemCursor | None) -> list[_Run]:
    position = Review.position if item_filter.reviewed else Item.position
    later = () if after is None else (position > after.position,)
    return [_Run((*part, *later), (position,)) for part in _index_conditions(item_filter)]


def _runs_by_confidence(item_filter: ItemFilter, after: ItemCursor | None) -> list[_Run]:
    runs = []
    if item_filter.status in (None, ItemStatus.SUCCEEDED) and (after is None or after.confidence is not None):
        key = tuple_(Item.confidence, Item.position)
        later = () if after is None else (key > tuple_(after.confidence, after.position),)
        parts = _index_conditions(ItemFilter(labels=item_filter.labels))
        order = (Item.confidence, Item.position)
        runs += [_Run((Item.confidence.is_not(None), *part, *later), order) for part in parts]
    if item_filter.labels is None and item_filter.min_confidence is None and item_filter.max_confidence is None:
        # The other items have no confidence. Each status is a run of its own, because an index holds only that order.
        rest = [
            status for status in ItemStatus if status != ItemStatus.SUCCEEDED and item_filter.status in (None, status)
        ]
        behind = () if after is None or after.confidence is not None else (Item.position > after.position,)
        runs += [_Run((Item.status == status, *behind), (Item.position,)) for status in rest]
    return runs or [_Run((false(),), (Item.position,))]


def _index_conditions(item_filter: ItemFilter) -> list[tuple[ColumnElement[bool], ...]]:
    """Return one condition for each run, so that one index serves each run. Only succeeded items have a label."""
    if item_filter.labels is None:
        return [()] if item_filter.status is None else [(Item.status == item_filter.status,)]
    if not item_filter.labels or item_filter.status not in (None, ItemStatus.SUCCEEDED):
        return [(false(),)]
    if len(item_filter.labels) > MAX_RUNS:
        return [(Item.label.in_(item_filter.labels),)]
    return [(Item.label == label,) for label in item_filter.labels]
