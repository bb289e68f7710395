"""Where a job's pictures come from: what `POST /v1/jobs` accepts, and what of it can be said at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import request
from werkzeug.datastructures import FileStorage

from api.answers.problems import Problem, validate, validate_json
from api.intake.crawls import read_crawl
from api.intake.uploads import refuse_other_files, store_parts, store_source
from api.intake.url_items import read_items
from api.schemas.jobs import JobForm, JobIn, JobOptions
from db.crawls.requests import CrawlRequest
from db.steps.submitting import NewItem, UnreadSource
from db.tables import JobSource

_FIELDS = ("images", "archive", "manifest")


@dataclass(frozen=True, slots=True)
class SubmittedSource:
    """A source as it was submitted."""

    kind: JobSource
    default_name: str
    """The job's name if the client gave none."""
    items: Sequence[NewItem] = ()
    unread: UnreadSource | CrawlRequest | None = None
    """What the items are still to be read from, or found by, by a worker."""


def read_source() -> tuple[JobOptions, SubmittedSource]:
    """The options and the one source of the present request; bytes in it are stored by then.

    Raises:
        Problem: 415 or 422, it is not a job.
        StorageFull, BlobStoreUnavailable: its bytes cannot be kept.
    """
    if request.mimetype == "application/json":
        return _read_json()
    if request.mimetype != "multipart/form-data":
        raise Problem(
            415,
            "unsupported_media_type",
            f"expected multipart/form-data or application/json, got {request.mimetype or 'no Content-Type'}",
        )
    options = validate(JobForm, request.form)
    field, parts = _only_field()
    if field == "images":
        items = [NewItem(name, blob, None, error) for name, blob, error in store_parts(parts)]
        return options, SubmittedSource(JobSource.UPLOADS, _name_of(parts[0].filename, len(parts)), items)
    file_name = parts[0].filename or "unnamed"
    return options, SubmittedSource(
        JobSource(field), _name_of(file_name, 1), unread=UnreadSource(store_source(parts[0]), file_name)
    )


def _only_field() -> tuple[str, Sequence[FileStorage]]:
    """The field that holds the one source of the present form, and its files."""
    given = {field: request.files.getlist(field) for field in _FIELDS if field in request.files}
    if not given:
        raise Problem(422, "no_source", f"expected files in one of the fields {', '.join(_FIELDS)}; got none")
    refuse_other_files(_FIELDS)
    field, parts = next(iter(given.items()))
    if len(given) > 1 or (len(parts) > 1 and field != "images"):
        came = ", ".join(f"{len(files)} in {name}" for name, files in given.items())
        raise Problem(
            422,
            "many_sources",
            f"expected exactly one source: files in images, or one file in archive or manifest; got {came}",
        )
    return field, parts


def _read_json() -> tuple[JobOptions, SubmittedSource]:
    given = validate_json(JobIn, request.get_data())
    if (given.crawl is None) == (not given.items):
        came = "both" if given.items else "neither"
        raise Problem(422, "invalid_request", f"expected either items or crawl, got {came}")
    if given.crawl is not None:
        crawl = read_crawl(given.crawl)
        return given, SubmittedSource(
            JobSource.CRAWL, _name_of(crawl.start_urls[0], len(crawl.start_urls)), unread=crawl
        )
    items = read_items(given.items)
    return given, SubmittedSource(JobSource.ITEMS, _name_of(items[0].source_name, len(items)), items)


def _name_of(first: str | None, count: int) -> str:
    return (first or "unnamed")[:180] + (f" +{count - 1}" if count > 1 else "")
