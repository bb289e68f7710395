"""What can be said with a submission; the words are those of docs/http-api.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

MAX_HOLD_SECONDS = 30
"""For how long the service holds an answer back at most."""


class Rectangle(TypedDict):
    """Pixels of the picture as a person sees it, after EXIF rotation."""

    x: int
    y: int
    width: int
    height: int


class ClassificationOptions(TypedDict, total=False):
    """With one picture."""

    crop: Rectangle | None
    model: str | None
    """name, name@version or alias."""
    top_k: int | None


class UrlItem(TypedDict):
    """A picture on the web, and what is known of it."""

    url: str
    custom_id: NotRequired[str]
    """Your own name for it."""
    crop: NotRequired[Rectangle]
    metadata: NotRequired[Mapping[str, Any]]
    title: NotRequired[str]
    price: NotRequired[str | float]
    currency: NotRequired[str]
    page_url: NotRequired[str]
    alt: NotRequired[str]


class CrawlLimits(TypedDict, total=False):
    """How far a crawl goes. What is None is as if it were not given."""

    pages: int | None
    pictures: int | None
    bytes: int | None
    """Received in all."""
    depth: int | None
    """Links from a start URL."""
    minutes: int | None
    hosts: Sequence[str] | None
    """On which pages may be, beside those of the start URLs."""


class Webhook(TypedDict):
    """Whom to tell of a job's end."""

    url: str
    events: NotRequired[Sequence[str]]


class JobOptions(TypedDict, total=False):
    """With any job. What is None is as if it were not given."""

    name: str | None
    model: str | None
    """name, name@version or alias."""
    top_k: int | None
    priority: Literal["normal", "low"] | None
    metadata: Mapping[str, Any] | None
    webhook: Webhook | None
    expires_at: datetime | None
    """With a zone: kept until then."""
    prefer_wait: int | None
    """For so many seconds (at most 30) the answer may wait for the job's end."""


def prefer(seconds: float | None) -> dict[str, str]:
    """The header that says for how long an answer may wait for the end of what was asked for (RFC 7240)."""
    return {} if seconds is None else {"Prefer": f"wait={max(0, min(int(seconds), MAX_HOLD_SECONDS))}"}


def members(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as members of a JSON object."""
    given = {name: value for name, value in options.items() if value is not None and name != "prefer_wait"}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}


def fields(options: Mapping[str, Any]) -> dict[str, str]:
    """Options as fields of a form: objects are JSON in them."""
    return {
        name: json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else str(value)
        for name, value in members(options).items()
    }
