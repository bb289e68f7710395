"""Models of trust: from which confidence on predictions are right often enough, and the policy that accepts them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.common import Input, Text
from db.views.job import Output, Time

Precision = Annotated[float, Field(ge=0.5, lt=1)]
Threshold = Annotated[float, Field(ge=0, le=1, strict=True)]
"""Strict, because true and false are no numbers in JSON."""


class TrustQuery(Input):
    target: Precision = Field(0.98, description="The wanted precision: the share of right ones among the accepted.")


class EstimateOut(Output):
    threshold: float = Field(description="The confidence from which on predictions reach the target.")
    precision: float = Field(description="The estimated share of right predictions above the threshold.")
    low: float = Field(description="The lower end of its 95 % interval (Wilson).")
    high: float
    judged: int = Field(description="Validation pictures and reviews above the threshold, on which this rests.")
    accepted: int = Field(description="Items without a review that the threshold accepts.")


class LabelTrustOut(Output):
    id: str
    name: str
    waiting: int = Field(description="Items with this predicted label and without a review.")
    estimate: EstimateOut | None = Field(description="Null if no threshold reaches the target, or too little is known.")


class StratumOut(Output):
    """A range of confidence. The judged pictures in it count with the share of the job's items in it."""

    low: float
    high: float
    waiting: int = Field(description="Items without a review.")
    validation: int = Field(description="Validation pictures of the model.")
    validation_right: int
    reviews: int = Field(description="Reviews of this job.")
    reviews_right: int
    by_reviews: bool = Field(description="Whether the reviews count here. Otherwise the validation pictures do.")


class AcceptanceOut(Output):
    """The policy by which predictions of the job are accepted. It is no review."""

    model: str
    threshold: float | None = Field(description="The confidence from which on. Null if each label has its own.")
    thresholds: dict[str, float] | None = Field(description="The same by label. Other labels are not accepted.")
    target: float | None
    items: int = Field(description="How many items it accepted when it was set.")
    accepted: int = Field(description="How many it accepts now. Items with a review are not among them.")
    by: str | None = Field(description="The id of the key that set it.")
    at: Time


class TrustOut(Output):
    model: str
    target: float
    validation: int = Field(description="Validation pictures of the model that are known.")
    reviews: int = Field(description="Reviews of this job.")
    min_reviews: int = Field(description="How many reviews must exist before they count.")
    waiting: int = Field(description="Items with a prediction and without a review.")
    estimate: EstimateOut | None = Field(description="Null if no threshold reaches the target, or too little is known.")
    labels: list[LabelTrustOut] = Field(description="The same for each label alone, in the order of the model.")
    accepted_by_label: int = Field(description="Items that the thresholds of the labels accept together.")
    strata: list[StratumOut]
    next_reviews: list[str] = Field(
        description="The ids of up to 100 items whose reviews would narrow the estimate most."
    )
    acceptance: AcceptanceOut | None = Field(description="The policy that is set.")


class AcceptanceIn(Input):
    """A policy: either one threshold, or one for each label."""

    threshold: Threshold | None = Field(None, description="Accept predictions with at least this confidence.")
    thresholds: dict[Text, Threshold] | None = Field(
        None, min_length=1, description="Label -> its threshold. Predictions of other labels are not accepted."
    )
    target: Annotated[Precision, Field(strict=True)] | None = Field(
        None, description="The precision for which they were chosen, to remember it."
    )

    @model_validator(mode="after")
    def _has_one_kind(self) -> AcceptanceIn:
        if (self.threshold is None) == (self.thresholds is None):
            raise ValueError("expected either `threshold` or `thresholds`")
        return self
