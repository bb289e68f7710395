"""A job, and the operations on it."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Unpack
from urllib.parse import quote

import httpx

from lookbook.answers import (
    ChangedReviews,
    Counts,
    Delivery,
    Item,
    ItemReview,
    JobState,
    NewShare,
    ReviewChange,
    Share,
    Summary,
)
from lookbook.comparison_answers import Comparison, Pair
from lookbook.crawl_answers import CrawlUrl
from lookbook.errors import Error, WaitTimeout
from lookbook.filters import ExportOptions, ItemFilter, ProductFilter
from lookbook.hint_answers import Hints
from lookbook.label_answers import ImportedReviews
from lookbook.map_answers import MapPoints, MapState
from lookbook.model_answers import JobDrift
from lookbook.multipart import Sendable, Sent, to_upload
from lookbook.open_uploads import add_batches, batches_to_send
from lookbook.options import JobOptions, ReviewOption, UrlItem, json_members, prefer_header
from lookbook.product_answers import ProductVerdict
from lookbook.reading import read
from lookbook.retrying import retry_after
from lookbook.transport import Transport, job_path, json_object, lines_of
from lookbook.trust_answers import Acceptance, Trust
from lookbook.uploads import BytesBody, json_body, url_rows

FINISHED = frozenset({"completed", "canceled", "failed"})
EXPORT_FORMATS = ("csv", "jsonl", "parquet")
LABEL_FORMATS = ("label-studio", "coco", "fiftyone")
"""Formats for label tools. Only items have them."""
POLL_SECONDS = 1.0
"""Seconds between two requests for the state of a job if the service sends no `Retry-After`."""


class Job:
    """A job. `state` is its state when the service was last asked."""

    def __init__(
        self, transport: Transport, answer: dict[str, Any], headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._transport = transport
        self._update(answer, headers)

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.status}, {self.counts.pending:,} of {self.counts.total:,} pending>"

    @classmethod
    def fetch(cls, transport: Transport, job_id: str) -> Job:
        """Return the job with this id from the service."""
        response = transport.request("GET", job_path(job_id))
        return cls(transport, json_object(response), response.headers)

    @property
    def id(self) -> str:
        return self.state.id

    @property
    def name(self) -> str:
        return self.state.name

    @property
    def status(self) -> str:
        """queued, running, completed, canceled or failed."""
        return self.state.status

    @property
    def counts(self) -> Counts:
        return self.state.counts

    @property
    def over(self) -> bool:
        """Whether the job is completed, canceled or failed."""
        return self.status in FINISHED

    @property
    def page(self) -> str:
        """The URL of the job's web page."""
        return self._transport.url + self.state.links["page"]

    def refresh(self) -> bool:
        """Ask the service for the state of the job. Return whether it has changed."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = self._transport.request("GET", self._path, headers=headers)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            self._pause = _pause(response.headers)
            return False
        self._update(json_object(response), response.headers)
        return True

    def wait(self, *, progress: Callable[[Job], object] | None = None, timeout: float | None = None) -> Job:
        """Wait until the job is completed, canceled or failed, and return it.

        `progress` is called with the job at the start and after each change. `timeout` is in seconds.

        Raises:
            WaitTimeout: the job is not finished after `timeout` seconds. It continues.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        changed = True
        while True:
            if changed and progress is not None:
                progress(self)
            if self.over:
                return self
            pause = self._pause
            if deadline is not None and timeout is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(f"{self.id} is still {self.status} after {timeout:g} s. It continues")
                pause = min(pause, left)
            self._transport.sleep(pause)
            changed = self.refresh()

    def items(self, *, sort: str | None = None, **filters: Unpack[ItemFilter]) -> Iterator[Item]:
        """Yield the job's items. Each page is requested when it is needed.

        `sort` is position, confidence (lowest first) or a hint: doubt, surprise, mislabelled, unknown or diverse.
        """
        for row in self._transport.pages(f"{self._path}/items", {"sort": sort, **filters}):
            yield read(Item, row)

    def item_names(self) -> Iterator[str]:
        """Yield the names of the job's items, in one request, by position."""
        with self.export_blocks("jsonl") as blocks:
            for line in lines_of(blocks):
                yield str(json.loads(line)["source_name"])

    def add_uploads(self, files: Iterable[Sendable], *, sent: Sent | None = None) -> None:
        """Add files to an open job, in several requests at once.

        The items are not in the order of the files, because requests overtake each other.

        Raises:
            UploadInterrupted: not all files have arrived. `Client.resume_uploads` sends the others.
        """
        batches = batches_to_send(map(to_upload, files), upload=uuid.uuid4().hex)
        add_batches(self._transport, self.id, batches, sent)
        self.refresh()

    def add_items(self, items: Iterable[UrlItem | str]) -> None:
        """Add URLs of pictures to an open job, with or without details. Workers fetch them."""
        body = json_body({"items": url_rows(items)})
        self._transport.request("POST", f"{self._path}/items", body=body, idempotency_key=uuid.uuid4().hex)
        self.refresh()

    def close(self) -> Job:
        """Close an open job: nothing is added to it any more, and it ends when its pictures are classified."""
        return self._post("close", repeatable=True)

    def products(self, **filters: Unpack[ProductFilter]) -> Iterator[ProductVerdict]:
        """Yield the products of the job, each with the verdict of its photos, in the order of the product ids."""
        for row in self._transport.pages(f"{self._path}/products", dict(filters)):
            yield read(ProductVerdict, row)

    def summary(self) -> Summary:
        return read(Summary, self._transport.request_object("GET", f"{self._path}/summary"))

    def drift(self) -> JobDrift:
        """Return how far the job's predictions are from those on the validation pictures of its model."""
        return read(JobDrift, self._transport.request_object("GET", f"{self._path}/drift"))

    def trust(self, target: float = 0.98) -> Trust:
        """Return from which confidence on the predictions are right with the precision `target` (0.5 to below 1)."""
        return read(Trust, self._transport.request_object("GET", f"{self._path}/trust", query={"target": target}))

    def accept(self, thresholds: float | Mapping[str, float], target: float | None = None) -> Acceptance:
        """Accept what is predicted by now from a threshold of confidence on, or from that of each label on.

        Items with a review are not among them. `target` is only remembered. A policy replaces an earlier one.
        """
        chosen = {"thresholds": dict(thresholds)} if isinstance(thresholds, Mapping) else {"threshold": thresholds}
        body = json_body({**chosen, **({} if target is None else {"target": target})})
        path = f"{self._path}/acceptance"
        return read(Acceptance, self._transport.request_object("POST", path, body=body, repeatable=True))

    def unaccept(self) -> None:
        """Remove the policy, so that nothing is accepted by it any more."""
        self._transport.request("DELETE", f"{self._path}/acceptance")

    def map(self) -> MapState:
        """Return the state of the job's map."""
        return read(MapState, self._transport.request_object("GET", f"{self._path}/map"))

    def make_map(self, *, progress: Callable[[MapState], object] | None = None) -> MapState:
        """Have the map of the job made if it is missing or outdated, and wait for it. Return its state.

        `progress` is called with each state while the map is made. The map of 10,000 pictures takes half a minute.
        """
        state = read(MapState, self._transport.request_object("POST", f"{self._path}/map", repeatable=True))
        while state.status in {"waiting", "computing"}:
            if progress is not None:
                progress(state)
            self._transport.sleep(POLL_SECONDS)
            state = self.map()
        return state

    def map_points(self) -> MapPoints:
        """Return the points of the job's map, which `make_map` has made."""
        return read(MapPoints, self._transport.request_object("GET", f"{self._path}/map/points"))

    def hints(self) -> Hints:
        """Return how many items deserve a look first, and why."""
        return read(Hints, self._transport.request_object("GET", f"{self._path}/hints"))

    def compute_hints(self) -> Hints:
        """Have the hints computed again, for example after reviews. The answer is what is known until then."""
        return read(Hints, self._transport.request_object("POST", f"{self._path}/hints", repeatable=True))

    def reviews(self) -> Iterator[ItemReview]:
        """Yield the reviews of the job's predictions, by position."""
        for row in self._transport.pages(f"{self._path}/reviews"):
            yield read(ItemReview, row)

    def change_reviews(self, changes: Iterable[ReviewOption | ReviewChange]) -> ChangedReviews:
        """Store, replace or remove the reviews of up to 1,000 items: all of them or none.

        The answer's `before` undoes it: `job.change_reviews(changed.before)`.
        """
        rows = [change.raw if isinstance(change, ReviewChange) else change for change in changes]
        # Repeating it stores the same reviews, but then `before` would no longer be what it was.
        answer = self._transport.request_object("POST", f"{self._path}/reviews", body=json_body({"reviews": rows}))
        return read(ChangedReviews, answer)

    def import_reviews(self, file: str | os.PathLike[str] | bytes) -> ImportedReviews:
        """Store the labels that people gave in a label tool as reviews. `file` is a path, or the bytes of a file.

        Taken are the JSON of Label Studio, COCO, and `labels.json` of FiftyOne. A repetition changes nothing.
        """
        data = file if isinstance(file, bytes) else Path(file).read_bytes()
        body = BytesBody(data, "application/json")
        path = f"{self._path}/reviews/import"
        return read(ImportedReviews, self._transport.request_object("POST", path, body=body, repeatable=True))

    def labelling_config(self) -> str:
        """Return the labelling configuration (XML) for a project of Label Studio with the labels of the job's model."""
        return self._transport.request("GET", f"{self._path}/labelling-config").text

    def urls(self, *, kind: str | None = None, state: str | None = None) -> Iterator[CrawlUrl]:
        """Yield the URLs that a crawl found, in that order. Other jobs have none."""
        for row in self._transport.pages(f"{self._path}/urls", {"kind": kind, "state": state}):
            yield read(CrawlUrl, row)

    def export(
        self, target: str | os.PathLike[str], format: str | None = None, **filters: Unpack[ExportOptions]
    ) -> int:
        """Write the job's items to a file and return its size in bytes. The file changes only after a full download.

        `format` is csv, jsonl or parquet, or label-studio, coco or fiftyone for label tools. Without it, the ending of
        the file's name decides, such as `.csv` or `.coco.json`.
        """
        path = Path(target)
        query = {"format": _format(path, format, (*EXPORT_FORMATS, *LABEL_FORMATS)), **filters}
        return self._transport.download(f"{self._path}/export", path, query)

    def export_blocks(self, format: str, **filters: Unpack[ExportOptions]) -> AbstractContextManager[Iterator[bytes]]:
        """Return the bytes of an export as they arrive: `with job.export_blocks("csv") as blocks: …`."""
        return self._transport.stream(f"{self._path}/export", {"format": format, **filters})

    def export_products(
        self, target: str | os.PathLike[str], format: str | None = None, **filters: Unpack[ProductFilter]
    ) -> int:
        """Write the job's products to a file, one row each, as `export` does with items."""
        path = Path(target)
        query = {"format": _format(path, format, EXPORT_FORMATS), **filters}
        return self._transport.download(f"{self._path}/products/export", path, query)

    def export_product_blocks(
        self, format: str, **filters: Unpack[ProductFilter]
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Return the bytes of an export of the products as they arrive."""
        return self._transport.stream(f"{self._path}/products/export", {"format": format, **filters})

    def cancel(self) -> Job:
        """Cancel the job. Its status changes once no worker holds any of it; `wait` waits for that."""
        return self._post("cancel", repeatable=True)

    def retry(self) -> Job:
        """Retry the failed items for which another attempt may help (`state.retryable`)."""
        return self._post("retry", repeatable=False)

    def rename(self, name: str) -> Job:
        """Give the job another name, of 1 to 200 characters."""
        return self._change({"name": name})

    def expire(self, at: datetime | None) -> Job:
        """Set when the job is deleted, with a time zone. None: after the retention of the service, from now on."""
        return self._change({"expires_at": None if at is None else at.isoformat()})

    def rerun(
        self, options: JobOptions, filters: ItemFilter | None = None, *, item_ids: Iterable[str] | None = None
    ) -> Job:
        """Classify the stored pictures of the job again, as a new job. Nothing is uploaded.

        `options` are those of a submission, for example `{"model": "garments@4"}`. `filters` and `item_ids` choose some
        of the items.
        """
        rerun: dict[str, Any] = {**json_members(filters or {}), "job": self.id}
        if item_ids is not None:
            rerun["items"] = list(item_ids)
        response = self._transport.request(
            "POST",
            "/v1/jobs",
            body=json_body({**json_members(options), "rerun": rerun}),
            headers=prefer_header(options.get("prefer_wait")),
            idempotency_key=uuid.uuid4().hex,
        )
        return Job(self._transport, json_object(response), response.headers)

    def compare(self, other: Job | str) -> Comparison:
        """Compare the labels of this job and another one for the same pictures (the same bytes and crop)."""
        query = {"with": _id_of(other)}
        return read(Comparison, self._transport.request_object("GET", f"{self._path}/compare", query=query))

    def compare_items(self, other: Job | str, before: str | None = None, after: str | None = None) -> Iterator[Pair]:
        """Yield the pictures whose labels differ in another job, in the order of this job.

        `before` is the label in this job and `after` the one in the other job. The empty text means that no label fits.
        """
        query = {"with": _id_of(other), "from": before, "to": after}
        for row in self._transport.pages(f"{self._path}/compare/items", query):
            yield read(Pair, row)

    def share(self, expires_at: datetime | None = None) -> NewShare:
        """Create a link that shows the job to people without a key, until `expires_at` or for seven days.

        `url` of the answer is the path of the link at the service. No later answer shows it again.
        """
        body = {} if expires_at is None else {"expires_at": expires_at.isoformat()}
        return read(NewShare, self._transport.request_object("POST", f"{self._path}/shares", body=json_body(body)))

    def shares(self) -> Iterator[Share]:
        """Yield the links to the job, newest first, including ended ones."""
        for row in self._transport.pages(f"{self._path}/shares"):
            yield read(Share, row)

    def unshare(self, share: Share | str) -> None:
        """Revoke a link to the job."""
        share_id = share if isinstance(share, str) else share.id
        self._transport.request("DELETE", f"{self._path}/shares/{quote(share_id, safe='')}")

    def delete(self) -> None:
        """Delete the job, its items, and the pictures that no other job uses. The job must be finished."""
        self._transport.request("DELETE", self._path)

    def deliveries(self) -> Iterator[Delivery]:
        """Yield the deliveries to the job's webhook, newest first."""
        for row in self._transport.pages(f"{self._path}/deliveries"):
            yield read(Delivery, row)

    def replay(self, delivery: Delivery | str) -> Delivery:
        """Send a delivery to the webhook again, with the same id and body."""
        delivery_id = delivery if isinstance(delivery, str) else delivery.id
        path = f"{self._path}/deliveries/{quote(delivery_id, safe='')}/replay"
        return read(Delivery, self._transport.request_object("POST", path, repeatable=True))

    @property
    def _path(self) -> str:
        return job_path(self.id)

    def _post(self, action: str, *, repeatable: bool) -> Job:
        response = self._transport.request("POST", f"{self._path}/{action}", repeatable=repeatable)
        self._update(json_object(response), response.headers)
        return self

    def _change(self, changes: dict[str, object]) -> Job:
        response = self._transport.request("PATCH", self._path, body=json_body(changes), repeatable=True)
        self._update(json_object(response), response.headers)
        return self

    def _update(self, answer: dict[str, Any], headers: Mapping[str, str]) -> None:
        self.state = read(JobState, answer)
        self._etag = headers.get("ETag", "")
        self._pause = _pause(headers)


def _pause(headers: Mapping[str, str]) -> float:
    """Return the seconds until the next request for the state makes sense."""
    requested = retry_after(headers)
    return POLL_SECONDS if requested is None else requested


def _format(path: Path, format: str | None, allowed: Sequence[str]) -> str:
    """Return the format of an export: the given one, or that of the ending of the file's name."""
    endings = [suffix.removeprefix(".").lower() for suffix in path.suffixes]
    # The formats for label tools are JSON, so that the ending before it names them.
    file_format = format or (endings[-2] if endings[-1:] == ["json"] and endings[:-1] else "".join(endings[-1:]))
    if file_format not in allowed:
        raise Error(f"expected a format among {', '.join(allowed)}, got {file_format or path.name!r}")
    return file_format


def _id_of(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id
