"""The filters of items and products."""

from __future__ import annotations

from typing import TypedDict


class ItemFilter(TypedDict, total=False):
    """A filter on the items of a job. None means no condition."""

    status: str | None
    """pending, succeeded, failed or canceled."""
    label: str | None
    """The label of the review, else the predicted one."""
    group: str | None
    predicted: str | None
    """The label of the prediction, whatever a review says."""
    min_confidence: float | None
    max_confidence: float | None
    reviewed: bool | None
    rejected: bool | None
    """Whether a review says that no label fits."""
    error: str | None
    """The code of the error."""
    q: str | None
    """A part of the file name, the custom id, the URL, or the title, brand or a number of the product."""
    product_id: str | None
    sku: str | None
    hint: str | None
    """doubt, surprise, mislabelled, unknown or diverse: items that this hint flags."""
    accepted: bool | None
    """Whether the policy of the job accepts the prediction."""
    narrows: float | None
    """A target of trust, such as 0.98: the items whose reviews would narrow its estimate most."""
    duplicates: str | None
    """hide: leave out items with `duplicate_of`."""
    area: str | None
    """A polygon on the job's map: its revision, and x-y of 3 to 200 corners, such as `1_0-0_900-0_900-900`."""


class ProductFilter(TypedDict, total=False):
    """A filter on the products of a job. None means no condition."""

    product_id: str | None
    label: str | None
    """The label of the verdict."""
    contradicts: bool | None
    """Whether the verdict contradicts the shop's own category. Both must be known."""
    set_apart: bool | None
    """Whether a photo shows something else."""
    min_confidence: float | None
    """Of the verdict."""
    max_confidence: float | None


class ExportOptions(ItemFilter, total=False):
    """A filter on the items of an export, and what it holds besides."""

    picture_urls: int | None
    """Seconds for which URLs show the pictures without a key, at most 30 days. None: no URLs, or a week for label
    tools."""
