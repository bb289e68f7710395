"""The products that the items of a job show, each with the verdict of its photos."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.products import MAX_PRODUCT_ID
from db.tables.base import Base


class Product(Base):
    """A product of a job. Its verdict is stored, because filters of 100,000 photos by a count of votes would be slow.

    A transaction that changes the label of a photo locks the job's row and lets the photos vote again
    (db/steps/products.py).
    """

    __tablename__ = "products"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    product_id: Mapped[str] = mapped_column(String(MAX_PRODUCT_ID), primary_key=True)
    """As `Item.product_id`."""
    pictures: Mapped[int]
    """Items that show the product, whatever their status."""
    category_labels: Mapped[str | None] = mapped_column(Text)
    """The labels that fit the shop's own category, one a line. None if its words mean no label (core/categories.py)."""
    label: Mapped[str | None] = mapped_column(String(100))
    """The verdict (core/votes.py). None if no photo has voted."""
    confidence: Mapped[float | None]
    has_set_apart: Mapped[bool]
    """Whether a photo shows something else."""
    contradicts: Mapped[bool | None]
    """Whether the verdict contradicts the category. None if one of them is unknown."""
