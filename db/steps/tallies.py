"""How many items of a job have which label or error: kept with the items, so that nobody has to count a million.

Whoever changes the state of items holds their job's row and changes its tallies in the same transaction; at every
moment they say what counting would.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, delete, select
from sqlalchemy.orm import Session

from db.bulk import AddToRows
from db.tables import ErrorTally, LabelTally

HISTOGRAM_BINS = 10
"""Bins of the confidence histogram, of equal width over 0..1."""

_LABELS, _ERRORS = cast(Table, LabelTally.__table__), cast(Table, ErrorTally.__table__)
_COUNT_LABELS = AddToRows(_LABELS, ("count", "confidence_sum"))
_COUNT_ERRORS = AddToRows(_ERRORS, ("count",))


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many items of a job have a label, and the sum of their confidences."""

    label: str
    group: str
    count: int
    confidence_sum: float


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job's page draws."""

    labels: list[LabelCount]
    errors: dict[str, int]
    """By code, most frequent first."""
    histogram: list[int]


def bin_of(confidence: float) -> int:
    """The bin that a confidence belongs to; exactly 1 belongs to the last one."""
    return min(int(confidence * HISTOGRAM_BINS), HISTOGRAM_BINS - 1)


def count_labels(session: Session, job_id: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Items became succeeded: their `label`, `label_group` and `confidence`."""
    tallies: dict[tuple[str, int], dict[str, Any]] = {}
    for item in items:
        label, number = item["label"], bin_of(item["confidence"])
        tally = tallies.get((label, number))
        if tally is None:
            tally = {"job_id": job_id, "label": label, "bin": number, "label_group": item["label_group"]}
            tallies[label, number] = tally | {"count": 1, "confidence_sum": item["confidence"]}
        else:
            tally["count"] += 1
            tally["confidence_sum"] += item["confidence"]
    _COUNT_LABELS.execute(session, list(tallies.values()))


def count_errors(session: Session, job_id: str, by_code: Mapping[str, int]) -> None:
    """So many items became failed, by code; less than nothing: they are so no longer."""
    rows = [{"job_id": job_id, "code": code, "count": count} for code, count in by_code.items() if count]
    _COUNT_ERRORS.execute(session, rows)


def delete_tallies(session: Session, job_id: str) -> None:
    """The items are removed."""
    for table in (_LABELS, _ERRORS):
        session.execute(delete(table).where(table.c.job_id == job_id))


def summarize(session: Session, job_id: str) -> Summary:
    """Counts per label and per error, and the confidence histogram of a job."""
    histogram = [0] * HISTOGRAM_BINS
    labels: dict[str, LabelCount] = {}
    rows = session.execute(
        select(
            LabelTally.label, LabelTally.label_group, LabelTally.bin, LabelTally.count, LabelTally.confidence_sum
        ).where(LabelTally.job_id == job_id)
    )
    for label, group, number, count, confidences in rows:
        histogram[number] += count
        before = labels.get(label, LabelCount(label, group, 0, 0.0))
        labels[label] = LabelCount(label, group, before.count + count, before.confidence_sum + confidences)
    errors = session.scalars(
        select(ErrorTally)
        .where(ErrorTally.job_id == job_id, ErrorTally.count > 0)
        .order_by(ErrorTally.count.desc(), ErrorTally.code)
    )
    return Summary(list(labels.values()), {row.code: row.count for row in errors}, histogram)
