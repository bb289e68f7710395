"""The answers of the service as frozen dataclasses. Their fields have the names of docs/http-api.md.

`raw` is the JSON object as it was received, including members that only a newer service sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lookbook.answer import Answer
from lookbook.crawl_answers import Crawl
from lookbook.product_answers import LabelRef, Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Answer):
    """The reason why an item or a job failed."""

    code: str
    detail: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Answer):
    """The items of a job by status. `total` is the sum of pending, succeeded, failed and canceled items.

    `reused` of the succeeded items have a prediction that existed before.
    """

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
class Owner(Answer):
    """The key with which a job was submitted."""

    id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureCount(Answer):
    """How many items of a job have failed with an error code."""

    code: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState(Answer):
    """The state of a job when the service was asked."""

    id: str
    name: str
    source: str
    status: str
    """queued, running, completed, canceled or failed."""
    counts: Counts
    canceling: bool
    """Whether the job was asked to stop and is not canceled yet."""
    discovering: bool
    """Whether its archive or manifest is still being read, its shop still crawled, or the job open. `total` grows."""
    columns: dict[str, str] | None
    """What the columns of the manifest mean: column -> field. None without a manifest."""
    left_out: int
    """Files of the archive that are no pictures. They are no items."""
    open_until: datetime | None
    """Until when pictures may be added. None unless the job is open."""
    retryable: int
    """Failed items that a retry would take."""
    failures: list[FailureCount]
    """Failed items by the code of their error, the commonest one first."""
    rate: float | None
    """Pictures per second. Of a finished job: in all of `duration_seconds`."""
    duration_seconds: float
    """For how long it has run. A retry adds to it."""
    eta_seconds: int | None
    model: ModelRef
    priority: str
    owner: Owner | None
    """None if the job was submitted without a key."""
    products: int
    """The products that its items show."""
    vectors: bool
    """Whether vectors of its pictures are stored, if the model has an embedding."""
    rerun_of: str | None
    """The job whose pictures this one classifies again."""
    metadata: dict[str, Any]
    webhook: bool
    """Whether a webhook receives a message when the job ends."""
    crawl: Crawl | None
    """The options and the progress of a crawl. None for other jobs."""
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None
    links: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share(Answer):
    """A link that shows a job to people without a key."""

    id: str
    by: str | None
    """The key that created the link."""
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShare(Share):
    """A new link. `url` is its path, which only this answer has."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Answer):
    """The origin of an item."""

    name: str
    url: str | None
    page_url: str | None
    alt: str | None
    query: str | None
    label: str | None
    rank: int | None
    rule: str | None
    """The extraction rule that found the picture on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Answer):
    """The stored picture of an item, with the paths to its original, thumbnail and explanation."""

    sha256: str
    width: int | None
    height: int | None
    format: str | None
    truncated: bool
    """Whether the data of the picture ends too early."""
    bytes: int
    thumbnail: str | None
    explanation: str | None
    original: str
    shown: str | None
    """The whole picture in a format that every browser shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Answer):
    """A rectangle in pixels of the picture as people see it, that is, after EXIF rotation."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Answer):
    """A label or group with its score, from 0 to 1."""

    id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Answer):
    label: LabelRef
    confidence: float
    """The score of the top label, from 0 to 1."""
    labels: list[Scored]
    groups: list[Scored]
    model: str
    reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Answer):
    """A named part of an item's picture, with its own prediction."""

    name: str
    box: Crop
    """In pixels of the whole picture."""
    prediction: Prediction | None
    """None until the item has succeeded."""
    explanation: str | None
    """The path of the heat map of this region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review(Answer):
    """A person's review of a prediction: the correct label, or `rejected` if no label fits."""

    label: LabelRef | None
    rejected: bool
    crop: Crop | None
    """A better crop: the part of the picture that shows the label."""
    by: str | None
    """The id of the key that submitted the review."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Answer):
    """A prediction that the policy of the job accepts. No person has looked at it."""

    threshold: float
    """The confidence from which on the policy accepts the label."""
    by: str | None
    """The id of the key that set the policy."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReview(Review):
    """A review, with the prediction under review."""

    id: str
    item_id: str
    position: int
    predicted: LabelRef
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewChange(Answer):
    """A change of the review of an item: a label, `rejected`, or `remove`."""

    item: str
    label: str | None
    rejected: bool
    remove: bool
    crop: Crop | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedReviews(Answer):
    changed: int
    """Items whose review is another one now."""
    before: list[ReviewChange]
    """The reviews before the changes. `job.change_reviews(changed.before)` undoes them."""


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
    product: Product | None
    """The product that the picture shows, as its source describes it."""
    image: Image | None
    crop: Crop | None
    metadata: dict[str, Any]
    duplicate_of: str | None
    label: LabelRef | None
    """The label under which the item is listed: that of its review, else the predicted one."""
    ahead: int | None
    """How many pictures are classified before this one. Only of a single picture that waits and is asked for alone."""
    prediction: Prediction | None
    regions: list[Region]
    """Empty unless the item was submitted with regions."""
    review: Review | None
    accepted: Accepted | None
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
    retryable: int
    """How many of them a retry would take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Answer):
    """The items of a job, counted by label, group, error and confidence."""

    counts: Counts
    labels: list[LabelCount]
    groups: list[GroupCount]
    errors: list[ErrorCount]
    rejected: int
    """Items whose review says that no label fits. They are in no label and no group."""
    reviewed: int
    agreed: int
    """Items whose review gives the predicted label."""
    duplicates: int | None
    """Items with `duplicate_of`. None until duplicates have been searched, which happens after the job is finished."""
    confidence_histogram: list[int]
    """Items per twentieth of confidence, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Answer):
    """A message to a webhook about the end of a job."""

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
