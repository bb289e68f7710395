"""The content of an export with one row for each product."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from core.clock import utc_now
from core.errors import ExportBroken
from db.database import Database
from db.views import jobs, products
from db.views.exports import PRODUCT_COLUMNS, Column, ColumnKind, Rows, Value, label_columns, product_values
from db.views.labels import Row, labels_of
from db.views.products import ProductFilter, ProductVerdict

PRODUCTS_PER_PAGE = 1000
"""How many products one transaction reads."""


@dataclass(frozen=True, slots=True)
class ProductExport:
    """A job whose products are exported, and the filter for them."""

    what: ClassVar[str] = " products"
    job_id: str
    wanted: ProductFilter

    def columns(self) -> list[Column]:
        """Return the columns that docs/exports.md describes."""
        kinds: dict[str, ColumnKind] = {
            **PRODUCT_COLUMNS,
            "pictures": "integer",
            "verdict": "text",
            "verdict_name": "text",
            "verdict_name_ko": "text",
            "group": "text",
            "confidence": "number",
            "votes": "integer",
            "by_review": "flag",
            "contradicts_category": "flag",
            "category_labels": "object",
            "items": "object",
            "set_apart": "object",
        }
        return [Column(name, kind) for name, kind in kinds.items()]

    def read_pages(self, database: Database) -> Iterator[Rows]:
        """Yield pages of rows. The values of a row have the order of the columns.

        Raises:
            ExportBroken: The job was deleted, or its retention ended, before the last row was read.
        """
        after: str | None = None
        while True:
            with database.reading() as session:
                job = jobs.get(session, self.job_id)
                if job is None or job.deleted_at is not None or job.expired(utc_now()):
                    raise ExportBroken
                found = products.list_of_job(session, job.id, self.wanted, after, PRODUCTS_PER_PAGE)
                labels = {label["id"]: label for label in labels_of(job)}
                rows = [_row(product, labels) for product in found]
            yield rows
            if len(found) < PRODUCTS_PER_PAGE:
                return
            after = found[-1].product.product_id


def _row(product: ProductVerdict, labels: dict[str, Row]) -> list[Value]:
    vote = product.vote
    return [
        *product_values(product.product.product_id, product.facts),
        product.product.pictures,
        *label_columns(labels.get(vote.label or "")),
        vote.confidence,
        vote.votes,
        vote.by_review,
        product.product.contradicts,
        product.category_labels,
        [photo.id for photo in product.photos],
        list(vote.set_apart),
    ]
