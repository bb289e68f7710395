"""Answers about products: what a shop says about what it sells."""

from __future__ import annotations

from dataclasses import dataclass

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRef(Answer):
    id: str
    name: str
    group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Answer):
    """A product, as the source of the picture describes it."""

    product_id: str | None
    """The same for all pictures of the product in the job."""
    sku: str | None
    gtin: str | None
    mpn: str | None
    variant_of: str | None
    brand: str | None
    title: str | None
    price: str | None
    list_price: str | None
    """The price before a reduction."""
    currency: str | None
    availability: str | None
    """The short name of schema.org, such as `InStock`."""
    color: str | None
    size: str | None
    material: str | None
    category: str | None
    breadcrumb: list[str]
    url: str | None
    """The page of the product."""
    description: str | None
    sources: dict[str, str]
    """Field -> the rule that found it on the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo(Answer):
    """A photo of a product."""

    id: str
    """The id of the item."""
    label: str | None
    """The id of the label under which it is listed."""
    confidence: float | None
    """The confidence of its prediction. None if it is not classified."""
    reviewed: bool
    set_apart: bool
    """Whether it shows something else than the verdict says."""
    thumbnail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductVerdict(Answer):
    """A product of a job, and the label that its photos vote for."""

    product: Product
    pictures: int
    verdict: LabelRef | None
    """None if no photo has voted."""
    confidence: float | None
    """That of the verdict, from 0 to 1."""
    votes: int
    """The photos that voted. The same photo votes once."""
    by_review: bool
    """Whether people gave the votes: reviews win over predictions."""
    set_apart: list[str]
    """The ids of the items that show something else."""
    contradicts_category: bool | None
    """Whether the verdict contradicts the shop's own category. None if one of them is unknown."""
    category_labels: list[str] | None
    """The labels that fit the category. None if its words mean no label."""
    photos: list[Photo]
    """The first 50 pictures, by position."""
