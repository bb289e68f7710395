"""Models of items, predictions and reviews."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import FailFast, Field, Json, StrictBool, model_validator

from api.schemas.common import CropIn, Input, PageQuery, RegionName, RegionsIn, Text
from api.schemas.products import ProductOut
from core.products import TEXTS
from db.tables import HintKind, ItemStatus
from db.views.item_pages import ItemSort
from db.views.job import ErrorOut, Output, Time

Score = Annotated[float, Field(ge=0, le=1)]
ExportFormat = Literal["csv", "jsonl", "parquet"]
LabelFormatName = Literal["label-studio", "coco", "fiftyone"]
SignedFor = Annotated[int, Field(ge=1, le=30 * 24 * 3600)]
"""Seconds for which a signed URL works."""
WEEK_SECONDS = 7 * 24 * 3600


class PictureOptions(Input):
    """The form fields of a multipart request with one picture, or the query parameters of a raw one."""

    crop: Json[CropIn] | None = Field(None, description="A JSON object with `x`, `y`, `width` and `height` in pixels.")


class ClassificationOptions(PictureOptions):
    regions: Json[RegionsIn] | None = Field(
        None, description="A JSON array of up to 8 objects with `name` and `box`. Each gets its own prediction."
    )
    model: Text = Field("production", description="A name, `name@version` or an alias.")
    top_k: int = Field(5, ge=1, le=1000, description="The number of labels in the answer.")


class PictureIn(Input):
    """A picture in JSON: either its URL, or the picture itself as text."""

    url: str | None = Field(None, description="An `http` or `https` URL.")
    image: Text | None = Field(None, description="The picture as a data URL (`data:image/jpeg;base64,…`) or as Base64.")
    crop: CropIn | None = None

    @model_validator(mode="after")
    def _has_one_picture(self) -> Self:
        if (self.url is None) == (self.image is None):
            raise ValueError("expected either `url` or `image`")
        return self


class ClassificationIn(PictureIn):
    """A picture to classify."""

    regions: RegionsIn | None = None
    model: Text = Field("production", description="A name, `name@version` or an alias.")
    top_k: int = Field(5, ge=1, le=1000, description="The number of labels in the answer.")


class ItemsFilter(Input):
    """A filter on the items of a job. Items must meet all conditions."""

    status: ItemStatus | None = None
    label: str | None = Field(None, description="The label of the review, else the predicted one.")
    group: str | None = Field(None, description="The group of this label.")
    predicted: str | None = Field(None, description="The label of the prediction, whatever a review says.")
    min_confidence: Score | None = None
    max_confidence: Score | None = None
    reviewed: bool | None = None
    rejected: bool | None = Field(None, description="Whether a review says that no label fits.")
    error: Annotated[Text, Field(max_length=50)] | None = Field(
        None, description="The code of the error of a failed item."
    )
    q: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        None,
        description="A part of the file name, the `custom_id`, the title, brand or number of the product, or the URL. "
        "Case does not count, nor how characters are composed.",
    )
    product_id: Annotated[Text, Field(max_length=TEXTS["product_id"])] | None = Field(
        None, description="The `product.product_id` of the item."
    )
    sku: Annotated[Text, Field(max_length=TEXTS["sku"])] | None = Field(
        None, description="The `product.sku` of the item."
    )
    hint: HintKind | None = Field(None, description="Items that this hint flags (see docs/hints.md).")
    accepted: bool | None = Field(None, description="Whether the policy of the job accepts the prediction.")
    narrows: float | None = Field(
        None,
        ge=0.5,
        lt=1,
        description="A target of trust, such as 0.98: the 100 items whose reviews would narrow its estimate most.",
    )
    duplicates: Literal["hide"] | None = Field(None, description="`hide` leaves out items with `duplicate_of`.")
    area: Annotated[Text, Field(max_length=5000)] | None = Field(
        None,
        description="A polygon on the map of the job: the revision of the map, and x-y of 3 to 200 corners, such as "
        "`1_0-0_900-0_900-900`. Its pictures are listed.",
    )


class ItemsQuery(PageQuery, ItemsFilter):
    sort: ItemSort = ItemSort.POSITION
    after: int | None = Field(
        None, ge=-1, description="List the items behind this position. Only with `sort=position`, instead of a cursor."
    )


class MarksQuery(ItemsFilter):
    sort: ItemSort = ItemSort.POSITION
    every: int = Field(100, ge=20, le=200, description="The `limit` with which the pages will be requested.")


class MarksOut(Output):
    """Where the pages of a list begin."""

    total: int = Field(description="Items that fulfil the filter.")
    every: int
    cursors: list[str | None] = Field(
        description="For each page, the `cursor` with which the list of items returns it. Null for the first page."
    )


class ExportOptions(Input):
    format: ExportFormat | LabelFormatName = Field(
        "csv", description="`label-studio`, `coco` and `fiftyone` are files for label tools (see docs/exports.md)."
    )
    picture_urls: SignedFor | None = Field(
        None,
        description="Add URLs that show the pictures without a key for this many seconds. The files for label tools "
        "always have them, for a week unless this says otherwise.",
    )


class ExportQuery(ItemsFilter, ExportOptions):
    pass


class ExportIn(ExportOptions):
    """A selection of items to export."""

    items: Annotated[list[Text], FailFast()] = Field(
        min_length=1, max_length=10_000, description="The ids of items of the job."
    )


class ReviewIn(Input):
    """A person's review: either a label or `rejected`."""

    label: str | None = Field(
        None, description="The label that the item shows: one of the job's model or of the owner's taxonomy."
    )
    rejected: StrictBool = Field(False, description="True if no label of the model fits.")
    crop: CropIn | None = Field(None, description="A better crop: the part of the picture that shows the label.")


class ReviewChange(ReviewIn):
    """One change of a review: a label or `rejected`, both perhaps with a crop, or `remove`."""

    item: Text = Field(description="The id of an item of the job.")
    remove: StrictBool = Field(False, description="True to remove the review of the item.")


class ReviewChanges(Input):
    reviews: Annotated[list[ReviewChange], FailFast()] = Field(min_length=1, max_length=1000)


class ReviewChangeOut(Output):
    item: str
    label: str | None
    rejected: bool
    remove: bool
    crop: CropIn | None


class ChangedReviewsOut(Output):
    changed: int = Field(description="Items whose review is another one now.")
    before: list[ReviewChangeOut] = Field(
        description="For each change, what undoes it. Send it as `reviews` to go back."
    )


class NamedEntriesOut(Output):
    """Entries of a file that were not used."""

    count: int
    names: list[str] = Field(description="The first 20 names, each once.")


class ImportedReviewsOut(Output):
    """The outcome of importing a label tool's file."""

    format: LabelFormatName
    entries: int
    changed: int = Field(description="Items whose review is another one now.")
    unchanged: int = Field(description="Items that have had this review already.")
    repeated: int = Field(description="Entries that a later entry about the same item has replaced.")
    without_label: int = Field(description="Entries that nobody has labelled.")
    predictions: int = Field(description="Entries with the label and a score of the prediction, as they were exported.")
    unknown_items: NamedEntriesOut = Field(description="Entries that name no item of the job.")
    ambiguous_items: NamedEntriesOut = Field(description="Entries whose name several items of the job have.")
    unknown_labels: NamedEntriesOut = Field(description="Labels that the job's model does not have.")
    several_labels: NamedEntriesOut = Field(description="Entries with more than one label.")
    unclassified: NamedEntriesOut = Field(description="Entries about items that have no prediction.")


class SourceOut(Output):
    """The origin of an item. Uploads only have a name. Fetched pictures may have the other members as well."""

    name: str
    url: str | None
    page_url: str | None
    alt: str | None
    query: str | None = Field(description="The search word that led to the picture.")
    label: str | None = Field(description="The weak label that a recipe assigned.")
    rank: int | None = Field(description="The position of the picture on the page, from 1.")
    rule: str | None = Field(description="The extraction rule that found the picture (see docs/crawling.md).")


class ImageOut(Output):
    sha256: str
    width: int | None
    height: int | None
    format: str | None
    truncated: bool = Field(
        description="Whether the data of the picture ends too early. Browsers show such a picture all the same."
    )
    bytes: int
    thumbnail: str | None
    explanation: str | None
    original: str
    shown: str | None = Field(
        description="The path of the whole picture as every browser shows it: `original`, or a JPEG made of it."
    )


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


class AcceptedOut(Output):
    """A prediction that a policy accepts. No person has looked at it."""

    threshold: float = Field(description="The confidence from which on the policy accepts the label.")
    by: str | None = Field(description="The id of the key that set the policy.")
    at: Time


class ReviewOut(Output):
    """A person's review of an item's prediction."""

    label: LabelRefOut | None = Field(description="Null if no label fits.")
    rejected: bool
    crop: CropIn | None = Field(description="A better crop, in pixels of the whole picture, after EXIF rotation.")
    by: str | None = Field(description="The id of the key that submitted the review.")
    created_at: Time
    updated_at: Time


class ItemReviewOut(ReviewOut):
    """A review, with the prediction under review."""

    id: str
    item_id: str
    position: int
    predicted: LabelRefOut
    confidence: float


class ReviewsOut(Output):
    data: list[ItemReviewOut]
    next_cursor: str | None


class RegionOut(Output):
    """A named part of an item's picture, with its own prediction."""

    name: str
    box: CropIn = Field(description="In pixels of the whole picture, after EXIF rotation.")
    prediction: PredictionOut | None = Field(description="Null until the item has succeeded.")
    explanation: str | None = Field(description="The path of the heat map of this region.")


class ItemOut(Output):
    id: str
    job_id: str
    custom_id: str | None = Field(description="The client's own id for the item.")
    position: int
    status: ItemStatus
    source: SourceOut
    product: ProductOut | None = Field(description="The product that the picture shows, as its source describes it.")
    metadata: dict[str, Any]
    image: ImageOut | None
    crop: CropIn | None
    duplicate_of: str | None = Field(description="The first item of this job with the same picture.")
    label: LabelRefOut | None = Field(
        description="The label under which the item is listed: that of its review, else the predicted one."
    )
    ahead: int | None = Field(
        None,
        description="How many pictures are classified before this one. Only of a single picture that waits, and only "
        "when it is asked for alone. Null otherwise.",
    )
    prediction: PredictionOut | None
    regions: list[RegionOut] = Field(description="Empty unless the item was submitted with regions.")
    review: ReviewOut | None
    accepted: AcceptedOut | None = Field(description="Null unless the policy of the job accepts the prediction.")
    error: ErrorOut | None


class ItemsOut(Output):
    data: list[ItemOut]
    next_cursor: str | None


class SignatureQuery(Input):
    """The expiry and the signature in the query of a signed URL."""

    expires: str | None = Field(None, max_length=20, description="When a signed URL expires, in seconds since 1970.")
    signature: str | None = Field(
        None, max_length=100, description="Of a signed URL. The request then needs no key (see docs/http-api.md)."
    )


class PictureUrlsQuery(Input):
    expires_in: SignedFor = Field(WEEK_SECONDS, description="Seconds until the URLs expire: at most 30 days.")


class PictureUrlsOut(Output):
    """URLs that show one picture without a key."""

    original: str | None = Field(description="The stored bytes. Null if they were refused.")
    shown: str | None = Field(description="The picture as every browser shows it. Null until the item has succeeded.")
    thumbnail: str | None = Field(description="At most 320 px. Null until the item has succeeded.")
    expires_at: Time


class ExplanationQuery(Input):
    region: RegionName | None = Field(None, description="The name of a region of the item.")


class ImageQuery(SignatureQuery):
    format: Literal["jpeg"] | None = Field(None, description="Sends the whole picture as a JPEG that browsers show.")


class DuplicatesQuery(Input):
    limit: int = Field(50, ge=1, le=200)


class ItemDuplicateOut(Output):
    distance: int = Field(description="Bits, of 256, in which the perceptual hashes differ. 0 for identical bytes.")
    item: ItemOut


class ItemDuplicatesOut(Output):
    data: list[ItemDuplicateOut]
