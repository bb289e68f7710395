"""The client: where everything begins."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Unpack
from urllib.parse import quote

import httpx

from lookbook.answers import (
    Item,
    ItemReview,
    Key,
    Labels,
    ModelVersion,
    ModelVersionDetail,
    NewKey,
    Promotion,
    Usage,
)
from lookbook.errors import ProblemError, WaitTimeout
from lookbook.jobs import POLL_SECONDS, Job
from lookbook.multipart import MultipartBody, Sendable, Sent
from lookbook.options import ClassificationOptions, CrawlLimits, JobOptions, UrlItem, fields, members, prefer
from lookbook.reading import read
from lookbook.retrying import retry_after
from lookbook.transport import Body, Query, Transport, json_object
from lookbook.uploads import BytesBody, json_body

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """A Lookbook service.

    `url` and `key` come from LOOKBOOK_URL and LOOKBOOK_KEY if they are not given. What the service refuses for the
    moment (429, 503), and what gets no answer, is tried again up to `retries` times, after growing pauses or after as
    many seconds as the service asks for (`Retry-After`). Jobs and classifications carry an Idempotency-Key, so that
    none is made twice. `timeout` is for how many seconds nothing may move.

    Every method may raise `ProblemError` (the service refuses), `NotReached` or `UnexpectedAnswer`: each an `Error`.
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
        """Close its connections."""
        self._transport.close()

    @property
    def url(self) -> str:
        return self._transport.url

    def ping(self) -> None:
        """Ask once whether the service is there.

        Raises:
            NotReached: it is not.
        """
        self._transport.object("GET", "/healthz", retries=0)

    def classify(
        self,
        picture: str | os.PathLike[str] | bytes,
        *,
        timeout: float = 60.0,
        **options: Unpack[ClassificationOptions],
    ) -> Item:
        """Classify one picture, ahead of all bulk work: a file, the bytes of one, or a URL (http or https).

        Raises:
            ProblemError: it cannot be classified; `code` says why.
            WaitTimeout: it is not classified after `timeout` seconds.
        """
        query: Mapping[str, str] = {}
        body: Body
        if isinstance(picture, bytes):
            body, query = BytesBody(picture, "application/octet-stream"), fields(options)
        elif is_url(picture):
            body = json_body({"url": picture, **members(options)})
        else:
            body = MultipartBody(fields(options), "image", [picture])
        give_up = time.monotonic() + timeout
        response = self._create("/v1/classifications", body, query=query, headers=prefer(timeout))
        while True:
            item = read(Item, json_object(response))
            if item.error is not None:
                status = httpx.codes.UNPROCESSABLE_ENTITY
                raise ProblemError(status, item.error.code, item.error.detail)
            if item.status != "pending":
                return item
            left = give_up - time.monotonic()
            if left <= 0:
                raise WaitTimeout(f"{item.id} is still pending after {timeout:g} s")
            self._transport.sleep(min(left, retry_after(response.headers) or POLL_SECONDS))
            response = self._transport.request("GET", item_path(item.id))

    def submit_uploads(
        self, files: Iterable[Sendable], *, sent: Sent | None = None, **options: Unpack[JobOptions]
    ) -> Job:
        """Submit files, each opened when its turn comes; `pictures_in(folder)` lists those of a folder."""
        return self._submit_files("images", files, sent, options)

    def submit_archive(self, archive: Sendable, *, sent: Sent | None = None, **options: Unpack[JobOptions]) -> Job:
        """Submit a ZIP, TAR or TAR.GZ file of pictures; a worker expands it."""
        return self._submit_files("archive", [archive], sent, options)

    def submit_manifest(self, manifest: Sendable, *, sent: Sent | None = None, **options: Unpack[JobOptions]) -> Job:
        """Submit a CSV or JSONL file that names a picture's URL in each row; a worker reads it."""
        return self._submit_files("manifest", [manifest], sent, options)

    def submit_items(self, items: Iterable[UrlItem | str], **options: Unpack[JobOptions]) -> Job:
        """Submit URLs, alone or with what belongs to each; workers fetch them."""
        rows = [{"url": item} if isinstance(item, str) else item for item in items]
        return self._submit(json_body({**members(options), "items": rows}), options)

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
        """Have a shop crawled, from pages, listings, sitemaps or feeds on; its pictures are the job's items.

        `recipe` is the name of a site recipe, `query` the word to search for. With `since`, a crawl that is over, it is
        done again: what has not changed is not downloaded anew, and what is not given here is as it was then.
        """
        urls = [start_urls] if isinstance(start_urls, str) else list(start_urls)
        crawl = {
            "start_urls": urls or None,
            "recipe": recipe,
            "query": query,
            "limits": members(limits) if limits else None,
            "since": since.id if isinstance(since, Job) else since,
        }
        return self._submit(json_body({**members(options), "crawl": members(crawl)}), options)

    def job(self, job_id: str) -> Job:
        return Job.asked(self._transport, job_id)

    def jobs(self, *, status: str | None = None, source: str | None = None, q: str | None = None) -> Iterator[Job]:
        """Jobs, newest first; `q` is a part of the name."""
        for row in self._transport.pages("/v1/jobs", {"status": status, "source": source, "q": q}):
            yield Job(self._transport, row)

    def item(self, item_id: str) -> Item:
        return read(Item, self._transport.object("GET", item_path(item_id)))

    def picture(self, item: Item | str) -> bytes:
        """The bytes of an item's picture, as they came."""
        return self._transport.request("GET", f"{item_path(item)}/image").content

    def review(self, item: Item | str, label: str) -> ItemReview:
        """Say which label (its id) an item shows: another than the predicted one, or the same. The last one counts."""
        return self._review(item, {"label": label})

    def reject(self, item: Item | str) -> ItemReview:
        """Say that no label of the model fits an item."""
        return self._review(item, {"rejected": True})

    def unreview(self, item: Item | str) -> None:
        """Take back what was said of an item."""
        self._transport.request("DELETE", f"{item_path(item)}/review")

    def models(self) -> Iterator[ModelVersion]:
        """Model versions with their aliases and figures."""
        for row in self._transport.pages("/v1/models"):
            yield read(ModelVersion, row)

    def model(self, name: str, version: str) -> ModelVersionDetail:
        """One model version with its labels and card."""
        path = f"/v1/models/{quote(name, safe='')}/{quote(version, safe='')}"
        return read(ModelVersionDetail, self._transport.object("GET", path))

    def labels(self, model: str = "production") -> Labels:
        """Labels and groups of a model: name, name@version or alias."""
        return read(Labels, self._transport.object("GET", "/v1/labels", query={"model": model}))

    def promote(
        self,
        name: str,
        version: str,
        *,
        progress: Callable[[Promotion], object] | None = None,
        timeout: float = 120.0,
    ) -> Promotion:
        """Make a model version `production` as soon as every worker that is alive has loaded it.

        `progress` is called after each look at which have.

        Raises:
            WaitTimeout: some have not loaded it after `timeout` seconds; nothing has changed.
        """
        give_up = time.monotonic() + timeout
        path = f"/v1/models/{quote(name, safe='')}/promote"
        while True:
            response = self._transport.request("POST", path, body=json_body({"version": version}), repeatable=True)
            promotion = read(Promotion, json_object(response))
            if progress is not None:
                progress(promotion)
            if promotion.promoted:
                return promotion
            if time.monotonic() > give_up:
                missing = ", ".join(promotion.waiting_for)
                late = f"not loaded after {timeout:g} s by {missing}; their logs say why"
                raise WaitTimeout(f"{name}@{version} stays a candidate: {late}")
            self._transport.sleep(retry_after(response.headers) or POLL_SECONDS)

    def usage(self) -> Usage:
        """What this client's key submitted, and may still submit."""
        return read(Usage, self._transport.object("GET", "/v1/usage"))

    def keys(self) -> Iterator[Key]:
        """Keys, newest first, the revoked ones included (with the scope `admin`, as the next two)."""
        for row in self._transport.pages("/v1/keys"):
            yield read(Key, row)

    def create_key(
        self,
        name: str,
        scopes: Iterable[str] = ("submit", "read"),
        *,
        rate_limit: int | None = None,
        quota: int | None = None,
    ) -> NewKey:
        """Make a key of some of the scopes submit, read and admin; its `key` is told this once.

        `rate_limit` is in requests per minute, `quota` in pictures per calendar month.
        """
        wanted = {"name": name, "scopes": list(scopes), "rate_limit": rate_limit, "quota": quota}
        return read(NewKey, self._transport.object("POST", "/v1/keys", body=json_body(members(wanted))))

    def revoke_key(self, key: Key | str) -> None:
        """Make a key useless for ever. Its jobs stay."""
        given = key if isinstance(key, str) else key.id
        self._transport.request("DELETE", f"/v1/keys/{quote(given, safe='')}")

    def _review(self, item: Item | str, verdict: dict[str, object]) -> ItemReview:
        path = f"{item_path(item)}/review"
        return read(ItemReview, self._transport.object("PUT", path, body=json_body(verdict)))

    def _submit_files(self, field: str, files: Iterable[Sendable], sent: Sent | None, options: JobOptions) -> Job:
        body = MultipartBody(fields(options), field, list(files))
        if sent is not None:
            body.on_sent = sent
        return self._submit(body, options)

    def _submit(self, body: Body, options: JobOptions) -> Job:
        response = self._create("/v1/jobs", body, headers=prefer(options.get("prefer_wait")))
        return Job(self._transport, json_object(response), response.headers)

    def _create(
        self, path: str, body: Body, *, query: Query | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return self._transport.request(
            "POST", path, query=query, body=body, headers=headers, idempotency_key=uuid.uuid4().hex
        )


def is_url(picture: str | os.PathLike[str]) -> bool:
    return isinstance(picture, str) and picture.lower().startswith(("http://", "https://"))


def item_path(item: Item | str) -> str:
    return f"/v1/items/{quote(item if isinstance(item, str) else item.id, safe='')}"
