"""What the service answers, as frozen dataclasses: the members of docs/http-api.md under their own names.

`raw` is the JSON object as it came, with whatever a newer service says beyond these.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from lookbook.answer import Answer
from lookbook.crawl_answers import Crawl


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Answer):
    """Why an item or a job failed."""

    code: str
    detail: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Answer):
    """total = pending + succeeded + failed + canceled; `reused` of the succeeded ones were known before."""

    total: int
    pending: int
    succeeded: int
    failed: int
    canceled: int
    reused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef(Answer):
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState(Answer):
    """A job as it stood when the service was asked."""

    id: str
    name: str
    source: str
    status: str
    """queued, running, completed, canceled or failed."""
    counts: Counts
    canceling: bool
    """Asked to stop, and not yet canceled."""
    discovering: bool
    """Its archive or manifest is still being read, or its shop crawled: `total` grows."""
    rate: float | None
    """Pictures per second."""
    eta_seconds: int | None
    model: ModelRef
    priority: str
    metadata: dict[str, Any]
    crawl: Crawl | None
    """Of a crawl: what was asked for and how far it is."""
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    links: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Answer):
    """Where an item came from."""

    name: str
    url: str | None
    page_url: str | None
    title: str | None
    price: str | None
    currency: str | None
    alt: str | None
    category: str | None
    query: str | None
    label: str | None
    rank: int | None
    product_url: str | None
    rule: str | None
    """Which rule found it on a page that was crawled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Answer):
    """What was stored of an item: its bytes' SHA-256, size and format, and paths to pictures of it."""

    sha256: str
    width: int | None
    height: int | None
    format: str | None
    bytes: int
    thumbnail: str | None
    explanation: str | None
    original: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Answer):
    """A rectangle in pixels of the picture as a person sees it."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRef(Answer):
    id: str
    name: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Answer):
    """A label or group with its score, 0 to 1."""

    id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Answer):
    label: LabelRef
    confidence: float
    """Of the top label, 0 to 1."""
    labels: list[Scored]
    groups: list[Scored]
    model: str
    reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Review(Answer):
    """A person's verdict on a prediction: another label, the same one, or none that fits (`rejected`)."""

    label: LabelRef | None
    rejected: bool
    by: str | None
    """The id of the key that it was given with."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReview(Review):
    """With the prediction that it judges."""

    id: str
    item_id: str
    position: int
    predicted: LabelRef
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(Answer):
    """One picture within a job."""

    id: str
    job_id: str
    custom_id: str | None
    position: int
    status: str
    """pending, succeeded, failed or canceled."""
    source: Source
    image: Image | None
    crop: Crop | None
    metadata: dict[str, Any]
    duplicate_of: str | None
    prediction: Prediction | None
    review: Review | None
    error: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCount(Answer):
    id: str
    name: str
    group: str
    count: int
    mean_confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCount(Answer):
    id: str
    name: str
    count: int
    mean_confidence: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount(Answer):
    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Answer):
    """What a job's items come to."""

    counts: Counts
    labels: list[LabelCount]
    groups: list[GroupCount]
    errors: list[ErrorCount]
    reviewed: int
    duplicates: int | None
    """Items with `duplicate_of`; None until they were looked for, when the job is over."""
    confidence_histogram: list[int]
    """Items per tenth of confidence, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Answer):
    """One end of a job that its webhook is told of."""

    id: str
    job_id: str
    event: str
    url: str
    status: str
    """pending, delivered, failed or disabled."""
    attempts: int
    last_status: int | None
    last_error: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None


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
    """With its taxonomy and its card (Markdown)."""

    groups: list[Group]
    labels: list[Label]
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Answer):
    promoted: bool
    workers: int
    """Workers that were alive a moment ago."""
    waiting_for: list[str]
    """Those of them that have not loaded the model version yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(Answer):
    """Who may use the service, without the secret."""

    id: str
    name: str
    scopes: list[str]
    rate_limit: int | None
    """Requests per minute; None: as the service's settings say."""
    quota: int | None
    """Pictures per calendar month (UTC); None: any number."""
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey(Key):
    key: str = field(repr=False)
    """What requests are sent with. It is told this once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount(Answer):
    jobs: int
    pictures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Amount):
    day: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Answer):
    """What a key submitted, and may still submit; on a service without keys, what everyone did."""

    key_id: str | None
    rate_limit: int | None
    quota: int | None
    left: int | None
    """Pictures left of the quota."""
    resets_at: datetime
    today: Amount
    month: Amount
    days: list[Day]
    """The last 30, oldest first."""
