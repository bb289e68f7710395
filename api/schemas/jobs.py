"""Jobs: what is submitted, and what is told of it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, FailFast, Field, FiniteFloat, Json
from pydantic.dataclasses import dataclass

from api.schemas.common import Input, PageQuery, Text
from api.schemas.crawls import CrawlIn
from core.clock import utc_now
from core.fetching.urls import MAX_URL
from db.tables import DeliveryStatus, JobEvent, JobSource, JobStatus
from db.views.job import CountsOut, JobOut, Output, Time

METADATA_BYTES = 16 * 1024
"""Largest `metadata` object, as JSON."""

_LONG, _SHORT = 2000, 100
"""Most characters of a text about a picture."""


def _in_future(moment: datetime) -> datetime:
    if moment <= utc_now():
        raise ValueError("expected a moment that is still to come")
    return moment


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    # NaN and the infinities are not JSON, though parsers take them.
    if len(json.dumps(metadata, allow_nan=False).encode()) > METADATA_BYTES:
        raise ValueError(f"expected at most {METADATA_BYTES} bytes of JSON")
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Number = Annotated[int, Field(gt=-(10**15), lt=10**15)] | FiniteFloat
Future = Annotated[AwareDatetime, AfterValidator(_in_future)]


class WebhookIn(Input):
    """Whom to tell of a job's end."""

    url: str
    events: list[JobEvent] = Field(list(JobEvent), min_length=1)


class JobOptions(Input):
    """What may stand beside the pictures of a job."""

    name: Annotated[Text, Field(max_length=200)] | None = None
    model: Text = Field("production", description="name, name@version or alias")
    top_k: int = Field(5, ge=1, le=1000)
    priority: Literal["normal", "low"] = "normal"
    metadata: Metadata | None = Field(None, description="an object of at most 16 KiB")
    webhook: WebhookIn | None = Field(None, description="told of the job's end")
    expires_at: Future | None = Field(None, description="kept until then (RFC 3339, with a zone)")


class JobForm(JobOptions):
    """The same as form fields."""

    metadata: Annotated[Json[dict[str, Any]], AfterValidator(_small)] | None = Field(
        None, description="JSON object, at most 16 KiB"
    )
    webhook: Json[WebhookIn] | None = Field(None, description='JSON: {"url", "events"?}, told of the job\'s end')


class AnyCropIn(Input):
    """A crop that need not be one: where it is not, its item fails with `bad_crop`."""

    x: int
    y: int
    width: int
    height: int


# Not models, of which each keeps a set of the fields that were given: there may be a hundred thousand in a request.
@dataclass(slots=True, config=ConfigDict(extra="forbid"))
class ItemIn:
    """A picture that is known by its URL, and what else is known of it."""

    url: str
    custom_id: Annotated[Text, Field(max_length=500)] | None = None
    crop: AnyCropIn | None = None
    metadata: Metadata | None = None
    title: Annotated[Text, Field(max_length=_LONG)] | None = None
    price: Annotated[Text, Field(max_length=_SHORT)] | Number | None = None
    currency: Annotated[Text, Field(max_length=_SHORT)] | None = None
    page_url: Annotated[Text, Field(max_length=MAX_URL)] | None = None
    alt: Annotated[Text, Field(max_length=_LONG)] | None = None


class JobIn(JobOptions):
    """A job of pictures that are known by their URLs, or of a shop to be crawled: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["items"]}, {"required": ["crawl"]}]})

    items: Annotated[list[ItemIn], FailFast()] = Field([], min_length=1)
    crawl: CrawlIn | None = None


class JobsQuery(PageQuery):
    status: JobStatus | None = None
    source: JobSource | None = None
    q: Annotated[Text, Field(max_length=200)] | None = Field(None, description="part of the name")


class JobsOut(Output):
    data: list[JobOut]
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


class SummaryOut(Output):
    counts: CountsOut
    labels: list[LabelCountOut]
    groups: list[GroupCountOut]
    errors: list[ErrorCountOut]
    reviewed: int = Field(description="items that have a review")
    duplicates: int | None = Field(description="items with `duplicate_of`; null until they were looked for")
    confidence_histogram: list[int] = Field(description="items per tenth of confidence, 0 to 1")


class DeliveryOut(Output):
    """One end of a job that a webhook is told of."""

    id: str = Field(description="sent as `webhook-id`")
    job_id: str
    event: JobEvent
    url: str
    status: DeliveryStatus
    attempts: int = Field(description="since it was made, or replayed")
    last_status: int | None = Field(description="the HTTP status of the last answer")
    last_error: str | None
    created_at: Time
    next_attempt_at: Time | None
    delivered_at: Time | None


class DeliveriesOut(Output):
    data: list[DeliveryOut]
    next_cursor: str | None
