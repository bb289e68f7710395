"""Answers about models: their versions, labels, promotions, and how reviews confuse their labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Names(Answer):
    en: str
    ko: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Answer):
    id: str
    name: str
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Answer):
    id: str
    name: str
    group: str
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels(Answer):
    """The taxonomy of one model version."""

    model: str
    groups: list[Group]
    labels: list[Label]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion(Answer):
    name: str
    version: str
    aliases: list[str]
    digest: str
    input: dict[str, Any]
    metrics: dict[str, Any]
    created_at: datetime

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionDetail(ModelVersion):
    """A model version with its taxonomy and its card (Markdown)."""

    groups: list[Group]
    labels: list[Label]
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedJob(Answer):
    id: str
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion(Answer):
    """How often a model version predicted one label where people gave another one, or the same."""

    predicted: str
    label: str | None
    """The label of the reviews. None if no label fits."""
    count: int
    jobs: list[ReviewedJob]
    """The jobs with these pictures, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Answer):
    """How far the predictions of a job or a week are from those on the validation pictures of the model.

    An index is the population stability index: 0 means equal shares. A drift is `none`, `moderate`, `strong`, or None
    if there are too few pictures to tell.
    """

    pictures: int
    mean_confidence: float | None
    label_index: float | None
    label_drift: str | None
    confidence_index: float | None
    """None also if the metrics of the model have no `confidences`, as in older versions."""
    confidence_drift: str | None
    labels: dict[str, int]
    """Pictures by label. A label of a review wins over the predicted one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftWeek(Drift):
    starts_at: datetime
    """Monday 00:00 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected(Answer):
    """The predictions on the validation pictures."""

    labels: dict[str, int]
    confidences: list[int] | None
    """Pictures by confidence, in 20 bins of equal width from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDrift(Answer):
    expected: Expected | None
    """None if the metrics of the model have no confusion matrix."""
    weeks: list[DriftWeek]
    """By the creation of the jobs, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDrift(Drift):
    model: str
    expected: Expected | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailure(Answer):
    """Why a worker could not load a model version. It tries again every few seconds."""

    worker: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFlip(Answer):
    """The pictures for which the two versions predict different labels."""

    shown: str
    candidate: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow(Answer):
    """A shadow run: a version classifies a share of the pictures that `against` classifies, and nobody sees it."""

    model: str
    against: str
    """The version whose predictions are shown: `production` when the run started."""
    share: float
    started_at: datetime
    ended_at: datetime | None
    pictures: int
    """Pictures that both versions have classified."""
    failed: int
    """Pictures on which the version failed."""
    same: int
    """Pictures with the same label."""
    shown_confidence: float | None
    """Mean. None without pictures."""
    candidate_confidence: float | None
    reviewed: int
    """Items of these pictures that people have reviewed with a label."""
    shown_right: int
    """Reviewed items for which `against` predicts the label of the review."""
    candidate_right: int
    flips: list[LabelFlip]
    """Most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Answer):
    promoted: bool
    workers: int
    """Workers that sent a heartbeat recently."""
    waiting_for: list[str]
    """Workers that have not loaded the model version yet."""
    failures: list[LoadFailure]
    """Those of them that could not load it."""
