"""Models of the owner's taxonomy and of lessons."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from api.schemas.common import Input, Text
from api.schemas.models import GroupOut, LabelOut
from db.tables import LessonKind, LessonStatus
from db.views.job import Output, Time

MAX_LABELS, MAX_JOBS = 500, 1000

LabelId = Annotated[Text, StringConstraints(pattern=r"^[\w][\w.-]{0,79}$")]
"""Letters of any script, digits, `_`, `.` and `-`. Datasets make folders of these names."""
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Name = Annotated[Text, StringConstraints(max_length=100, pattern=r"\S")]
ModelName = Annotated[Text, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]


class OwnNameIn(Input):
    """A group of the owner's taxonomy."""

    id: LabelId
    name: dict[Language, Name] = Field(
        min_length=1,
        description="Names by language (`en`, `ko`, …). A missing English or Korean name is taken from another one.",
        examples=[{"en": "Hoodie", "ko": "후드티"}],
    )


class OwnLabelIn(OwnNameIn):
    """A label of the owner's taxonomy."""

    group: LabelId = Field(description="The id of a group of this taxonomy, or of a model.")


class OwnTaxonomyIn(Input):
    groups: list[OwnNameIn] = Field(default_factory=list, max_length=MAX_LABELS)
    labels: list[OwnLabelIn] = Field(max_length=MAX_LABELS)

    @model_validator(mode="after")
    def _check_once(self) -> Self:
        for rows, kind in ((self.groups, "group"), (self.labels, "label")):
            ids = [row.id for row in rows]
            twice = next((one for one in ids if ids.count(one) > 1), None)
            if twice is not None:
                raise ValueError(f"expected every {kind} once, got {twice!r} twice")
        return self


class OwnTaxonomyOut(Output):
    """The labels and groups that the owner has added to those of the models."""

    groups: list[GroupOut]
    labels: list[LabelOut]
    updated_at: Time | None = Field(description="Null: the owner has added none.")


class LessonIn(Input):
    kind: LessonKind
    jobs: list[Text] = Field(
        default_factory=list,
        max_length=MAX_JOBS,
        description="The jobs whose reviews teach or calibrate. For `rescore`: the jobs whose items are scored; none "
        "means all jobs that you may see.",
    )
    model: Text | None = Field(
        None,
        description="`teach`, `calibrate`: the version to start from (default: that of the first job). `rescore`: the "
        "version whose labels are compared with those of the items.",
        examples=["garments@5"],
    )
    name: ModelName | None = Field(
        None,
        description="The name under which the version is published. Default: that of the model for `calibrate` and for "
        "taught models, and otherwise that name with `-taught`.",
    )
    keep_labels: bool = Field(
        True,
        description="`teach`: whether the labels of the model stay, also those without reviews. They are learned from "
        "the vectors of training pictures that the model brings.",
    )
    rejected_as: Text | None = Field(
        None,
        description="`teach`: the label that pictures without a fitting label are examples of, such as `other`. By "
        "default they are left out, because a head always gives one of its labels.",
    )

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        if self.kind == LessonKind.RESCORE and self.model is None:
            raise ValueError("expected `model`, the version whose labels are compared")
        if self.kind != LessonKind.RESCORE and not self.jobs:
            raise ValueError("expected `jobs`, at least one job with reviews")
        return self


class TaughtLabelOut(Output):
    id: str
    reviews: int
    kept: int = Field(description="Training pictures of the model that are examples of the label, too.")
    precision: float
    recall: float
    f1: float


class CurvePointOut(Output):
    """Heads that were fitted on so many reviews label this share of the others right."""

    reviews: int
    accuracy: float
    recalls: dict[str, float] = Field(description="By label.")


class AdviceOut(Output):
    """The estimated use of more reviews of a label."""

    label: str
    reviews: int = Field(description="Reviews of the label now.")
    more: int = Field(description="Additional reviews.")
    errors: int = Field(description="Reviewed pictures that have the label and get another one, or the reverse.")
    gain: float = Field(description="The estimated increase of the accuracy.")


class FineTuningOut(Output):
    """Training the whole network, which pays from some thousands of reviews on."""

    commands: list[str]
    minutes: int = Field(description="The estimated time on two cores.")


class TaughtOut(Output):
    """The outcome of `teach`. All figures are cross-validated: of heads that have not seen the picture."""

    reviews: int = Field(description="Reviewed pictures that were learned from.")
    rejected: int = Field(description="Reviewed pictures for which no label fits.")
    rejected_confidence: float | None = Field(
        description="The mean confidence that the new version gives these. Null without any, or with `rejected_as`."
    )
    left_out: dict[str, int] = Field(description="Reviewed pictures that were not used, by reason.")
    replaced: list[str] = Field(description="Labels of the model that reviews replace by own labels. They do not stay.")
    labels: list[TaughtLabelOut]
    accuracy: float
    accuracy_before: float = Field(description="The share of the same pictures that had the label already.")
    intervals: dict[str, list[float]] = Field(description="95 % intervals, by bootstrap over groups of pictures.")
    macro_f1: float
    calibration_error: float | None = Field(description="Null if the reviews determine no temperature.")
    curve: list[CurvePointOut] = Field(description="Fewest reviews first.")
    advice: list[AdviceOut] = Field(description="The most useful label first.")
    fine_tuning: FineTuningOut | None = Field(description="Null with too few reviews.")
    fit_seconds: float
    seconds: float


class CalibratedOut(Output):
    """The outcome of `calibrate`."""

    reviews: int
    temperature: float
    calibration_error_before: float
    calibration_error: float = Field(description="Cross-fitted.")


class FlowOut(Output):
    """Items that get another label."""

    before: str
    after: str
    count: int
    items: list[str] = Field(description="The ids of the first ones, for their pictures.")


class RescoredOut(Output):
    """The outcome of `rescore`."""

    items: int = Field(description="Items that were scored from their vectors.")
    without_vector: int = Field(description="Items with a prediction whose vector is missing or of another backbone.")
    same: int
    changed: int
    flows: list[FlowOut] = Field(description="Most frequent first.")
    reviewed: int = Field(description="Scored items with a review that gives a label.")
    right_before: int
    right_after: int
    new_reviewed: int = Field(description="Those of them that the version was not taught with.")
    new_right_before: int
    new_right_after: int
    seconds: float


class LessonOut(Output):
    """A computation from reviews and stored vectors, which opens no picture."""

    id: str
    kind: LessonKind
    status: LessonStatus
    model: str = Field(description="The version to start from, or the one that is compared.")
    jobs: list[str] = Field(description="Empty: all jobs that the owner could see.")
    name: str | None = Field(description="The name under which the version is published.")
    done: int = Field(description="Items that were read so far.")
    error: str | None
    published: str | None = Field(description="The version that was published.")
    taught: TaughtOut | None
    calibrated: CalibratedOut | None
    rescored: RescoredOut | None
    created_at: Time
    finished_at: Time | None


class LessonsOut(Output):
    data: list[LessonOut] = Field(description="Newest first.")
    next_cursor: str | None
