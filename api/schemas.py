"""The shapes of docs/http-api.md: what goes in and what comes out, as pydantic models."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal

from flask import Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, FailFast, Field, FiniteFloat, Json
from pydantic.dataclasses import dataclass

from core.clock import utc_now
from core.fetching.urls import MAX_URL
from core.messages import Queue
from core.types import Crop
from db.item_pages import ItemSort
from db.job_view import CountsOut, ErrorOut, JobOut, Output, Time
from db.models import DeliveryStatus, ItemStatus, JobEvent, JobSource, JobStatus, UrlKind, UrlState

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


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""What every database keeps."""
Metadata = Annotated[dict[str, Any], AfterValidator(_small)]
Number = Annotated[int, Field(gt=-(10**15), lt=10**15)] | FiniteFloat
Future = Annotated[AwareDatetime, AfterValidator(_in_future)]
Score = Annotated[float, Field(ge=0, le=1)]


class Input(BaseModel):
    """What a client sends: unknown members are errors, so that a misspelt option does not pass unseen."""

    model_config = ConfigDict(extra="forbid")


Answer = Response | Output | tuple[Output, int] | tuple[Output, int, dict[str, str]]
"""What a view returns: APIFlask turns the model into JSON."""


class CropIn(Input):
    """A rectangle in pixels of the picture as a person sees it (after EXIF rotation)."""

    x: int = Field(ge=0, lt=2**31)
    y: int = Field(ge=0, lt=2**31)
    width: int = Field(gt=0, lt=2**31)
    height: int = Field(gt=0, lt=2**31)


def crop_of(given: CropIn | None) -> Crop | None:
    return None if given is None else Crop(given.x, given.y, given.width, given.height)


class ClassificationOptions(Input):
    """Form fields of a multipart request, query parameters of a raw one."""

    crop: Json[CropIn] | None = Field(None, description='JSON: {"x", "y", "width", "height"} in pixels')
    model: Text = Field("production", description="name, name@version or alias")
    top_k: int = Field(5, ge=1, le=1000, description="labels in the answer")


class ClassificationIn(Input):
    """A picture that is known by its URL."""

    url: str = Field(description="http or https")
    crop: CropIn | None = None
    model: Text = Field("production", description="name, name@version or alias")
    top_k: int = Field(5, ge=1, le=1000, description="labels in the answer")


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


Url = Annotated[str, Field(max_length=MAX_URL)]
Host = Annotated[Text, Field(min_length=1, max_length=253)]


class CrawlLimitsIn(Input):
    """How far a crawl goes; the server may allow less."""

    pages: int = Field(200, ge=1)
    pictures: int = Field(2_000, ge=1)
    bytes: int = Field(2**30, ge=1, description="received in all")
    depth: int = Field(3, ge=0, le=100, description="links from a start URL")
    minutes: int = Field(30, ge=1)
    hosts: list[Host] = Field([], max_length=100, description="further hosts that pages may be on")


class CrawlIn(Input):
    """A shop to be crawled."""

    start_urls: list[Url] = Field([], max_length=100, description="pages, listings, sitemaps or feeds")
    recipe: str | None = Field(None, max_length=100, description="name of a site recipe; else whichever matches")
    query: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None, description="word to search for, where a recipe knows how"
    )
    limits: CrawlLimitsIn = CrawlLimitsIn()
    since: Annotated[Text, Field(max_length=40)] | None = Field(
        None, description="a crawl of yours to repeat; it gives whatever is not given here"
    )


class JobIn(JobOptions):
    """A job of pictures that are known by their URLs, or of a shop to be crawled: exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["items"]}, {"required": ["crawl"]}]})

    items: Annotated[list[ItemIn], FailFast()] = Field([], min_length=1)
    crawl: CrawlIn | None = None


class PageQuery(Input):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = None


class JobsQuery(PageQuery):
    status: JobStatus | None = None
    source: JobSource | None = None
    q: Annotated[Text, Field(max_length=200)] | None = Field(None, description="part of the name")


class ItemsFilter(Input):
    """Which items of a job; everything given must hold."""

    status: ItemStatus | None = None
    label: str | None = None
    group: str | None = None
    min_confidence: Score | None = None
    max_confidence: Score | None = None
    reviewed: bool | None = None
    duplicates: Literal["hide"] | None = Field(None, description="`hide`: without those that have `duplicate_of`")


class ItemsQuery(PageQuery, ItemsFilter):
    sort: ItemSort = ItemSort.POSITION


class ExportQuery(ItemsFilter):
    format: Literal["csv", "jsonl", "parquet"] = "csv"


class ReviewIn(Input):
    """Exactly one of the two."""

    label: str | None = Field(None, description="what the item shows: a label of the job's model")
    rejected: bool = Field(False, description="no label of the model fits")


class UrlsQuery(PageQuery):
    kind: UrlKind | None = None
    state: UrlState | None = None


class LabelsQuery(Input):
    model: Text = "production"


class ReasonOut(Output):
    code: str
    detail: str | None


class CrawlUrlOut(Output):
    """A URL that a crawl met, and what became of it."""

    url: str
    kind: UrlKind
    state: UrlState
    reason: ReasonOut | None
    status: int | None = Field(description="of the last answer, by HTTP")
    depth: int
    referrer: str | None = Field(description="where it was met first")
    item_id: str | None = Field(description="of a picture: the item that it became")
    found_at: Time
    settled_at: Time | None


class CrawlUrlsOut(Output):
    data: list[CrawlUrlOut]
    next_cursor: str | None


class JobsOut(Output):
    data: list[JobOut]
    next_cursor: str | None


class SourceOut(Output):
    """Where an item came from. Uploads have a name; pictures that come by URL may have the other members, too."""

    name: str
    url: str | None
    page_url: str | None
    title: str | None
    price: str | None
    currency: str | None
    alt: str | None
    category: str | None = Field(description="of the product, as the page says")
    query: str | None = Field(description="the word that was searched for")
    label: str | None = Field(description="the weak label that a recipe gave")
    rank: int | None = Field(description="1 for the first picture of the page")
    product_url: str | None = Field(description="the product's own page, where the page is another")
    rule: str | None = Field(description="which rule found it: docs/crawling.md")


class ImageOut(Output):
    sha256: str
    width: int | None
    height: int | None
    format: str | None
    bytes: int
    thumbnail: str | None
    explanation: str | None
    original: str


class LabelScoreOut(Output):
    id: str
    score: float


class LabelRefOut(Output):
    id: str
    name: str
    group: str


class PredictionOut(Output):
    label: LabelRefOut
    confidence: float
    labels: list[LabelScoreOut]
    groups: list[LabelScoreOut]
    model: str
    reused: bool


class ReviewOut(Output):
    """A person's verdict on an item's prediction."""

    label: LabelRefOut | None = Field(description="None: no label fits")
    rejected: bool
    by: str | None = Field(description="the id of the key that it was given with")
    created_at: Time
    updated_at: Time


class ItemReviewOut(ReviewOut):
    """A review with the prediction that it judges."""

    id: str
    item_id: str
    position: int
    predicted: LabelRefOut
    confidence: float


class ReviewsOut(Output):
    data: list[ItemReviewOut]
    next_cursor: str | None


class ItemOut(Output):
    id: str
    job_id: str
    custom_id: str | None = Field(description="the client's own name for it")
    position: int
    status: ItemStatus
    source: SourceOut
    metadata: dict[str, Any]
    image: ImageOut | None
    crop: CropIn | None
    duplicate_of: str | None = Field(description="the item of this job that showed the same picture first")
    prediction: PredictionOut | None
    review: ReviewOut | None
    error: ErrorOut | None


class ItemsOut(Output):
    data: list[ItemOut]
    next_cursor: str | None


class SimilarQuery(Input):
    limit: int = Field(50, ge=1, le=200)


class SimilarOut(Output):
    distance: int = Field(description="bits of 256 that the perceptual hashes differ in; 0 also for the same bytes")
    item: ItemOut


class SimilarItemsOut(Output):
    data: list[SimilarOut]


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


class PromotionIn(Input):
    version: Text = Field(description="which version of the model becomes `production`", examples=["2"])


class PromotionOut(Output):
    promoted: bool
    workers: int = Field(description="workers that were alive a moment ago")
    waiting_for: list[str] = Field(description="those of them that have not loaded it yet")


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
    missing: list[str] = Field(description="which of database, blobs, broker and worker do not answer")
    unserved: list[Queue] = Field(description="queues that no worker serves: what goes through them waits")
    workers: list[WorkerOut]


class FieldErrorOut(Output):
    pointer: str
    detail: str


class ProblemOut(Output):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldErrorOut] | None = None
