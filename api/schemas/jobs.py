"""Models of jobs, their options, summaries and webhook deliveries."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, FailFast, Field, Json, model_validator
from pydantic.dataclasses import dataclass

from api.schemas.common import Input, PageQuery, RegionName, Text, distinct_names
from api.schemas.crawls import CrawlIn
from api.schemas.items import ItemOut
from api.schemas.products import ProductIn
from api.schemas.reruns import RerunIn
from core.clock import utc_now
from core.errors import quoted_excerpt
from core.fetching.urls import MAX_URL
from core.sources.manifests.columns import known_fields
from core.types import MAX_REGIONS
from db.tables import DeliveryStatus, JobEvent, JobSource, JobStatus
from db.views.job import CountsOut, JobOut, Output, Time

MAX_COLUMNS = 200
"""Columns of a manifest that a request may name."""
METADATA_BYTES = 16 * 1024
"""Largest `metadata` object, as JSON."""

_MAX_ALT = 2000
"""Characters of the alternative text of a picture."""


def _in_future(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("expected a time that is before the year 10000 in UTC, too") from error
    if moment <= utc_now():
        raise ValueError("expected a time in the future")
    return moment


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    # NaN and Infinity are not JSON, although Python's parser accepts them.
    if len(json.dumps(metadata, allow_nan=False).encode()) > METADATA_BYTES:
        raise ValueError(f"expected at most {METADATA_BYTES} bytes of JSON")
    return metadata


def _known_columns(columns: dict[str, str]) -> dict[str, str]:
    unknown = next((field for field in columns.values() if field not in known_fields()), None)
    if unknown is not None:
        raise ValueError(f"expected one of {', '.join(sorted(known_fields()))}; got {quoted_excerpt(unknown)}")
    if len(columns) > MAX_COLUMNS:
        raise ValueError(f"expected at most {MAX_COLUMNS} columns")
    return columns


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Future = Annotated[AwareDatetime, AfterValidator(_in_future)]


class WebhookIn(Input):
    """The receiver of a message about the job's end."""

    url: str
    events: list[JobEvent] = Field(list(JobEvent), min_length=1)


class JobOptions(Input):
    """The options of a job."""

    name: Annotated[Text, Field(max_length=200)] | None = None
    model: Text = Field("production", description="A name, `name@version` or an alias.")
    top_k: int = Field(5, ge=1, le=1000)
    priority: Literal["normal", "low"] = "normal"
    metadata: Metadata | None = Field(None, description="An object of at most 16 KiB.")
    webhook: WebhookIn | None = Field(None, description="Receives a message when the job ends.")
    expires_at: Future | None = Field(None, description="When the job is deleted (RFC 3339 with a time zone).")
    vectors: bool | None = Field(
        None,
        description="Whether to store the vectors of its pictures, for searching by likeness and for teaching. The "
        "default is that of the service (`LOOKBOOK_VECTORS`).",
    )


class JobForm(JobOptions):
    """The options of a job as form fields."""

    metadata: Annotated[Json[dict[str, Any]], AfterValidator(_small)] | None = Field(
        None, description="A JSON object of at most 16 KiB."
    )
    columns: Annotated[Json[dict[Text, Text]], AfterValidator(_known_columns)] | None = Field(
        None,
        description='A JSON object: what columns of the manifest mean, such as `{"Bild": "url"}`. Columns that are '
        "left out are recognised by their names. Only with `manifest` and `archive`.",
    )
    webhook: Json[WebhookIn] | None = Field(
        None, description="A JSON object with `url` and, optionally, `events`. Receives a message when the job ends."
    )


class AnyCropIn(Input):
    """A crop. If it is not a valid rectangle, its item fails with `bad_crop`."""

    x: int
    y: int
    width: int
    height: int


class AnyRegionIn(Input):
    """A named part of the picture. If its box is not a valid rectangle, its item fails with `bad_crop`."""

    name: RegionName
    box: AnyCropIn


# A dataclass, because a request may hold 100,000 of these, and each pydantic model also stores the set of given fields.
@dataclass(slots=True, config=ConfigDict(extra="forbid"))
class ItemIn:
    """A picture as its URL or as text, with optional details about it."""

    url: str | None = None
    image: Text | None = None
    """A data URL or Base64."""
    custom_id: Annotated[Text, Field(max_length=500)] | None = None
    crop: AnyCropIn | None = None
    regions: (
        Annotated[list[AnyRegionIn], Field(min_length=1, max_length=MAX_REGIONS), AfterValidator(distinct_names)] | None
    ) = None
    metadata: Metadata | None = None
    product: ProductIn | None = None
    page_url: Annotated[Text, Field(max_length=MAX_URL)] | None = None
    alt: Annotated[Text, Field(max_length=_MAX_ALT)] | None = None

    def __post_init__(self) -> None:
        if (self.url is None) == (self.image is None):
            raise ValueError("expected either `url` or `image`")


class JobIn(JobOptions):
    """A job whose pictures come from a list of URLs, from a shop to crawl, from another job, or from later requests.

    Exactly one of `items`, `crawl`, `rerun` and `open` says where from.
    """

    # A default in the document would contradict the minimum of one.
    items: Annotated[list[ItemIn], FailFast()] = Field(default_factory=list, min_length=1)
    crawl: CrawlIn | None = None
    rerun: RerunIn | None = None
    open: Literal[True] | None = Field(
        None, description="Creates a job without pictures. `POST /v1/jobs/{id}/items` adds them until it is closed."
    )


class AdditionIn(Input):
    """URLs of pictures for an open job."""

    items: Annotated[list[ItemIn], FailFast()] = Field(min_length=1)


class AdditionQuery(Input):
    position: int | None = Field(
        None,
        ge=0,
        le=10**9,
        description="How many items the job has. Answered with 409 if it has another number.",
    )


class JobChangesIn(Input):
    """Changes of a job. Members that are left out stay as they are."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    name: Annotated[Text, Field(min_length=1, max_length=200)] | None = None
    expires_at: Future | None = Field(
        None,
        description="When the job is deleted (RFC 3339 with a time zone). Null: after the retention of the service.",
    )

    @model_validator(mode="after")
    def _changes_something(self) -> JobChangesIn:
        if not self.model_fields_set:
            raise ValueError("expected `name` or `expires_at`")
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("expected a name of 1 to 200 characters")
        return self


class JobsQuery(PageQuery):
    status: JobStatus | None = None
    source: JobSource | None = None
    q: Annotated[Text, Field(max_length=200)] | None = Field(None, description="A part of the name.")
    thumbnails: int = Field(0, ge=0, le=10, description="How many pictures of each job to list in `thumbnails`.")


class ListedJobOut(JobOut):
    thumbnails: list[str] = Field(description="Paths of thumbnails: the first succeeded items, as many as asked for.")


class JobsOut(Output):
    data: list[ListedJobOut]
    next_cursor: str | None


class LabelCountOut(Output):
    id: str
    name: str
    group: str
    count: int
    mean_confidence: float | None


class GroupCountOut(Output):
    id: str
    name: str
    count: int
    mean_confidence: float | None


class ErrorCountOut(Output):
    code: str
    count: int
    retryable: int = Field(description="How many of them a retry would take.")


class SummaryOut(Output):
    counts: CountsOut
    labels: list[LabelCountOut]
    groups: list[GroupCountOut]
    errors: list[ErrorCountOut]
    rejected: int = Field(description="Items whose review says that no label fits. They are in no label and no group.")
    reviewed: int = Field(description="Items that have a review.")
    agreed: int = Field(description="Items whose review gives the predicted label.")
    duplicates: int | None = Field(description="Items with `duplicate_of`. Null until duplicates have been searched.")
    confidence_histogram: list[int] = Field(description="Items per twentieth of confidence, from 0 to 1.")


class JobQuery(Input):
    """More that the answer about a job holds, so that one request per poll is enough."""

    include: Literal["summary", "items", "summary,items"] | None = None
    after: int = Field(-1, ge=-1, description="The position behind which `items` begin.")
    limit: int = Field(50, ge=1, le=200, description="The number of `items`.")


class JobDetailOut(JobOut):
    summary: SummaryOut | None = Field(None, description="Missing or null unless `include` asks for it.")
    items: list[ItemOut] | None = Field(None, description="Missing or null unless `include` asks for them.")


class DeliveryOut(Output):
    """A message to a webhook about the end of a job."""

    id: str = Field(description="Sent as `webhook-id`.")
    job_id: str
    event: JobEvent
    url: str
    status: DeliveryStatus
    attempts: int = Field(description="Attempts since the delivery was created or last replayed.")
    last_status: int | None = Field(description="The HTTP status of the last response.")
    last_error: str | None
    created_at: Time
    next_attempt_at: Time | None
    delivered_at: Time | None


class DeliveriesOut(Output):
    data: list[DeliveryOut]
    next_cursor: str | None
