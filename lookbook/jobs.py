"""A job, and what can be done with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import httpx

from lookbook.answers import Counts, Delivery, Item, ItemReview, JobState, Summary
from lookbook.crawl_answers import CrawlUrl
from lookbook.errors import Error, WaitTimeout
from lookbook.reading import read
from lookbook.retrying import retry_after
from lookbook.transport import Transport, json_object

TERMINAL = frozenset({"completed", "canceled", "failed"})
EXPORT_FORMATS = ("csv", "jsonl", "parquet")
POLL_SECONDS = 1.0
"""Between two looks, where the service does not say when the next one makes sense."""


class ItemFilter(TypedDict, total=False):
    """Which items of a job are wanted. What is None is as if it were not given."""

    status: str | None
    """pending, succeeded, failed or canceled."""
    label: str | None
    group: str | None
    min_confidence: float | None
    max_confidence: float | None
    reviewed: bool | None
    duplicates: str | None
    """hide: without those that have `duplicate_of`."""


class Job:
    """A job as it stood when the service was last asked (`state`), and what can be done with it."""

    def __init__(
        self, transport: Transport, answer: dict[str, Any], headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._transport = transport
        self._hear(answer, headers)

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.status}, {self.counts.pending:,} of {self.counts.total:,} pending>"

    @classmethod
    def asked(cls, transport: Transport, job_id: str) -> Job:
        """The job of this id, as the service knows it."""
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
        """Whether it is completed, canceled or failed."""
        return self.status in TERMINAL

    @property
    def page(self) -> str:
        """The URL of its page, for people."""
        return self._transport.url + self.state.links["page"]

    def refresh(self) -> bool:
        """Ask how it stands; whether anything has changed."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        response = self._transport.request("GET", self._path, headers=headers)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            self._pause = _pause(response.headers)
            return False
        self._hear(json_object(response), response.headers)
        return True

    def wait(self, *, progress: Callable[[Job], object] | None = None, timeout: float | None = None) -> Job:
        """Look again and again until it is over; itself, then. It may be completed, canceled or failed.

        `progress` is called with the job at once and whenever something has changed; `timeout` is in seconds.

        Raises:
            WaitTimeout: it is not over after `timeout` seconds. It goes on.
        """
        give_up = None if timeout is None else time.monotonic() + timeout
        changed = True
        while True:
            if changed and progress is not None:
                progress(self)
            if self.over:
                return self
            pause = self._pause
            if give_up is not None and timeout is not None:
                left = give_up - time.monotonic()
                if left <= 0:
                    raise WaitTimeout(f"{self.id} is still {self.status} after {timeout:g} s; it goes on")
                pause = min(pause, left)
            self._transport.sleep(pause)
            changed = self.refresh()

    def items(self, *, sort: str | None = None, **wanted: Unpack[ItemFilter]) -> Iterator[Item]:
        """Its items, page after page as they are used up; `sort` is position or confidence (doubtful ones first)."""
        for row in self._transport.pages(f"{self._path}/items", {"sort": sort, **wanted}):
            yield read(Item, row)

    def summary(self) -> Summary:
        return read(Summary, self._transport.object("GET", f"{self._path}/summary"))

    def reviews(self) -> Iterator[ItemReview]:
        """What people said of its predictions, by position."""
        for row in self._transport.pages(f"{self._path}/reviews"):
            yield read(ItemReview, row)

    def urls(self, *, kind: str | None = None, state: str | None = None) -> Iterator[CrawlUrl]:
        """Every URL that a crawl met, in that order, with what became of it; other jobs have none."""
        for row in self._transport.pages(f"{self._path}/urls", {"kind": kind, "state": state}):
            yield read(CrawlUrl, row)

    def export(self, target: str | os.PathLike[str], format: str | None = None, **wanted: Unpack[ItemFilter]) -> int:
        """Write its items to a file, which changes only once all of it is there; how many bytes it has.

        `format` is csv, jsonl or parquet; the ending of the file's name says it otherwise.
        """
        path = Path(target)
        chosen = format or path.suffix.removeprefix(".").lower()
        if chosen not in EXPORT_FORMATS:
            raise Error(f"expected a format among {', '.join(EXPORT_FORMATS)}, got {chosen or path.name!r}")
        return self._transport.download(f"{self._path}/export", path, {"format": chosen, **wanted})

    def export_blocks(self, format: str, **wanted: Unpack[ItemFilter]) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of an export as they come: `with job.export_blocks("csv") as blocks: …`."""
        return self._transport.stream(f"{self._path}/export", {"format": format, **wanted})

    def cancel(self) -> Job:
        """Ask it to stop. It is canceled once no worker has any of it in hand (`wait` waits for that)."""
        return self._do("cancel", repeatable=True)

    def retry(self) -> Job:
        """Have its failed items tried again."""
        return self._do("retry", repeatable=False)

    def delete(self) -> None:
        """Delete it, its items, and the pictures that no other job uses. It must be over."""
        self._transport.request("DELETE", self._path)

    def deliveries(self) -> Iterator[Delivery]:
        """What its webhook was told, newest first."""
        for row in self._transport.pages(f"{self._path}/deliveries"):
            yield read(Delivery, row)

    def replay(self, delivery: Delivery | str) -> Delivery:
        """Tell its webhook again: same id, same body."""
        given = delivery if isinstance(delivery, str) else delivery.id
        path = f"{self._path}/deliveries/{quote(given, safe='')}/replay"
        return read(Delivery, self._transport.object("POST", path, repeatable=True))

    @property
    def _path(self) -> str:
        return job_path(self.id)

    def _do(self, action: str, *, repeatable: bool) -> Job:
        response = self._transport.request("POST", f"{self._path}/{action}", repeatable=repeatable)
        self._hear(json_object(response), response.headers)
        return self

    def _hear(self, answer: dict[str, Any], headers: Mapping[str, str]) -> None:
        self.state = read(JobState, answer)
        self._etag = headers.get("ETag", "")
        self._pause = _pause(headers)


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds until the next look makes sense."""
    wanted = retry_after(headers)
    return POLL_SECONDS if wanted is None else wanted


def job_path(job_id: str) -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}"
