"""The client of a Lookbook service."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Unpack
from urllib.parse import quote

import httpx

from lookbook.answers import Item, ItemReview
from lookbook.errors import ProblemError, WaitTimeout
from lookbook.jobs import POLL_SECONDS, Job
from lookbook.key_answers import Key, NewKey, Usage
from lookbook.label_answers import PictureUrls
from lookbook.model_requests import ModelRequests
from lookbook.multipart import MultipartBody, Sendable, Sent, Upload, to_upload
from lookbook.open_uploads import add_batches, are_many, batches_to_send
from lookbook.options import (
    ClassificationOptions,
    CrawlLimits,
    JobOptions,
    Rectangle,
    UrlItem,
    form_fields,
    json_members,
    prefer_header,
)
from lookbook.reading import read
from lookbook.retrying import retry_after
from lookbook.search_requests import SearchRequests, is_url, item_path
from lookbook.teaching_requests import TeachingRequests
from lookbook.transport import Body, Query, Transport, json_object
from lookbook.uploads import BytesBody, json_body, url_rows

DEFAULT_URL = "http://127.0.0.1:8000"


class Client(ModelRequests, SearchRequests, TeachingRequests):
    """A client of one Lookbook service.

    `url` and `key` default to LOOKBOOK_URL and LOOKBOOK_KEY. The client repeats requests that the service refuses for
    the moment (429, 503) and requests without an answer, up to `retries` times. The pauses grow, or last as long as
    the service asks for (`Retry-After`). Jobs and classifications are sent with an Idempotency-Key, so that none is
    created twice. `timeout` is the number of seconds without any transfer after which a request fails.

    Every method may raise `ProblemError` (the service refused), `NotReached` or `UnexpectedAnswer`. Each is an `Error`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retries: int = 6,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = url or os.environ.get("LOOKBOOK_URL") or DEFAULT_URL
        key = key or os.environ.get("LOOKBOOK_KEY")
        self._transport = Transport(url, key, retries=retries, timeout=timeout, sleep=sleep)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def url(self) -> str:
        return self._transport.url

    def ping(self) -> None:
        """Check once that the service answers.

        Raises:
            NotReached: the service does not answer.
        """
        self._transport.request_object("GET", "/healthz", retries=0)

    def classify(
        self,
        picture: str | os.PathLike[str] | bytes,
        *,
        timeout: float = 60.0,
        **options: Unpack[ClassificationOptions],
    ) -> Item:
        """Classify one picture, ahead of all bulk work. `picture` is a path, the bytes of a file, or an HTTP(S) URL.

        Raises:
            ProblemError: the picture cannot be classified; `code` says why.
            WaitTimeout: the picture is not classified after `timeout` seconds.
        """
        query: Mapping[str, str] = {}
        body: Body
        if isinstance(picture, bytes):
            body, query = BytesBody(picture, "application/octet-stream"), form_fields(options)
        elif is_url(picture):
            body = json_body({"url": picture, **json_members(options)})
        else:
            body = MultipartBody(form_fields(options), "image", [picture])
        deadline = time.monotonic() + timeout
        response = self._create("/v1/classifications", body, query=query, headers=prefer_header(timeout))
        while True:
            item = read(Item, json_object(response))
            if item.error is not None:
                status = httpx.codes.UNPROCESSABLE_ENTITY
                raise ProblemError(status, item.error.code, item.error.detail)
            if item.status != "pending":
                return item
            left = deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"{item.id} is still pending after {timeout:g} s")
            self._transport.sleep(min(left, retry_after(response.headers) or POLL_SECONDS))
            response = self._transport.request("GET", item_path(item.id))

    def submit_uploads(
        self,
        files: Iterable[Sendable],
        *,
        sent: Sent | None = None,
        opened: Callable[[Job], object] = lambda job: None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Submit files. Each is opened when it is sent. `pictures_in(folder)` lists the pictures of a folder.

        Many files go into an open job, in several requests at once, and `opened` is called with that job before the
        first one. The service classifies the first files meanwhile.

        Raises:
            UploadInterrupted: not all files have arrived. `resume_uploads` sends the others.
        """
        uploads = [to_upload(file) for file in files]
        if not are_many(uploads):
            return self._submit_files("images", uploads, sent, options)
        batches = batches_to_send(uploads)
        job = self.open_job(**_named_after(uploads, options))
        opened(job)
        add_batches(self._transport, job.id, batches, sent)
        return job.close()

    def resume_uploads(self, job: Job | str, files: Iterable[Sendable], *, sent: Sent | None = None) -> Job:
        """Go on with an upload that broke off: send the files whose names the job does not have, and close the job.

        If these are the files of `submit_uploads` in the same order, none is added twice, even if the service still
        works on a request of the upload that broke off.

        Raises:
            UploadInterrupted: not all files have arrived. Resume again.
        """
        job = self.job(job if isinstance(job, str) else job.id)
        add_batches(self._transport, job.id, batches_to_send(map(to_upload, files), job.item_names()), sent)
        return job.close()

    def open_job(self, **options: Unpack[JobOptions]) -> Job:
        """Create a job without pictures. `Job.add_uploads` and `Job.add_items` add them, until `Job.close`."""
        return self._submit(json_body({**json_members(options), "open": True}), options)

    def submit_archive(
        self,
        archive: Sendable,
        *,
        columns: Mapping[str, str] | None = None,
        sent: Sent | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Submit a ZIP, TAR or TAR.GZ file of pictures. A worker reads it.

        `columns`: as in `submit_manifest`, of a table inside the archive.
        """
        return self._submit_files("archive", [archive], sent, options, columns)

    def submit_manifest(
        self,
        manifest: Sendable,
        *,
        columns: Mapping[str, str] | None = None,
        sent: Sent | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Submit a list of pictures: CSV, Excel (.xlsx), a product feed in XML, JSONL, or one URL per line.

        `columns` says what columns mean that have unusual names, such as `{"Bild": "url", "Nummer": "sku"}`. `columns`
        of the job's state says what the service has understood.
        """
        return self._submit_files("manifest", [manifest], sent, options, columns)

    def submit_items(self, items: Iterable[UrlItem | str], **options: Unpack[JobOptions]) -> Job:
        """Submit URLs of pictures, with or without details. Workers fetch them."""
        return self._submit(json_body({**json_members(options), "items": url_rows(items)}), options)

    def crawl(
        self,
        start_urls: str | Iterable[str] = (),
        *,
        recipe: str | None = None,
        query: str | None = None,
        limits: CrawlLimits | None = None,
        since: Job | str | None = None,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Crawl a shop, starting from pages, listings, sitemaps or feeds. Its pictures become the job's items.

        `recipe` is the name of a site recipe, `query` a word to search for. `since` is a finished crawl that is to
        be repeated: pictures that have not changed are not downloaded again, and options that are not given are taken
        from that crawl.
        """
        urls = [start_urls] if isinstance(start_urls, str) else list(start_urls)
        crawl = {
            "start_urls": urls or None,
            "recipe": recipe,
            "query": query,
            "limits": json_members(limits) if limits else None,
            "since": since.id if isinstance(since, Job) else since,
        }
        return self._submit(json_body({**json_members(options), "crawl": json_members(crawl)}), options)

    def job(self, job_id: str) -> Job:
        return Job.fetch(self._transport, job_id)

    def jobs(self, *, status: str | None = None, source: str | None = None, q: str | None = None) -> Iterator[Job]:
        """Yield jobs, newest first. `q` is a part of the name."""
        for row in self._transport.pages("/v1/jobs", {"status": status, "source": source, "q": q}):
            yield Job(self._transport, row)

    def item(self, item_id: str) -> Item:
        return read(Item, self._transport.request_object("GET", item_path(item_id)))

    def picture(self, item: Item | str) -> bytes:
        """Return the original bytes of an item's picture."""
        return self._transport.request("GET", f"{item_path(item)}/image").content

    def picture_urls(self, item: Item | str, expires_in: int | None = None) -> PictureUrls:
        """Return URLs that show an item's picture without a key, for `expires_in` seconds or a week."""
        path = f"{item_path(item)}/picture-urls"
        return read(PictureUrls, self._transport.request_object("GET", path, query={"expires_in": expires_in}))

    def review(self, item: Item | str, label: str, crop: Rectangle | None = None) -> ItemReview:
        """Review an item: `label` is the id of the correct label. A new review replaces an earlier one.

        `crop` is a better crop: the part of the picture that shows the label.
        """
        return self._review(item, {"label": label, "crop": crop})

    def reject(self, item: Item | str) -> ItemReview:
        """Review an item: no label of the model fits."""
        return self._review(item, {"rejected": True})

    def unreview(self, item: Item | str) -> None:
        """Remove the review of an item."""
        self._transport.request("DELETE", f"{item_path(item)}/review")

    def usage(self) -> Usage:
        """Return the usage and the remaining quota of this client's key."""
        return read(Usage, self._transport.request_object("GET", "/v1/usage"))

    def keys(self) -> Iterator[Key]:
        """Yield keys, newest first, including revoked ones. Needs the scope `admin`."""
        for row in self._transport.pages("/v1/keys"):
            yield read(Key, row)

    def create_key(
        self,
        name: str,
        scopes: Iterable[str] = ("submit", "read"),
        *,
        rate_limit: int | None = None,
        quota: int | None = None,
        owner: str | None = None,
    ) -> NewKey:
        """Create a key with some of the scopes submit, read, metrics and admin. Only this answer shows its `key`.

        `rate_limit` is in requests per minute, `quota` in pictures per calendar month. `owner` is that of another key,
        whose jobs the new one then sees, or a new name. Needs the scope `admin`.
        """
        body = {"name": name, "scopes": list(scopes), "rate_limit": rate_limit, "quota": quota, "owner": owner}
        return read(NewKey, self._transport.request_object("POST", "/v1/keys", body=json_body(json_members(body))))

    def rotate_key(self, key: Key | str, overlap_days: float = 7) -> NewKey:
        """Create a key with the owner, name, scopes and limits of another one, which works for some days still.

        Needs the scope `admin`.
        """
        body = json_body({"overlap_days": overlap_days})
        return read(NewKey, self._transport.request_object("POST", f"{_key_path(key)}/rotate", body=body))

    def revoke_key(self, key: Key | str) -> None:
        """Revoke a key permanently. The jobs of its owner remain. Needs the scope `admin`."""
        self._transport.request("DELETE", _key_path(key))

    def _review(self, item: Item | str, review: dict[str, object]) -> ItemReview:
        path = f"{item_path(item)}/review"
        return read(ItemReview, self._transport.request_object("PUT", path, body=json_body(review)))

    def _submit_files(
        self,
        field: str,
        files: Iterable[Sendable],
        sent: Sent | None,
        options: JobOptions,
        columns: Mapping[str, str] | None = None,
    ) -> Job:
        body = MultipartBody(
            form_fields({**options, "columns": dict(columns) if columns else None}), field, list(files)
        )
        if sent is not None:
            body.on_sent = sent
        return self._submit(body, options)

    def _submit(self, body: Body, options: JobOptions) -> Job:
        response = self._create("/v1/jobs", body, headers=prefer_header(options.get("prefer_wait")))
        return Job(self._transport, json_object(response), response.headers)

    def _create(
        self, path: str, body: Body, *, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self._transport.request(
            "POST", path, query=query, body=body, headers=headers, idempotency_key=uuid.uuid4().hex
        )


def _named_after(files: Sequence[Upload], options: JobOptions) -> JobOptions:
    """Return options with a name: the given one, or the one that the service gives to a job of files."""
    named = options.copy()
    named["name"] = options.get("name") or f"{files[0].sent_name[:180]} +{len(files) - 1}"
    return named


def _key_path(key: Key | str) -> str:
    return f"/v1/keys/{quote(key if isinstance(key, str) else key.id, safe='')}"
