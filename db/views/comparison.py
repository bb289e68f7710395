"""Compare the labels under which two jobs list the same pictures.

Pictures are the same if they have the same bytes and the same crop. Only items with a prediction count. If a job shows
a picture several times, its first item stands for the picture.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, SQLColumnExpression, literal, select, union_all
from sqlalchemy.orm import Session, aliased

from db.tables import Item
from db.views.items import with_shown_relations

_ROWS = 5_000
"""Rows that are in memory at once while two jobs are read."""


@dataclass(frozen=True, slots=True)
class LabelChange:
    """How many pictures have one label in the first job and another one in the second. None: no label fits."""

    before: str | None
    after: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of a comparison, in pictures."""

    same: int
    """Pictures with the same label in both jobs, or for which no label fits in both."""
    only_here: int
    """Pictures that only the first job has."""
    only_there: int
    changes: list[LabelChange]
    """The most frequent one first."""


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Labels of the pictures to list. None means any label, and the empty text that no label fits."""

    before: str | None = None
    after: str | None = None


def compare(session: Session, here: str, there: str) -> Comparison:
    """Compare two jobs as a whole, with one pass over the items of both."""
    query = union_all(_pictures(here, 0), _pictures(there, 1)).order_by("blob_sha256", "crop_key", "side", "position")
    rows = session.execute(query, execution_options={"yield_per": _ROWS})
    same = 0
    only = [0, 0]
    changes: Counter[tuple[str | None, str | None]] = Counter()
    for _, of_picture in groupby(rows, key=lambda row: row[:2]):
        labels: dict[int, str | None] = {}
        for row in of_picture:
            labels.setdefault(row.side, row.label)
        if len(labels) == 1:
            only[next(iter(labels))] += 1
        elif labels[0] == labels[1]:
            same += 1
        else:
            changes[labels[0], labels[1]] += 1
    found = [LabelChange(before, after, count) for (before, after), count in changes.items()]
    found.sort(key=lambda change: (-change.count, change.before or "", change.after or ""))
    return Comparison(same, only[0], only[1], found)


def _pictures(job_id: str, side: int) -> Select[Any]:
    columns: list[Any] = [Item.blob_sha256, Item.crop_key, literal(side).label("side"), Item.position, Item.label]
    return select(*columns).where(Item.job_id == job_id, Item.prediction_id.is_not(None))


def list_pairs(
    session: Session, here: str, there: str, wanted: ChangeFilter, after: int | None, limit: int
) -> list[tuple[Item, Item]]:
    """Return pairs of items that show the same picture, in the order of the first job, behind a position.

    If the filter names no label, the pairs are those with different labels.
    """
    other_id, other_label = _first_of_picture(there, "id"), _first_of_picture(there, "label")
    query = (
        select(Item.id, other_id)
        .where(Item.job_id == here, Item.prediction_id.is_not(None), other_id.is_not(None))
        .where(Item.id == _first_of_picture(Item.job_id, "id"), *_conditions(wanted, Item.label, other_label))
        .order_by(Item.position)
        .limit(limit)
    )
    if after is not None:
        query = query.where(Item.position > after)
    ids = [tuple(row) for row in session.execute(query)]
    shown = with_shown_relations(select(Item).where(Item.id.in_([item_id for pair in ids for item_id in pair])))
    found = {item.id: item for item in session.scalars(shown)}
    return [(found[first], found[second]) for first, second in ids]


def _first_of_picture(job_id: str | SQLColumnExpression[str], column: str) -> ScalarSelect[Any]:
    """Return a column of the first item of a job that shows the picture of `Item`. NULL: the job has none.

    The databases evaluate it item by item, so that a page reads no further than its end. For a join of both jobs,
    PostgreSQL would read them whole. Without the sum, SQLite would read the job in order of position, and not use the
    index of the blobs.
    """
    same = aliased(Item)
    first = (
        select(getattr(same, column))
        .where(same.job_id == job_id, same.prediction_id.is_not(None))
        .where(same.blob_sha256 == Item.blob_sha256, same.crop_key == Item.crop_key)
        .order_by(same.position + 0)
        .limit(1)
    )
    return first.correlate(Item).scalar_subquery()


def _conditions(wanted: ChangeFilter, before: Any, after: Any) -> list[ColumnElement[bool]]:
    given = [(label, column) for label, column in ((wanted.before, before), (wanted.after, after)) if label is not None]
    if not given:
        return [before.is_distinct_from(after)]
    return [column == label if label else column.is_(None) for label, column in given]
