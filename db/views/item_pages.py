"""Select the items of one page of a job: the first ones after a cursor, in a given order.

A page is merged from runs. A run is a part of the job that one index holds in the order of the page: the items of a
label, the items of a status, or all items. Each run contributes its first items after the cursor. A page therefore
costs the same at any depth, and for frequent and rare labels. The databases' query planners do not find such a plan by
themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Select,
    SelectBase,
    SQLColumnExpression,
    false,
    null,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.expression import nulls_last

from core.search import needle
from db.tables import HintKind, Item, ItemHint, ItemStatus, ItemText, Review
from db.views.acceptances import Policy

MAX_RUNS = 100
"""Maximum number of labels that get a run each. SQLite merges at most 500. More labels are searched as one run."""

SelectT = TypeVar("SelectT", bound=Select[*tuple[Any, ...]])


class ItemSort(StrEnum):
    """The orders in which items can be listed."""

    POSITION = "position"
    """The order in which the items were submitted."""
    CONFIDENCE = "confidence"
    """The lowest confidence first. Items without a prediction come last."""
    DOUBT = HintKind.DOUBT.value
    """The order of this hint, as of the others below. It lists only items that have a place in it."""
    SURPRISE = HintKind.SURPRISE.value
    MISLABELLED = HintKind.MISLABELLED.value
    UNKNOWN = HintKind.UNKNOWN.value
    DIVERSE = HintKind.DIVERSE.value

    @property
    def hint(self) -> HintKind | None:
        """The hint by which it sorts, or None."""
        return next((kind for kind in HintKind if kind.value == self.value), None)


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Conditions for the items to list. An item must fulfil all of them."""

    status: ItemStatus | None = None
    labels: tuple[str, ...] | None = None
    """The item is listed under one of these labels."""
    predicted: str | None = None
    """The label of the item's prediction."""
    min_confidence: float | None = None
    max_confidence: float | None = None
    reviewed: bool | None = None
    rejected: bool | None = None
    """A person said that no label fits."""
    error: str | None = None
    """The code of the item's error."""
    text: str | None = None
    """A part of the text in which items are searched (`ItemText`), in any case."""
    product_id: str | None = None
    sku: str | None = None
    hide_duplicates: bool = False
    hint: HintKind | None = None
    """The item is flagged by this hint."""
    accepted: bool | None = None
    """Whether `policy` accepts the item."""
    policy: Policy | None = None
    """The policy of the job. None: it accepts nothing."""
    chosen: ColumnElement[bool] | None = None
    """A condition on the id or the position of the item (`db.bulk.in_values`, `in_numbers`)."""


@dataclass(frozen=True, slots=True)
class ItemCursor:
    """The position in the order at which a page ends: that of its last item."""

    position: int
    confidence: float | None = None
    rank: int | None = None
    """Its place in the order of a hint."""


@dataclass(frozen=True, slots=True)
class _Run:
    where: tuple[ColumnElement[bool], ...]
    order: tuple[SQLColumnExpression[Any], ...]


_NOTHING = _Run((false(),), (Item.position,))


def select_page(
    query: SelectT, job_id: str, item_filter: ItemFilter, sort: ItemSort, after: ItemCursor | None, limit: int
) -> SelectT:
    """Narrow a select over `Item` to the first `limit` items of a job after a cursor, in order."""
    if sort.hint is not None:
        return _select_by_hint(query, job_id, item_filter, sort.hint, after, limit)
    by_confidence = sort == ItemSort.CONFIDENCE
    if not by_confidence and _is_search(item_filter):
        # The search can then end at the last item of the page.
        found = _positions_with_text(job_id, item_filter.text or "").order_by(ItemText.position).limit(limit)
        if after is not None:
            found = found.where(ItemText.position > after.position)
        return query.where(Item.job_id == job_id, Item.position.in_(found)).order_by(Item.position)
    runs = _runs(job_id, item_filter, sort, after)
    if len(runs) == 1:
        return _select_run(query, job_id, item_filter, runs[0]).order_by(*runs[0].order).limit(limit)
    keys = select(Item.job_id, Item.position, Item.confidence)
    parts = [
        select(_select_run(keys, job_id, item_filter, run).order_by(*run.order).limit(limit).subquery()) for run in runs
    ]
    merged = union_all(*parts).subquery()
    order = (nulls_last(merged.c.confidence), merged.c.position) if by_confidence else (merged.c.position,)
    first = select(merged).order_by(*order).limit(limit).subquery()
    order = (nulls_last(first.c.confidence), first.c.position) if by_confidence else (first.c.position,)
    # With `Item.job_id == job_id`, SQLite 3.46 reads all items of the job and looks each up among the first ones.
    at_key = (Item.job_id == first.c.job_id) & (Item.position == first.c.position)
    return query.join(first, at_key).order_by(*order)


def _select_by_hint(
    query: SelectT, job_id: str, item_filter: ItemFilter, kind: HintKind, after: ItemCursor | None, limit: int
) -> SelectT:
    """Narrow a select to a page in the order of a hint. The key of the hints has this order."""
    # Without a condition on the rank, SQLite would read the items of a status or label first, and sort their hints.
    last = -1 if after is None or after.rank is None else after.rank
    chosen = _with_hint(query, job_id, item_filter, kind).where(ItemHint.rank > last)
    return chosen.order_by(ItemHint.rank).limit(limit)


def _with_hint(query: SelectT, job_id: str, item_filter: ItemFilter, kind: HintKind) -> SelectT:
    """Join the hints of one kind to a select over `Item`, and apply a filter."""
    at_key = (Item.job_id == ItemHint.job_id) & (Item.position == ItemHint.position)
    # With a condition on `Item.job_id`, SQLite would read all items of the job.
    conditions = [ItemHint.job_id == job_id, ItemHint.kind == kind, *_common_conditions(job_id, item_filter)]
    if item_filter.status is not None:
        conditions.append(Item.status == item_filter.status)
    if item_filter.labels is not None:
        conditions.append(Item.label.in_(item_filter.labels))
    elif item_filter.predicted is not None and not _of_reviews(item_filter):
        listed, moved = _is_predicted(item_filter.predicted)
        conditions.append(listed | moved)
    if _of_reviews(item_filter):
        query = query.join(Review, Review.item_id == Item.id)
    return query.join(ItemHint, at_key).where(*conditions)


def select_keys(job_id: str, item_filter: ItemFilter, sort: ItemSort) -> SelectBase:
    """Return a select of position, confidence and rank of all items that fulfil a filter, in no order."""
    if sort.hint is not None:
        return _with_hint(select(Item.position, Item.confidence, ItemHint.rank), job_id, item_filter, sort.hint)
    keys = select(Item.position, Item.confidence, null().label("rank"))
    parts = [_select_run(keys, job_id, item_filter, run) for run in _runs(job_id, item_filter, sort, None)]
    return parts[0] if len(parts) == 1 else union_all(*parts)


def _select_run(query: SelectT, job_id: str, item_filter: ItemFilter, run: _Run) -> SelectT:
    conditions = (*_common_conditions(job_id, item_filter), *run.where)
    if _of_reviews(item_filter):
        # People review only few items, so the index of the reviews finds them. With a condition on `Item.job_id`,
        # SQLite would read all items of the job in another index.
        return query.join(Review, Review.item_id == Item.id).where(Review.job_id == job_id, *conditions)
    return query.where(Item.job_id == job_id, *conditions)


def _of_reviews(item_filter: ItemFilter) -> bool:
    return bool(item_filter.reviewed or item_filter.rejected)


def _common_conditions(job_id: str, item_filter: ItemFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if item_filter.min_confidence is not None:
        conditions.append(Item.confidence >= item_filter.min_confidence)
    if item_filter.max_confidence is not None:
        conditions.append(Item.confidence <= item_filter.max_confidence)
    if item_filter.hide_duplicates:
        conditions.append(Item.duplicate_of.is_(None))
    if item_filter.hint is not None:
        conditions.append(_is_flagged(job_id, item_filter.hint))
    if item_filter.accepted is not None:
        conditions.append(_is_accepted(item_filter.accepted, item_filter.policy))
    review = aliased(Review)
    of_item = select(review.id).where(review.item_id == Item.id)
    if item_filter.reviewed is False:
        conditions.append(~of_item.exists())
    if item_filter.rejected:
        conditions.append(Review.rejected.is_(True))
    elif item_filter.rejected is False:
        conditions.append(~of_item.where(review.rejected.is_(True)).exists())
    if item_filter.predicted is not None and _of_reviews(item_filter):
        conditions.append(Review.predicted == item_filter.predicted)
    elif item_filter.predicted is not None and item_filter.labels is not None:
        listed, moved = _is_predicted(item_filter.predicted)
        conditions.append(listed | moved)
    exact = (Item.error_code, item_filter.error), (Item.product_id, item_filter.product_id), (Item.sku, item_filter.sku)
    conditions += [column == value for column, value in exact if value is not None]
    if item_filter.text is not None:
        conditions.append(_has_text(job_id, item_filter.text))
    if item_filter.chosen is not None:
        conditions.append(item_filter.chosen)
    return conditions


def _is_flagged(job_id: str, kind: HintKind) -> ColumnElement[bool]:
    hint = aliased(ItemHint)
    flagged = select(hint.position).where(hint.job_id == job_id, hint.kind == kind, hint.flagged.is_(True))
    return Item.position.in_(flagged)


def _is_accepted(accepted: bool, policy: Policy | None) -> ColumnElement[bool]:
    if policy is None:
        return false() if accepted else true()
    # Items without a prediction have no confidence, and comparing it gives NULL.
    return policy.accepts() if accepted else Item.confidence.is_(None) | ~policy.accepts()


def _is_predicted(label: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return two conditions, one of which every item with this predicted label fulfils.

    Such an item is listed under the label, or a review has moved it away.
    """
    review = aliased(Review)
    of_item = select(review.id).where(review.item_id == Item.id)
    listed = (Item.label == label) & ~of_item.where(review.predicted != label).exists()
    return listed, of_item.where(review.predicted == label, review.label.is_distinct_from(label)).exists()


def _is_search(item_filter: ItemFilter) -> bool:
    """Return whether a filter has a text and no other condition."""
    return (
        item_filter.text is not None and item_filter.chosen is None and replace(item_filter, text=None) == ItemFilter()
    )


def _has_text(job_id: str, part: str) -> ColumnElement[bool]:
    return Item.position.in_(_positions_with_text(job_id, part))


def _positions_with_text(job_id: str, part: str) -> Select[int]:
    found = ItemText.text.contains(needle(part), autoescape=True)
    return select(ItemText.position).where(ItemText.job_id == job_id, found)


def _runs(job_id: str, item_filter: ItemFilter, sort: ItemSort, after: ItemCursor | None) -> list[_Run]:
    if item_filter.error is not None:
        if item_filter.status not in (None, ItemStatus.FAILED):
            return [_NOTHING]
        item_filter = replace(item_filter, status=ItemStatus.FAILED)
    if sort == ItemSort.CONFIDENCE:
        return _runs_by_confidence(job_id, item_filter, after)
    return _runs_by_position(job_id, item_filter, after)


def _runs_by_position(job_id: str, item_filter: ItemFilter, after: ItemCursor | None) -> list[_Run]:
    position = Review.position if _of_reviews(item_filter) else Item.position
    later = () if after is None else (position > after.position,)
    return [_Run((*part, *later), (position,)) for part in _index_conditions(job_id, item_filter)]


def _runs_by_confidence(job_id: str, item_filter: ItemFilter, after: ItemCursor | None) -> list[_Run]:
    runs = []
    if item_filter.status in (None, ItemStatus.SUCCEEDED) and (after is None or after.confidence is not None):
        key = tuple_(Item.confidence, Item.position)
        later = () if after is None else (key > tuple_(after.confidence, after.position),)
        parts = _index_conditions(job_id, replace(item_filter, status=None))
        order = (Item.confidence, Item.position)
        runs += [_Run((Item.confidence.is_not(None), *part, *later), order) for part in parts]
    predicted_only = (item_filter.labels, item_filter.predicted, item_filter.min_confidence, item_filter.max_confidence)
    if all(value is None for value in predicted_only) and not _of_reviews(item_filter):
        # The other items have no confidence. Each status is a run of its own, because an index holds only that order.
        rest = [
            status for status in ItemStatus if status != ItemStatus.SUCCEEDED and item_filter.status in (None, status)
        ]
        behind = () if after is None or after.confidence is not None else (Item.position > after.position,)
        runs += [_Run((Item.status == status, *behind), (Item.position,)) for status in rest]
    return runs or [_NOTHING]


def _index_conditions(job_id: str, item_filter: ItemFilter) -> list[tuple[ColumnElement[bool], ...]]:
    """Return one condition for each run, so that one index serves each run. Only succeeded items have a label."""
    if item_filter.labels is None and item_filter.predicted is None:
        return [()] if item_filter.status is None else [(Item.status == item_filter.status,)]
    if item_filter.labels == () or item_filter.status not in (None, ItemStatus.SUCCEEDED):
        return [(false(),)]
    if item_filter.labels is None:
        return _predicted_conditions(job_id, item_filter)
    if len(item_filter.labels) > MAX_RUNS:
        return [(Item.label.in_(item_filter.labels),)]
    return [(Item.label == label,) for label in item_filter.labels]


def _predicted_conditions(job_id: str, item_filter: ItemFilter) -> list[tuple[ColumnElement[bool], ...]]:
    """Return the conditions of the runs of a predicted label: the items listed under it, and those moved away."""
    if item_filter.predicted is None or _of_reviews(item_filter):
        # The reviews find these items.
        return [()]
    listed, moved = _is_predicted(item_filter.predicted)
    of_job = select(Review.position).where(Review.job_id == job_id, Review.predicted == item_filter.predicted)
    return [(listed,), (Item.position.in_(of_job), moved)]
