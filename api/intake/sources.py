"""Reads the options and the source of the pictures from a request to `POST /v1/jobs`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import request
from werkzeug.datastructures import FileStorage

from api.answers.problems import Problem, invalid_field_problem, validate, validate_json
from api.intake.crawls import read_crawl
from api.intake.reruns import read_rerun
from api.intake.uploads import refuse_other_files, store_parts, store_source
from api.intake.url_items import read_items
from api.schemas.jobs import JobForm, JobIn, JobOptions
from core.clock import utc_now
from db.crawls.requests import CrawlRequest
from db.steps.opening import OPEN_FOR
from db.steps.submitting import NewItem, UnreadSource
from db.tables import JobSource

_FIELDS = ("images", "archive", "manifest")


@dataclass(frozen=True, slots=True)
class SubmittedSource:
    """The source of a job's pictures, as it was submitted."""

    kind: JobSource
    default_name: str
    """The name of the job if the client chose none."""
    items: Sequence[NewItem] = ()
    unread: UnreadSource | CrawlRequest | None = None
    """The file that a worker will read items from, or the crawl that will find them."""
    open_until: datetime | None = None
    """Until when later requests may add items. None: the job is not open."""
    rerun_of: str | None = None
    """The job whose pictures are classified again."""
    columns: Mapping[str, str] | None = None
    """The meanings of columns of a manifest that the client gives."""


def read_source() -> tuple[JobOptions, SubmittedSource]:
    """Return the options and the source of the current request. Its files are stored before this returns.

    Raises:
        Problem: 415 or 422, the request does not describe a job.
        StorageFull, BlobStoreUnavailable: the files cannot be stored.
    """
    if request.mimetype == "application/json":
        return _read_json()
    if request.mimetype != "multipart/form-data":
        raise Problem(
            415,
            "unsupported_media_type",
            f"Expected multipart/form-data or application/json, got {request.mimetype or 'no Content-Type'}.",
        )
    options = validate(JobForm, request.form)
    field, parts = _only_field()
    if options.columns is not None and field == "images":
        raise invalid_field_problem("columns", "expected columns only with a manifest or an archive")
    if field == "images":
        items = [NewItem(name, blob, None, error) for name, blob, error in store_parts(parts)]
        return options, SubmittedSource(JobSource.UPLOADS, _default_name(parts[0].filename, len(parts)), items)
    file_name = parts[0].filename or "unnamed"
    return options, SubmittedSource(
        JobSource(field),
        _default_name(file_name, 1),
        unread=UnreadSource(store_source(parts[0]), file_name),
        columns=options.columns,
    )


def _only_field() -> tuple[str, Sequence[FileStorage]]:
    """Return the field that holds the source, and its files."""
    files_by_field = {field: request.files.getlist(field) for field in _FIELDS if field in request.files}
    if not files_by_field:
        raise Problem(422, "no_source", f"Expected files in one of the fields {', '.join(_FIELDS)}, got none.")
    refuse_other_files(_FIELDS)
    field, parts = next(iter(files_by_field.items()))
    if len(files_by_field) > 1 or (len(parts) > 1 and field != "images"):
        received = ", ".join(f"{len(files)} in {name}" for name, files in files_by_field.items())
        raise Problem(
            422,
            "many_sources",
            f"Expected one source (files in images, or one file in archive or manifest), got {received}.",
        )
    return field, parts


def _read_json() -> tuple[JobOptions, SubmittedSource]:
    job = validate_json(JobIn, request.get_data())
    given = [name for name in ("items", "crawl", "rerun", "open") if getattr(job, name)]
    if len(given) != 1:
        received = " and ".join(given) or "none of them"
        raise Problem(422, "invalid_request", f"Expected one of items, crawl, rerun and open, got {received}.")
    if job.open:
        now = utc_now()
        return job, SubmittedSource(JobSource.UPLOADS, f"{now:%Y-%m-%d %H:%M} UTC", open_until=now + OPEN_FOR)
    if job.crawl is not None:
        crawl = read_crawl(job.crawl)
        name = _default_name(crawl.start_urls[0], len(crawl.start_urls))
        return job, SubmittedSource(JobSource.CRAWL, name, unread=crawl)
    if job.rerun is not None:
        name, items = read_rerun(job.rerun, job.model)
        return job, SubmittedSource(JobSource.RERUN, name, items, rerun_of=job.rerun.job)
    items = read_items(job.items)
    return job, SubmittedSource(JobSource.ITEMS, _default_name(items[0].source_name, len(items)), items)


def _default_name(first: str | None, count: int) -> str:
    return (first or "unnamed")[:180] + (f" +{count - 1}" if count > 1 else "")
