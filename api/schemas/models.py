"""Models of classifiers (versions, labels, promotions) and of the service's health."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.schemas.common import Input, Text
from core.drift import Drift
from core.messages import Queue
from db.views.job import Output, Time


class LabelsQuery(Input):
    model: Text = "production"


class NamesOut(Output):
    en: str
    ko: str


class GroupOut(Output):
    id: str
    name: str
    names: NamesOut


class LabelOut(Output):
    id: str
    name: str
    group: str
    names: NamesOut


class LabelsOut(Output):
    model: str
    groups: list[GroupOut]
    labels: list[LabelOut]


class ModelVersionOut(Output):
    name: str
    version: str
    aliases: list[str]
    digest: str
    input: dict[str, Any]
    metrics: dict[str, Any]
    created_at: Time


class ModelVersionsOut(Output):
    data: list[ModelVersionOut]
    next_cursor: str | None


class ModelVersionDetailOut(ModelVersionOut):
    groups: list[GroupOut]
    labels: list[LabelOut]
    card: str


class ReviewedJobOut(Output):
    id: str
    name: str
    count: int


class ConfusionOut(Output):
    """How often the model predicted one label where people gave another one, or the same."""

    predicted: str
    label: str | None = Field(description="The label of the reviews. Null if no label fits.")
    count: int
    jobs: list[ReviewedJobOut] = Field(description="The jobs with these pictures, newest first.")


class ConfusionsOut(Output):
    data: list[ConfusionOut]


class DriftQuery(Input):
    weeks: int = Field(12, ge=1, le=104, description="Weeks to show. The current one is the last.")


class DriftOut(Output):
    """How far the predictions of a job or a week are from those on the validation pictures of the model.

    An index is the population stability index: 0 means equal shares.
    """

    pictures: int
    mean_confidence: float | None = Field(description="Null without pictures.")
    label_index: float | None = Field(description="Null without pictures, or if the metrics have no confusion matrix.")
    label_drift: Drift | None = Field(description="Null if there are too few pictures to tell.")
    confidence_index: float | None = Field(
        description="Null without pictures, or if the metrics have no `confidences`, as in older versions."
    )
    confidence_drift: Drift | None = Field(description="Null if there are too few pictures to tell.")
    labels: dict[str, int] = Field(description="Pictures by label. A label of a review wins over the predicted one.")


class ExpectedOut(Output):
    """The predictions on the validation pictures."""

    labels: dict[str, int] = Field(description="Pictures by predicted label.")
    confidences: list[int] | None = Field(description="Pictures by confidence, in 20 bins of equal width from 0 to 1.")


class DriftWeekOut(DriftOut):
    starts_at: Time = Field(description="Monday 00:00 UTC.")


class ModelDriftOut(Output):
    expected: ExpectedOut | None = Field(description="Null if the metrics have no confusion matrix.")
    weeks: list[DriftWeekOut] = Field(description="By the creation of the jobs, oldest first.")


class JobDriftOut(DriftOut):
    model: str
    expected: ExpectedOut | None = Field(description="Null if the metrics have no confusion matrix.")


class ShadowIn(Input):
    share: float = Field(0.05, gt=0, le=1, description="The share of the new pictures, chosen by their bytes.")


class LabelFlipOut(Output):
    """The pictures for which the two versions predict different labels."""

    shown: str
    candidate: str
    count: int


class ShadowOut(Output):
    """A shadow run: a version classifies a share of the pictures that `against` classifies, and nobody sees it."""

    model: str
    against: str = Field(description="The version whose predictions are shown: `production` when the run started.")
    share: float
    started_at: Time
    ended_at: Time | None
    pictures: int = Field(description="Pictures that both versions have classified.")
    failed: int = Field(description="Pictures on which the version failed.")
    same: int = Field(description="Pictures with the same label.")
    shown_confidence: float | None = Field(description="Mean. Null without pictures.")
    candidate_confidence: float | None
    reviewed: int = Field(description="Items of these pictures that people have reviewed with a label.")
    shown_right: int = Field(description="Reviewed items for which `against` predicts the label of the review.")
    candidate_right: int
    flips: list[LabelFlipOut] = Field(description="Most frequent first.")


class ShadowsOut(Output):
    data: list[ShadowOut] = Field(description="Newest first.")


class PromotionIn(Input):
    version: Text = Field(description="The version that becomes `production`.", examples=["2"])


class LoadFailureOut(Output):
    worker: str
    reason: str = Field(description="Why the worker could not load the version. It tries again every few seconds.")


class PromotionOut(Output):
    promoted: bool
    workers: int = Field(description="Workers that sent a heartbeat recently.")
    waiting_for: list[str] = Field(description="Workers that have not loaded the version yet.")
    failures: list[LoadFailureOut] = Field(description="Those of them that could not load it.")


class HealthOut(Output):
    status: Literal["ok"]


class WorkerOut(Output):
    worker: str
    queues: list[str]
    runtime: str
    device: str
    precision: str
    models: list[str]


class ReadyOut(Output):
    ready: bool
    missing: list[str] = Field(
        description="Parts of the service that do not answer within two seconds, or have no room: database, schema "
        "(tables of another version), blobs, disk (of the API's data folder), broker, worker, beat."
    )
    unserved: list[Queue] = Field(description="Queues that no worker serves. Work in them waits.")
    workers: list[WorkerOut]
