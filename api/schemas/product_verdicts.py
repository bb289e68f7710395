"""Models of the products of a job, with the verdicts of their photos."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.common import Input, PageQuery, Text
from api.schemas.items import ExportFormat, LabelRefOut, Score
from api.schemas.products import ProductOut
from core.products import TEXTS
from db.views.job import Output


class ProductsFilter(Input):
    """A filter on the products of a job. Products must meet all conditions."""

    product_id: Annotated[Text, Field(max_length=TEXTS["product_id"])] | None = None
    label: str | None = Field(None, description="The label of the verdict.")
    contradicts: bool | None = Field(
        None, description="Whether the verdict contradicts the shop's own category. Both must be known."
    )
    set_apart: bool | None = Field(None, description="Whether a photo shows something else.")
    min_confidence: Score | None = Field(None, description="Of the verdict.")
    max_confidence: Score | None = Field(None, description="Of the verdict.")


class ProductsQuery(PageQuery, ProductsFilter):
    pass


class ProductsExportQuery(ProductsFilter):
    format: ExportFormat = "csv"


class PhotoOut(Output):
    """A photo of a product."""

    id: str = Field(description="The id of the item.")
    label: str | None = Field(description="The id of the label under which it is listed.")
    confidence: float | None = Field(description="The confidence of its prediction. Null if it is not classified.")
    reviewed: bool
    set_apart: bool
    thumbnail: str | None


class ProductVerdictOut(Output):
    """A product of a job, and the verdict of its photos."""

    product: ProductOut
    pictures: int = Field(description="Items that show the product, whatever their status.")
    verdict: LabelRefOut | None = Field(description="The label that the photos vote for. Null without any vote.")
    confidence: float | None = Field(description="Of the verdict, from 0 to 1 (docs/crawling.md).")
    votes: int = Field(description="The photos that voted. The same photo votes once.")
    by_review: bool = Field(description="Whether people gave the votes: reviews win over predictions.")
    set_apart: list[str] = Field(description="The ids of the items that show something else.")
    contradicts_category: bool | None = Field(
        description="Whether the verdict contradicts the shop's own category. Null if one of them is unknown."
    )
    category_labels: list[str] | None = Field(
        description="The labels that fit the shop's own category. Null if its words mean no label."
    )
    photos: list[PhotoOut] = Field(description="The first 50 pictures, by position.")


class ProductsOut(Output):
    data: list[ProductVerdictOut]
    next_cursor: str | None
