"""The content of an export: its columns, and the rows of a job's items as plain values.

The rows are read in pages, each in a transaction of its own. While a client reads an export of a million items, the
server therefore keeps only one page in memory, and no snapshot of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from core.clock import utc_now
from core.errors import ExportBroken
from core.types import Crop
from db.database import Database
from db.tables import Acceptance, Blob, Item, ItemRegion, ItemStatus, Job, Prediction, Review
from db.views import jobs, regions
from db.views.acceptances import Policy
from db.views.item_pages import ItemCursor, ItemFilter, ItemSort, select_page
from db.views.labels import Row

ITEMS_PER_PAGE = 2000
"""How many items one transaction reads."""

ColumnKind = Literal["text", "integer", "number", "flag", "moment", "object"]
Value = str | int | float | bool | datetime | dict[str, Any] | list[dict[str, Any]] | list[str] | None
Rows = list[list[Value]]

_SOURCE = ("page_url", "alt")
PRODUCT_FIELDS = (
    *("product_id", "sku", "gtin", "mpn", "variant_of", "brand", "title", "price", "list_price", "currency"),
    *("availability", "color", "size", "material", "category", "breadcrumb", "url", "description"),
)
PRODUCT_COLUMNS: dict[str, ColumnKind] = {
    name if name == "product_id" else f"product_{name}": "text" for name in PRODUCT_FIELDS
}
BREADCRUMB_SEPARATOR = " > "
_CROP = ("x", "y", "width", "height")
URL_COLUMNS = ("picture_url", "thumbnail_url")
PictureUrls = Callable[[str, ItemStatus, str | None], tuple[str | None, str | None]]
"""(item id, its status, the format of its picture) -> the values of `URL_COLUMNS`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export, in every format. Each of its values may be None."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class Export:
    """A job to export, as it was at the start of the export, and the filter for its items."""

    what: ClassVar[str] = ""
    """The end of the file's name. Items need none."""
    job_id: str
    model: str
    """The model version, as `name@version`."""
    labels: Sequence[Row]
    """The labels that the items may have: first those of the model, in the order of its scores."""
    top_k: int
    item_filter: ItemFilter
    takes_regions: bool = False
    """Whether items of the job may have regions."""
    acceptance: Acceptance | None = None
    """The policy by which predictions of the job are accepted."""
    picture_urls: PictureUrls | None = None
    """Makes the columns with URLs of the pictures. None: the export has no such columns."""

    @classmethod
    def of(
        cls,
        job: Job,
        labels: Sequence[Row],
        item_filter: ItemFilter,
        acceptance: Acceptance | None = None,
        picture_urls: PictureUrls | None = None,
    ) -> Export:
        """Return the export of a job's items. `labels` are those of `db.views.labels.labels_of`."""
        version = job.model_version
        top_k = min(job.top_k, len(version.taxonomy["labels"]))
        return cls(job.id, version.ref, labels, top_k, item_filter, version.takes_regions, acceptance, picture_urls)

    def columns(self) -> list[Column]:
        """Return the columns that docs/exports.md describes."""
        ranks = range(1, self.top_k + 1)
        kinds: dict[str, ColumnKind] = {
            "id": "text",
            "custom_id": "text",
            "position": "integer",
            "status": "text",
            **{f"source_{name}": "text" for name in ("name", "url", *_SOURCE)},
            **PRODUCT_COLUMNS,
            "sha256": "text",
            "width": "integer",
            "height": "integer",
            "format": "text",
            "bytes": "integer",
            **{f"crop_{name}": "integer" for name in _CROP},
            "regions": "object",
            "duplicate_of": "text",
            "label": "text",
            "label_name": "text",
            "label_name_ko": "text",
            "group": "text",
            "predicted_label": "text",
            "confidence": "number",
            **{f"{name}_{rank}": kind for rank in ranks for name, kind in _RANKED_COLUMNS.items()},
            "model": "text",
            "reused": "flag",
            "review_label": "text",
            "review_rejected": "flag",
            **{f"review_crop_{name}": "integer" for name in _CROP},
            "reviewed_by": "text",
            "reviewed_at": "moment",
            "accepted": "flag",
            "accepted_threshold": "number",
            "accepted_by": "text",
            "accepted_at": "moment",
            "error_code": "text",
            "error_detail": "text",
            "error_retryable": "flag",
            "created_at": "moment",
            "finished_at": "moment",
            "metadata": "object",
            **(dict.fromkeys(URL_COLUMNS, "text") if self.picture_urls is not None else {}),
        }
        return [Column(name, kind) for name, kind in kinds.items()]

    def read_pages(self, database: Database) -> Iterator[Rows]:
        """Yield pages of rows. The values of a row have the order of the columns. Pending items are included.

        Raises:
            ExportBroken: The job was deleted, or its retention ended, before the last row was read.
        """
        labels = {label["id"]: label for label in self.labels}
        after: ItemCursor | None = None
        while True:
            with database.reading() as session:
                found = session.execute(
                    select_page(
                        _select_columns(), self.job_id, self.item_filter, ItemSort.POSITION, after, ITEMS_PER_PAGE
                    )
                ).all()
                by_item = regions.list_of_items(session, [row.id for row in found]) if self.takes_regions else {}
                # The job is checked after the items were read. If it still exists, no item of the page was missing.
                job = jobs.get(session, self.job_id)
            if job is None or job.deleted_at is not None or job.expired(utc_now()):
                raise ExportBroken
            yield [self._row(row, labels, by_item.get(row.id, ())) for row in found]
            if len(found) < ITEMS_PER_PAGE:
                return
            after = ItemCursor(found[-1].position)

    def _row(self, row: Any, labels: dict[str, Row], regions_of_item: Sequence[ItemRegion]) -> list[Value]:
        label = labels.get(row.label)
        provenance = row.provenance or {}
        has_prediction = row.predicted_label is not None
        return [
            row.id,
            row.custom_id,
            row.position,
            row.status.value,
            row.source_name,
            row.source_url,
            *(provenance.get(name) for name in _SOURCE),
            *product_values(row.product_id, provenance.get("product")),
            row.blob_sha256,
            row.width,
            row.height,
            row.format,
            row.bytes,
            *_crop_columns(row.crop_key),
            [self._region(region) for region in regions_of_item] or None,
            row.duplicate_of,
            *label_columns(label),
            row.predicted_label,
            row.confidence,
            *self._ranked_columns(row.scores),
            self.model if has_prediction else None,
            row.reused if has_prediction else None,
            row.review_label,
            row.review_rejected,
            *_crop_columns(row.review_crop_key),
            row.reviewed_by,
            row.reviewed_at,
            *self._acceptance_columns(row),
            row.error_code,
            row.error_detail,
            row.error_retryable,
            row.created_at,
            row.finished_at,
            row.details,
            *self._urls(row),
        ]

    def _urls(self, row: Any) -> tuple[str | None, ...]:
        return () if self.picture_urls is None else self.picture_urls(row.id, row.status, row.format)

    def _acceptance_columns(self, row: Any) -> tuple[Value, ...]:
        """Return whether the policy accepts an item, and by which threshold, key and time. Pending items: nothing."""
        if row.predicted_label is None:
            return (None,) * 4
        policy = None if self.acceptance is None or row.reviewed_at else Policy.of(self.acceptance)
        threshold = None if policy is None else policy.threshold_of(row.label, row.confidence, row.finished_at)
        if self.acceptance is None or threshold is None:
            return False, None, None, None
        return True, threshold, self.acceptance.key_id, self.acceptance.created_at

    def _ranked_columns(self, scores: list[float] | None) -> list[Value]:
        if scores is None:
            return [None] * (2 * self.top_k)
        return [value for pair in self._ranked(scores) for value in pair]

    def _ranked(self, scores: list[float]) -> list[tuple[str, float]]:
        """Return the labels with the highest scores, best first, with their scores."""
        ranked = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[: self.top_k]
        return [(self.labels[index]["id"], scores[index]) for index in ranked]

    def _region(self, region: ItemRegion) -> dict[str, Any]:
        box, prediction = Crop.from_key(region.crop_key), region.prediction
        ranked = [] if prediction is None else self._ranked(prediction.scores)
        return {
            "name": region.name,
            "box": None if box is None else {name: getattr(box, name) for name in _CROP},
            "label": None if prediction is None else prediction.label,
            "confidence": None if prediction is None else prediction.confidence,
            "labels": [{"id": label, "score": score} for label, score in ranked],
        }


_RANKED_COLUMNS: dict[str, ColumnKind] = {"label": "text", "score": "number"}


def product_values(product_id: str | None, product: Mapping[str, Any] | None) -> list[Value]:
    """Return the values of `PRODUCT_COLUMNS`. The way to the product in the menu of the shop is one text."""
    if product is None:
        return [None] * len(PRODUCT_COLUMNS)
    values = {
        **product,
        "product_id": product_id,
        "breadcrumb": BREADCRUMB_SEPARATOR.join(product.get("breadcrumb", ())),
    }
    return [values.get(name) or None for name in PRODUCT_FIELDS]


def _crop_columns(key: str | None) -> tuple[Value, ...]:
    crop = None if key is None else Crop.from_key(key)
    return (None,) * 4 if crop is None else (crop.x, crop.y, crop.width, crop.height)


def label_columns(label: Row | None) -> tuple[Value, ...]:
    if label is None:
        return (None,) * 4
    return label["id"], label["name"]["en"], label["name"]["ko"], label["group"]


def _select_columns() -> Select[tuple[Any, ...]]:
    # The reviews need an alias, because `select_page` can join them, too.
    review = aliased(Review)
    query = select(
        Item.id,
        Item.custom_id,
        Item.position,
        Item.status,
        Item.source_name,
        Item.source_url,
        Item.provenance,
        Item.product_id,
        Item.blob_sha256,
        Blob.width,
        Blob.height,
        Blob.format,
        Blob.bytes,
        Item.crop_key,
        Item.duplicate_of,
        Item.label,
        Item.confidence,
        Prediction.label.label("predicted_label"),
        Prediction.scores,
        Item.reused,
        review.label.label("review_label"),
        review.rejected.label("review_rejected"),
        review.crop_key.label("review_crop_key"),
        review.key_id.label("reviewed_by"),
        review.updated_at.label("reviewed_at"),
        Item.error_code,
        Item.error_detail,
        Item.error_retryable,
        Item.created_at,
        Item.finished_at,
        Item.details.label("details"),
    )
    return (
        query.select_from(Item)
        .outerjoin(Blob, Blob.sha256 == Item.blob_sha256)
        .outerjoin(Prediction, Prediction.id == Item.prediction_id)
        .outerjoin(review, review.item_id == Item.id)
    )
