"""Items: how they are asked for, and what is known of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, Json

from api.schemas.common import CropIn, Input, PageQuery, Text
from db.tables import ItemStatus
from db.views.item_pages import ItemSort
from db.views.job import ErrorOut, Output, Time

Score = Annotated[float, Field(ge=0, le=1)]


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
