"""Where a job's pictures come from: what `POST /v1/jobs` accepts, and what of it can be said at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import request

from api.problems import Problem, validate
from api.schemas import JobForm, JobOptions
from api.uploads import store_parts
from api.url_items import read_items
from db.jobs import NewItem
from db.models import JobSource


@dataclass(frozen=True, slots=True)
class Source:
    """A source as it was submitted."""

    kind: JobSource
    default_name: str
    """The job's name if the client gave none."""
    items: Sequence[NewItem]


def read_source() -> tuple[JobOptions, Source]:
    """The options and the one source of the present request; bytes in it are stored by then.

    Raises:
        Problem: 415 or 422, it is not a job.
        StorageFull, BlobStoreUnavailable: its bytes cannot be kept.
    """
    if request.mimetype == "application/json":
        given, items = read_items()
        return given, Source(JobSource.ITEMS, _name_of(items[0].source_name, len(items)), items)
    if request.mimetype != "multipart/form-data":
        raise Problem(
            415,
            "unsupported_media_type",
            f"expected multipart/form-data or application/json, got {request.mimetype or 'no Content-Type'}",
        )
    parts = request.files.getlist("images")
    options = validate(JobForm, request.form)
    if not parts:
        raise Problem(422, "no_images", "expected at least one file in the field 'images', got none")
    items = [NewItem(name, blob, None, error) for name, blob, error in store_parts(parts)]
    return options, Source(JobSource.UPLOADS, _name_of(parts[0].filename, len(parts)), items)


def _name_of(first: str | None, count: int) -> str:
    return (first or "unnamed")[:180] + (f" +{count - 1}" if count > 1 else "")
