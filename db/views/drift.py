"""Compare the tallies of jobs with the predictions of their model on its validation pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, case, func, select, true
from sqlalchemy.orm import Session

from core.confidences import HISTOGRAM_BINS
from core.drift import Drift, judge, stability_index
from core.ids import first_id
from db.access.keys import Caller
from db.tables import Job, LabelTally, ModelVersion
from db.tables.jobs import REJECTED
from db.views.jobs import is_kept

CONFIDENCES = "confidences"
"""The key of the confidence histogram of the validation pictures in the metrics of a model."""


@dataclass(slots=True)
class Counts:
    """The pictures of a job, a week or the validation, by label and by bin of confidence."""

    labels: Counter[str] = field(default_factory=Counter)
    bins: list[int] = field(default_factory=lambda: [0] * HISTOGRAM_BINS)
    confidence_sum: float = 0.0

    @property
    def pictures(self) -> int:
        return sum(self.bins)

    def add(self, label: str, bin_number: int, count: int, confidence_sum: float) -> None:
        if label != REJECTED:
            self.labels[label] += count
        self.bins[bin_number] += count
        self.confidence_sum += confidence_sum


@dataclass(frozen=True, slots=True)
class Reference:
    """The predictions of a model version on its validation pictures."""

    labels: Mapping[str, int]
    """Pictures by predicted label."""
    bins: Sequence[int] | None
    """Pictures by bin of confidence. None: the version was published before its metrics had them."""

    @classmethod
    def of(cls, version: ModelVersion) -> Reference | None:
        """Return the reference of a version, or None if its metrics have no confusion matrix."""
        confusion: list[list[int]] | None = version.metrics.get("confusion")
        if not confusion:
            return None
        labels = [label["id"] for label in version.taxonomy["labels"]]
        columns = (sum(column) for column in zip(*confusion, strict=True))
        return cls(dict(zip(labels, columns, strict=True)), version.metrics.get(CONFIDENCES))


@dataclass(frozen=True, slots=True)
class DriftRow:
    """How far the pictures of a job or a week are from the validation pictures."""

    pictures: int
    mean_confidence: float | None
    label_index: float | None
    """Population stability index of the labels. None without pictures or without a reference."""
    label_drift: Drift | None
    """None: too few pictures."""
    confidence_index: float | None
    confidence_drift: Drift | None
    labels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Week:
    """A week from Monday 00:00 UTC."""

    starts_at: datetime
    drift: DriftRow


def weeks_of(session: Session, version: ModelVersion, caller: Caller, weeks: int, now: datetime) -> Sequence[Week]:
    """Return the drift of the last weeks, the current one last, by the creation of the jobs that the caller may see.

    Jobs whose items were removed no longer count.
    """
    starts = _starts(weeks, now)
    counts = _counts_since(session, version, starts, now, caller.sees_job)
    reference = Reference.of(version)
    return [Week(start, _row(found, reference)) for start, found in zip(starts, counts, strict=True)]


def of_last_days(session: Session, version: ModelVersion, days: int, now: datetime) -> DriftRow:
    """Return the drift of the jobs of all owners that were created in the last days."""
    (counts,) = _counts_since(session, version, [now - timedelta(days=days)], now, true())
    return _row(counts, Reference.of(version))


def _counts_since(
    session: Session, version: ModelVersion, starts: Sequence[datetime], now: datetime, counted: ColumnElement[bool]
) -> list[Counts]:
    """Return the counts of each period. A period ends when the next one starts; `counted` is a condition on jobs."""
    number = case(*((Job.created_at >= start, index) for index, start in reversed(list(enumerate(starts)))))
    query = (
        select(
            number, LabelTally.label, LabelTally.bin, func.sum(LabelTally.count), func.sum(LabelTally.confidence_sum)
        )
        .join(Job, Job.id == LabelTally.job_id)
        # Identifiers sort by time, so the primary key finds the jobs.
        .where(Job.id >= first_id("job", starts[0]), Job.created_at >= starts[0])
        .where(Job.model_version_id == version.id, LabelTally.count > 0, is_kept(now), counted)
        .group_by(number, LabelTally.label, LabelTally.bin)
    )
    counts = [Counts() for _ in starts]
    for index, *tally in session.execute(query):
        counts[index].add(*tally)
    return counts


def of_job(session: Session, job: Job) -> DriftRow:
    """Return the drift of a job."""
    counts = Counts()
    query = select(LabelTally.label, LabelTally.bin, LabelTally.count, LabelTally.confidence_sum)
    for tally in session.execute(query.where(LabelTally.job_id == job.id, LabelTally.count > 0)):
        counts.add(*tally)
    return _row(counts, Reference.of(job.model_version))


def _starts(weeks: int, now: datetime) -> list[datetime]:
    monday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    return [monday - timedelta(weeks=back) for back in reversed(range(weeks))]


def _row(counts: Counts, reference: Reference | None) -> DriftRow:
    label_index, label_drift = confidence_index, confidence_drift = (None, None)
    if reference is not None and counts.pictures:
        names = sorted({*reference.labels, *counts.labels})
        label_index, label_drift = _judged(
            [reference.labels.get(name, 0) for name in names], [counts.labels[name] for name in names]
        )
        if reference.bins is not None:
            confidence_index, confidence_drift = _judged(reference.bins, counts.bins)
    mean = counts.confidence_sum / counts.pictures if counts.pictures else None
    return DriftRow(
        counts.pictures, mean, label_index, label_drift, confidence_index, confidence_drift, dict(counts.labels)
    )


def _judged(expected: Sequence[int], observed: Sequence[int]) -> tuple[float, Drift | None]:
    return stability_index(expected, observed), judge(expected, observed)
