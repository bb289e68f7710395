"""Tallies: how many items of a job have which label or which error.

They are stored, because counting a million items is slow. A transaction that changes the state of items locks the job's
row and updates the tallies, therefore they always equal the result of counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Table, delete, select
from sqlalchemy.orm import Session

from core import metrics
from core.confidences import HISTOGRAM_BINS, bin_of
from db.bulk import AddToRows
from db.database import after_commit
from db.tables import ErrorTally, Job, LabelTally
from db.tables.jobs import REJECTED

_LABELS, _ERRORS = cast(Table, LabelTally.__table__), cast(Table, ErrorTally.__table__)
_COUNT_LABELS = AddToRows(_LABELS, ("count", "confidence_sum"))
_COUNT_ERRORS = AddToRows(_ERRORS, ("count", "retryable"))


Failure = tuple[str, bool]
"""The error code of a failed item, and whether a retry takes the item."""


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many items of a job are listed under a label, and the sum of their confidences."""

    label: str
    group: str
    count: int
    confidence_sum: float


@dataclass(frozen=True, slots=True)
class LabelMove:
    """An item that a review lists under another label. None: no label fits."""

    before: str | None
    after: str | None
    confidence: float
    """That of the prediction, which stays."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """How many items of a job have failed with an error code, and how many of these a retry would take."""

    code: str
    count: int
    retryable: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The tallies of a job, as its page shows them."""

    labels: list[LabelCount]
    rejected: int
    """The number of items for which a person said that no label fits."""
    errors: list[ErrorCount]
    """Most frequent first."""
    histogram: list[int]
    """The number of succeeded items in each bin of confidence."""


def count_labels(session: Session, job_id: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Add succeeded items to the job's tallies, given by `label`, `label_group` and `confidence`."""
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


def uncount_labels(session: Session, job_id: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Take succeeded items back from the job's tallies, given as for `count_labels`."""
    tallies: dict[tuple[str, int], dict[str, Any]] = {}
    for item in items:
        label, number = item["label"], bin_of(item["confidence"])
        row = {"job_id": job_id, "label": label, "bin": number, "label_group": item["label_group"]}
        tally = tallies.setdefault((label, number), row | {"count": 0, "confidence_sum": 0.0})
        tally["count"] -= 1
        tally["confidence_sum"] -= item["confidence"]
    _COUNT_LABELS.execute(session, list(tallies.values()))


def move_labels(session: Session, job_id: str, moves: Iterable[LabelMove], groups: Mapping[str, str]) -> None:
    """Count items under another label. `groups` are the groups of all labels of the job's model."""
    tallies: dict[tuple[str, int], dict[str, Any]] = {}
    for move in moves:
        number = bin_of(move.confidence)
        for label, sign in ((move.before or REJECTED, -1), (move.after or REJECTED, 1)):
            row = {"job_id": job_id, "label": label, "bin": number, "label_group": groups.get(label, REJECTED)}
            tally = tallies.setdefault((label, number), row | {"count": 0, "confidence_sum": 0.0})
            tally["count"] += sign
            tally["confidence_sum"] += sign * move.confidence
    _COUNT_LABELS.execute(session, list(tallies.values()))


def count_errors(session: Session, job: Job, failures: Mapping[Failure, int]) -> None:
    """Add to the job's counts of failed items. A negative number takes failures back, for a retry."""
    by_code: dict[str, dict[str, Any]] = {}
    for (code, retryable), count in failures.items():
        row = by_code.setdefault(code, {"job_id": job.id, "code": code, "count": 0, "retryable": 0})
        row["count"] += count
        row["retryable"] += count if retryable else 0
    _COUNT_ERRORS.execute(session, list(by_code.values()))
    job.retryable += sum(row["retryable"] for row in by_code.values())
    after_commit(session, lambda: _count_failed({code: row["count"] for code, row in by_code.items()}))


def _count_failed(by_code: Mapping[str, int]) -> None:
    for code, count in by_code.items():
        # Failures that are taken back for a retry have happened all the same.
        if count > 0:
            metrics.ITEMS.labels("failed").inc(count)
            metrics.ITEM_ERRORS.labels(code).inc(count)


def delete_tallies(session: Session, job_id: str) -> None:
    """Delete the tallies of a job whose items are removed."""
    for table in (_LABELS, _ERRORS):
        session.execute(delete(table).where(table.c.job_id == job_id))


def summarize(session: Session, job_id: str) -> Summary:
    """Return the counts per label and per error code, and the confidence histogram, of a job."""
    histogram = [0] * HISTOGRAM_BINS
    labels: dict[str, LabelCount] = {}
    rows = session.execute(
        select(
            LabelTally.label, LabelTally.label_group, LabelTally.bin, LabelTally.count, LabelTally.confidence_sum
        ).where(LabelTally.job_id == job_id, LabelTally.count > 0)
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
    rejected = labels.pop(REJECTED, LabelCount(REJECTED, REJECTED, 0, 0.0)).count
    return Summary(
        list(labels.values()), rejected, [ErrorCount(row.code, row.count, row.retryable) for row in errors], histogram
    )
