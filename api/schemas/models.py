"""Models of classifiers (versions, labels, promotions) and of the service's health."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from api.schemas.common import Input, Text
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


class PromotionIn(Input):
    version: Text = Field(description="The version that becomes `production`.", examples=["2"])


class PromotionOut(Output):
    promoted: bool
    workers: int = Field(description="Workers that sent a heartbeat recently.")
    waiting_for: list[str] = Field(description="Workers that have not loaded the version yet.")


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
        description="Parts of the service that do not answer or have no room: database, schema (tables of another "
        "version), blobs, broker, worker."
    )
    unserved: list[Queue] = Field(description="Queues that no worker serves. Work in them waits.")
    workers: list[WorkerOut]
