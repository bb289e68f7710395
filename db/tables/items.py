"""Items (one picture of a job each), their regions and blobs, the predictions for these, and reviews by people."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from core.fingerprints import BANDS, Fingerprint
from core.products import MAX_PRODUCT_ID, TEXTS
from core.types import Crop
from db.tables.base import Base, enum
from db.tables.hints import ItemHint
from db.tables.jobs import Job

BAND_COLUMNS = tuple(f"band_{number}" for number in range(BANDS))


class ItemStatus(StrEnum):
    """pending -> succeeded | failed | canceled. The last three are final: the item is finished."""

    PENDING = "pending"
    """The item waits, or a worker holds it."""
    SUCCEEDED = "succeeded"
    """The item has a prediction."""
    FAILED = "failed"
    """The item cannot be classified. `error_code` says why."""
    CANCELED = "canceled"
    """The job was canceled before the item was classified."""


class Blob(Base):
    """Bytes in the blob store. Format, width and height are NULL until a decoder has opened the picture."""

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    format: Mapped[str | None] = mapped_column(String(20))
    width: Mapped[int | None]
    """In pixels, as a person sees the picture (after the EXIF rotation). The same holds for `height`."""
    height: Mapped[int | None]
    truncated: Mapped[bool | None]
    """Whether the data of the picture ends too early. It is shown as browsers show it."""
    flat: Mapped[bool | None]
    """Whether the picture has a single colour."""
    fingerprint: Mapped[Fingerprint | None]
    """Recognises the same picture in other bytes (core/fingerprints.py). None until the picture is decoded, and for
    pictures that show almost nothing."""
    created_at: Mapped[datetime]


class BlobBands(Base):
    """The bands of a blob's fingerprint, each with an index. Pictures that have a band in common may be the same.

    The row is added after the job that brought the blob is finished. Until then the fingerprint does not find it.
    """

    __tablename__ = "blob_bands"
    __table_args__ = tuple(Index(None, name) for name in BAND_COLUMNS)

    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256", ondelete="CASCADE"), primary_key=True)
    band_0: Mapped[int]
    band_1: Mapped[int]
    band_2: Mapped[int]
    band_3: Mapped[int]
    band_4: Mapped[int]
    band_5: Mapped[int]
    band_6: Mapped[int]
    band_7: Mapped[int]


class Prediction(Base):
    """The prediction of one model version for one crop of one blob. It is computed once and shared by many items."""

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("blob_sha256", "crop_key", "model_version_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    blob_sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"))
    crop_key: Mapped[str] = mapped_column(String(80))
    """`core.types.Crop.key`. The empty string means the whole picture."""
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    label: Mapped[str] = mapped_column(String(100))
    label_group: Mapped[str] = mapped_column(String(100))
    confidence: Mapped[float]
    scores: Mapped[list[Any]]
    """Softmax scores in the order of the model's labels."""
    created_at: Mapped[datetime]


class Vector(Base):
    """The vector of a prediction: the embedding that its model gave for the picture (core/vectors.py).

    It has a table of its own, because most queries of predictions do not need it, and it is larger than all the rest.
    """

    __tablename__ = "vectors"
    __table_args__ = (Index(None, "model_version_id", "number"), {"sqlite_autoincrement": True})

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    """Ascending in the order of insertion, and never used again. There are gaps, and while transactions overlap, a
    lower number may become visible after a higher one."""
    prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), unique=True)
    model_version_id: Mapped[int] = mapped_column(ForeignKey("model_versions.id"))
    """A copy of the prediction's, because an index of vectors reads those of one model version."""
    data: Mapped[bytes]


def _partial_index(where: str, *columns: str) -> Index:
    return Index(None, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Item(Base):
    """One picture of a job."""

    __tablename__ = "items"
    __table_args__ = (
        UniqueConstraint("job_id", "position"),
        Index(
            "ix_items_unclaimed",
            "job_id",
            "position",
            sqlite_where=text("status = 'pending' AND chunk_id IS NULL"),
            postgresql_where=text("status = 'pending' AND chunk_id IS NULL"),
        ),
        Index(None, "chunk_id"),
        Index(None, "job_id", "status", "position"),
        # One index for each order of a page of items (db/views/item_pages.py). They are partial, so that an item enters
        # them only when it is recorded.
        _partial_index("label IS NOT NULL", "job_id", "label", "position"),
        _partial_index("label IS NOT NULL", "job_id", "label", "confidence", "position"),
        _partial_index("confidence IS NOT NULL", "job_id", "confidence", "position"),
        Index(None, "blob_sha256", "job_id"),
        _partial_index("product_id IS NOT NULL", "job_id", "product_id", "position"),
        _partial_index("sku IS NOT NULL", "job_id", "sku", "position"),
        # When a prediction is deleted, the database looks for items that refer to it.
        _partial_index("prediction_id IS NOT NULL", "prediction_id"),
        CheckConstraint("status != 'succeeded' OR prediction_id IS NOT NULL", name="succeeded_has_prediction"),
        CheckConstraint("status != 'failed' OR error_code IS NOT NULL", name="failed_has_error"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    position: Mapped[int]
    status: Mapped[ItemStatus] = mapped_column(enum(ItemStatus, "status"), default=ItemStatus.PENDING)
    chunk_id: Mapped[str | None] = mapped_column(String(40))
    """The chunk that the item is or was part of. None while it waits for one."""
    blob_sha256: Mapped[str | None] = mapped_column(ForeignKey("blobs.sha256"))
    """None until the bytes are downloaded, and for items that failed before."""
    crop_key: Mapped[str] = mapped_column(String(80), default="")
    custom_id: Mapped[str | None] = mapped_column(Text)
    """The client's own name for the item."""
    source_name: Mapped[str] = mapped_column(Text)
    """The name of the uploaded file, the path of the archive member, or the last part of the URL. It is only shown, and
    never used as a path."""
    source_url: Mapped[str | None] = mapped_column(Text)
    """The URL to download the bytes from. None if they came with the job."""
    provenance: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """More about the origin of the picture. Optional keys: `page_url`, `alt`, `product` (core/products.py), and for
    crawled pictures `query`, `label`, `rank` and `rule`."""
    product_id: Mapped[str | None] = mapped_column(String(MAX_PRODUCT_ID))
    """The same for all pictures of one product in the job (`core.products.product_id_of`). None without a product."""
    sku: Mapped[str | None] = mapped_column(String(TEXTS["sku"]))
    """A copy of the SKU in `provenance`, for the index."""
    details: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSON(none_as_null=True))
    """The client's own object (`metadata` in the API, because SQLAlchemy reserves that name)."""
    prediction_id: Mapped[str | None] = mapped_column(ForeignKey("predictions.id"))
    reused: Mapped[bool] = mapped_column(default=False)
    label: Mapped[str | None] = mapped_column(String(100))
    """The label under which the item is listed: that of its review, else that of its prediction. None without a
    prediction, and if a person said that no label fits. It is here (as are `label_group` and `confidence`) because the
    indexes for filtering and sorting need it in the same table as `job_id`."""
    label_group: Mapped[str | None] = mapped_column(String(100))
    confidence: Mapped[float | None]
    """A copy of the prediction's confidence, also if a review gives another label."""
    duplicate_of: Mapped[str | None] = mapped_column(String(40))
    """The first item of the same job with the same picture. None if this is the first one, or before the linker ran."""
    error_code: Mapped[str | None] = mapped_column(String(50))
    error_detail: Mapped[str | None] = mapped_column(Text)
    error_retryable: Mapped[bool | None]
    """Whether a retry takes the failed item: another attempt may succeed, and its bytes are stored or have a URL."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]

    blob: Mapped[Blob | None] = relationship()
    prediction: Mapped[Prediction | None] = relationship()
    review: Mapped[Review | None] = relationship(back_populates="item")
    job: Mapped[Job] = relationship()
    hints: Mapped[list[ItemHint]] = relationship(viewonly=True)
    regions: Mapped[list[ItemRegion]] = relationship(order_by="ItemRegion.position", viewonly=True)


class ItemText(Base):
    """The text in which an item is searched (core/search.py).

    It has a table of its own, in the order of the job: a search reads only these rows, and recording an item, which
    rewrites the row of the item, leaves them alone.
    """

    __tablename__ = "item_texts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["job_id", "position"],
            ["items.job_id", "items.position"],
            name="fk_item_texts_job_id_items",
            ondelete="CASCADE",
        ),
        {"sqlite_with_rowid": False},
    )

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)


class ItemRegion(Base):
    """A region of an item, with its own prediction from the moment at which the item succeeds."""

    __tablename__ = "item_regions"
    __table_args__ = (
        UniqueConstraint("item_id", "position"),
        UniqueConstraint("item_id", "name"),
        Index(None, "prediction_id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))
    position: Mapped[int]
    """Within the item, from 0."""
    name: Mapped[str] = mapped_column(String(100))
    crop_key: Mapped[str] = mapped_column(String(80))
    prediction_id: Mapped[str | None] = mapped_column(ForeignKey("predictions.id"))
    reused: Mapped[bool] = mapped_column(default=False)

    prediction: Mapped[Prediction | None] = relationship(lazy="joined", viewonly=True)


class Review(Base):
    """A person's review of an item's prediction: a label (another one or the same), or `rejected` if no label fits.

    It decides under which label the item is listed (`Item.label`).
    """

    __tablename__ = "reviews"
    __table_args__ = (
        UniqueConstraint("item_id"),
        Index(None, "job_id", "position"),
        CheckConstraint("(label IS NULL) = rejected", name="label_or_rejected"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    item_id: Mapped[str] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    """A copy of the item's job (as is `position`), because lists and filters need both in one index."""
    position: Mapped[int]
    predicted: Mapped[str] = mapped_column(String(100))
    """A copy of the label of the item's prediction, which never changes."""
    label: Mapped[str | None] = mapped_column(String(100))
    rejected: Mapped[bool]
    crop_key: Mapped[str | None] = mapped_column(String(80))
    """`core.types.Crop.key` of a better crop. None: the person gave none."""
    key_id: Mapped[str | None] = mapped_column(String(40))
    """The key of the reviewer. None if the request had no key."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    item: Mapped[Item] = relationship(back_populates="review")

    @property
    def crop(self) -> Crop | None:
        """The part of the picture that shows the label. None: what was classified."""
        return None if self.crop_key is None else Crop.from_key(self.crop_key)

    @crop.setter
    def crop(self, crop: Crop | None) -> None:
        self.crop_key = None if crop is None else crop.key
