"""Answers about trust: how far predictions are right above a confidence, and the policy that accepts them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Answer):
    """The precision of the predictions above a threshold of confidence."""

    threshold: float
    precision: float
    low: float
    """The lower end of the 95 % interval, as `high` is the upper one."""
    high: float
    judged: int
    """Validation pictures and reviews above the threshold, on which this rests."""
    accepted: int
    """Items without a review that the threshold accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTrust(Answer):
    id: str
    name: str
    waiting: int
    estimate: Estimate | None
    """None: no threshold reaches the target, or too little is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum(Answer):
    """A range of confidence, with its items and the judged pictures."""

    low: float
    high: float
    waiting: int
    validation: int
    validation_right: int
    reviews: int
    reviews_right: int
    by_reviews: bool
    """Whether the reviews count here. Otherwise the validation pictures do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance(Answer):
    """The policy by which predictions of a job are accepted. It is no review."""

    model: str
    threshold: float | None
    """None: each label has its own, in `thresholds`."""
    thresholds: dict[str, float] | None
    target: float | None
    items: int
    """How many items it accepted when it was set."""
    accepted: int
    """How many it accepts now."""
    by: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust(Answer):
    model: str
    target: float
    validation: int
    """Validation pictures of the model that are known."""
    reviews: int
    min_reviews: int
    """How many reviews must exist before they count."""
    waiting: int
    """Items with a prediction and without a review."""
    estimate: Estimate | None
    labels: list[LabelTrust]
    accepted_by_label: int
    strata: list[Stratum]
    next_reviews: list[str]
    """The ids of the items whose reviews would narrow the estimate most."""
    acceptance: Acceptance | None

    @property
    def thresholds(self) -> dict[str, float]:
        """Label -> its threshold, for the labels that have one."""
        return {label.id: label.estimate.threshold for label in self.labels if label.estimate is not None}
