"""Answers about teaching: the owner's taxonomy, and lessons with their results."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer
from lookbook.model_answers import Group, Label


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTaxonomy(Answer):
    """The labels and groups that the owner has added to those of the models."""

    groups: list[Group]
    labels: list[Label]
    updated_at: datetime | None
    """None: the owner has added none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtLabel(Answer):
    id: str
    reviews: int
    kept: int
    """Training pictures of the model that are examples of the label, too."""
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint(Answer):
    """Heads that were fitted on so many reviews label this share of the others right."""

    reviews: int
    accuracy: float
    recalls: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice(Answer):
    """The estimated use of more reviews of a label."""

    label: str
    reviews: int
    more: int
    errors: int
    gain: float
    """The estimated increase of the accuracy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning(Answer):
    """Training the whole network, which pays from some thousands of reviews on."""

    commands: list[str]
    minutes: int
    """The estimated time on two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught(Answer):
    """The outcome of teaching. All figures are cross-validated."""

    reviews: int
    rejected: int
    rejected_confidence: float | None
    """The mean confidence that the new version gives pictures for which no label fits."""
    left_out: dict[str, int]
    """Reviewed pictures that were not used, by reason."""
    replaced: list[str]
    """Labels of the model that reviews replace by own labels."""
    labels: list[TaughtLabel]
    accuracy: float
    accuracy_before: float
    """The share of the same pictures that had the label already."""
    intervals: dict[str, list[float]]
    macro_f1: float
    calibration_error: float | None
    curve: list[CurvePoint]
    advice: list[Advice]
    """The most useful label first."""
    fine_tuning: FineTuning | None
    fit_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated(Answer):
    """The outcome of a calibration on reviews."""

    reviews: int
    temperature: float
    calibration_error_before: float
    calibration_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Answer):
    """Items that get another label."""

    before: str
    after: str
    count: int
    items: list[str]
    """The ids of the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored(Answer):
    """What a version would change."""

    items: int
    without_vector: int
    same: int
    changed: int
    flows: list[Flow]
    """Most frequent first."""
    reviewed: int
    right_before: int
    right_after: int
    new_reviewed: int
    """Reviewed items that the version was not taught with."""
    new_right_before: int
    new_right_after: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson(Answer):
    """A computation from reviews and stored vectors."""

    id: str
    kind: str
    """`teach`, `calibrate` or `rescore`."""
    status: str
    """`queued`, `running`, `completed` or `failed`."""
    model: str
    jobs: list[str]
    name: str | None
    done: int
    error: str | None
    published: str | None
    taught: Taught | None
    calibrated: Calibrated | None
    rescored: Rescored | None
    created_at: datetime
    finished_at: datetime | None

    @property
    def finished(self) -> bool:
        return self.status in {"completed", "failed"}
