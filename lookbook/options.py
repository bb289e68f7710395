"""The options of submissions. Their names are those of docs/http-api.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

MAX_HOLD_SECONDS = 30
"""The longest time for which the service delays an answer."""


class Rectangle(TypedDict):
    """A rectangle in pixels of the picture as people see it, that is, after EXIF rotation."""

    x: int
    y: int
    width: int
    height: int


class ReviewOption(TypedDict):
    """A change of the review of an item: exactly one of `label`, `rejected` and `remove`."""

    item: str
    """The id of the item."""
    label: NotRequired[str]
    rejected: NotRequired[bool]
    """True: no label fits."""
    remove: NotRequired[bool]
    """True: remove the review."""
    crop: NotRequired[Rectangle]
    """A better crop: the part of the picture that shows the label."""


class RegionOption(TypedDict):
    """A named part of a picture, which gets a prediction of its own. Only models for single garments take regions."""

    name: str
    box: Rectangle


class ClassificationOptions(TypedDict, total=False):
    """The options of a single classification. None means the default."""

    crop: Rectangle | None
    regions: Sequence[RegionOption] | None
    model: str | None
    """A name, name@version or an alias."""
    top_k: int | None


class ProductOption(TypedDict, total=False):
    """What is known about the product that a picture shows. `product_id` ties its pictures together."""

    product_id: str
    sku: str
    gtin: str
    mpn: str
    variant_of: str
    brand: str
    title: str
    price: str | float
    list_price: str | float
    currency: str
    availability: str
    color: str
    size: str
    material: str
    category: str
    breadcrumb: Sequence[str]
    url: str
    description: str


class UrlItem(TypedDict):
    """A picture, with optional details about it. It has either `url` or `image`."""

    url: NotRequired[str]
    image: NotRequired[str]
    """The picture itself: a data URL or Base64."""
    custom_id: NotRequired[str]
    """Your own id for the item."""
    crop: NotRequired[Rectangle]
    regions: NotRequired[Sequence[RegionOption]]
    metadata: NotRequired[Mapping[str, Any]]
    product: NotRequired[ProductOption]
    page_url: NotRequired[str]
    alt: NotRequired[str]


class CrawlLimits(TypedDict, total=False):
    """The limits of a crawl. None means the default."""

    pages: int | None
    pictures: int | None
    bytes: int | None
    """Bytes to receive in total."""
    depth: int | None
    """Links to follow from a start URL."""
    minutes: int | None
    hosts: Sequence[str] | None
    """Hosts whose pages may be visited besides those of the start URLs."""


class Webhook(TypedDict):
    """The receiver of a message about the job's end."""

    url: str
    events: NotRequired[Sequence[str]]


class JobOptions(TypedDict, total=False):
    """The options of a job. None means the default."""

    name: str | None
    model: str | None
    """A name, name@version or an alias."""
    top_k: int | None
    priority: Literal["normal", "low"] | None
    metadata: Mapping[str, Any] | None
    webhook: Webhook | None
    expires_at: datetime | None
    """When the job is deleted. The value needs a time zone."""
    vectors: bool | None
    """Whether to store the vectors of its pictures. The default is that of the service."""
    prefer_wait: int | None
    """Seconds (at most 30) for which the answer may wait for the job's end."""


def prefer_header(seconds: float | None) -> dict[str, str]:
    """Return the header that says how long an answer may wait for the end of the work (RFC 7240)."""
    return {} if seconds is None else {"Prefer": f"wait={max(0, min(int(seconds), MAX_HOLD_SECONDS))}"}


def json_members(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as the members of a JSON object."""
    given = {name: value for name, value in options.items() if value is not None and name != "prefer_wait"}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}


def form_fields(options: Mapping[str, Any]) -> dict[str, str]:
    """Return options as the fields of a form. Objects and lists become JSON text."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, (Mapping, list, tuple)) else str(value)
        for name, value in json_members(options).items()
    }
