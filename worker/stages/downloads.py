"""Downloads many pictures at once, with a fixed number of threads and few connections to each host.

Waiting URLs are kept in one queue per host. A thread takes the first URL of the next host to which a request may begin
now. A slow shop therefore occupies only as many threads as it may have connections, and all other hosts go on.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from core import metrics
from core.clock import utc_now
from core.errors import LookbookError
from core.fetching import Fetcher
from core.fetching.politeness import Clock, HostSchedule, requested_pause
from core.fetching.urls import parse_url
from core.item_errors import EmptyFile, FetchFailed, ItemError
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore

log = structlog.get_logger(__name__)

MAX_TRIES = 3
"""Maximum number of requests for a URL. An error that another try cannot fix makes the item fail at once."""
RETRY_WINDOW_SECONDS = 10.0
"""A URL that fails later than this after its first try is not tried again, because it has had its time already."""
FIRST_RETRY_PAUSE_SECONDS = 0.5
"""Pause before the second try. It doubles before each further try."""
MAX_PAUSE_SECONDS = 10.0
"""The longest `Retry-After` that is waited for. If a server asks for more, the URL fails,
and its host is left alone for this long."""


class PauseRequested(FetchFailed):
    """The server asks for a pause (429 or 503 with `Retry-After`)."""

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds


class Downloader(Protocol):
    """Downloads one picture. Tests replace it, so that they need no network."""

    def download(self, url: str) -> BlobWriter:
        """Return the picture's bytes, finished and not yet in the store.

        Raises:
            ItemError: the picture cannot be downloaded; PauseRequested is one of them.
            StorageFull, BlobStoreUnavailable: the bytes cannot be kept.
        """
        ...


class PictureFetcher:
    """Downloads pictures with the guarded fetcher."""

    def __init__(self, fetcher: Fetcher, blobs: BlobStore) -> None:
        self._fetcher = fetcher
        self._blobs = blobs

    def download(self, url: str) -> BlobWriter:
        writer = self._blobs.writer()
        try:
            fetched = self._fetcher.download(url, writer.write)
            pause = requested_pause(fetched, utc_now())
            if pause is not None:
                raise PauseRequested(f"expected status 200, got {fetched.status}", pause)
            fetched.expect_ok()
            if fetched.size == 0:
                raise EmptyFile("expected a picture, got an empty body")
            writer.finish()
        except BaseException:
            writer.abort()
            raise
        return writer


@dataclass(slots=True, eq=False)
class _Download:
    """One URL of a batch, queued or in progress."""

    url: str
    host: str
    batch: DownloadBatch
    not_before: float = 0.0
    tries: int = 0
    began: float = 0.0
    """When the first try began."""


class DownloadPool:
    """Threads that download, and the URLs that wait for them."""

    def __init__(self, downloader: Downloader, *, threads: int, per_host: int, clock: Clock = time.monotonic) -> None:
        """`per_host`: maximum number of connections to one host at once."""
        self._downloader = downloader
        self._clock = clock
        self._schedule = HostSchedule(0.0, per_host, clock)
        self._queues: OrderedDict[str, list[_Download]] = OrderedDict()
        """Waiting downloads by host. The host that was served last is at the end."""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        for number in range(threads):
            threading.Thread(target=self._run, name=f"download-{number}", daemon=True).start()

    def start_batch(self, urls: Collection[str]) -> DownloadBatch:
        """Queue these URLs, each once, and return the batch to wait for. The caller closes it."""
        batch = DownloadBatch(self, len(urls))
        with self._changed:
            self._forget_idle_hosts()
            for url in urls:
                try:
                    host = parse_url(url).host
                except ItemError as error:
                    batch.finish(url, error)
                else:
                    self._queues.setdefault(host, []).append(_Download(url, host, batch))
            self._changed.notify_all()
        return batch

    def stop(self) -> None:
        """Begin no more downloads, and let the batches report that they need not be waited for."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """The number of URLs that have not begun, or wait for another try."""
        with self._changed:
            return sum(len(queue) for queue in self._queues.values())

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def drop_queued(self, batch: DownloadBatch) -> None:
        """Begin no more URLs of a batch. URLs that have begun are finished, with their further tries."""
        with self._changed:
            for host, queue in self._queues.items():
                kept = [download for download in queue if download.batch is not batch or download.tries]
                batch.expect_fewer(len(queue) - len(kept))
                self._queues[host] = kept

    def _run(self) -> None:
        while (download := self._take()) is not None:
            result = self._result(download)
            with self._changed:
                self._record(download, result)

    def _take(self) -> _Download | None:
        """Wait for the next URL that may be requested, and return it. Return None when the pool stops."""
        with self._changed:
            while not self.stopping:
                now = self._clock()
                for host, queue in self._queues.items():
                    download = self._first_ready(host, queue, now)
                    if download is None:
                        continue
                    queue.remove(download)
                    self._schedule.begin(host)
                    download.tries += 1
                    download.began = download.began or now
                    self._queues.move_to_end(host)
                    return download
                self._changed.wait(self._pause(now))
            return None

    def _first_ready(self, host: str, queue: list[_Download], now: float) -> _Download | None:
        if not queue or self._schedule.wait(host) > 0:
            return None
        return next((download for download in queue if download.not_before <= now), None)

    def _pause(self, now: float) -> float | None:
        """Return the seconds until a waiting URL may be requested, or None if only another thread can change that."""
        pauses = [
            max(self._schedule.wait(host), min(download.not_before for download in queue) - now)
            for host, queue in self._queues.items()
            if queue
        ]
        # Infinity: the host has all its connections in use. The thread that ends one of them takes the next URL itself.
        soonest = min(pauses, default=math.inf)
        return None if math.isinf(soonest) else soonest

    def _result(self, download: _Download) -> BlobWriter | Exception:
        began = time.monotonic()
        try:
            result = self._downloader.download(download.url)
        except Exception as error:  # noqa: BLE001 (raised in the thread that waits for the batch)
            metrics.FETCHES.labels(error.code if isinstance(error, LookbookError) else "error").inc()
            return error
        metrics.FETCHES.labels("ok").inc()
        metrics.FETCH_SECONDS.observe(time.monotonic() - began)
        return result

    def _record(self, download: _Download, result: BlobWriter | Exception) -> None:
        """Queue a download that is worth another try before those that have not begun. Finish any other."""
        now = self._clock()
        self._schedule.end(download.host)
        again = isinstance(result, ItemError) and result.retryable and download.tries < MAX_TRIES
        pause = FIRST_RETRY_PAUSE_SECONDS * 2 ** (download.tries - 1)
        if isinstance(result, PauseRequested):
            again, pause = again and result.seconds <= MAX_PAUSE_SECONDS, result.seconds
            self._schedule.pause(download.host, min(pause, MAX_PAUSE_SECONDS))
        if again and now - download.began < RETRY_WINDOW_SECONDS and not self.stopping:
            download.not_before = now + pause
            self._queues[download.host].insert(0, download)
            self._changed.notify()
        else:
            download.batch.finish(download.url, result)

    def _forget_idle_hosts(self) -> None:
        """Forget hosts without queued or running downloads and without a pause, so that the queues do not grow."""
        for host in [host for host, queue in self._queues.items() if not queue]:
            if self._schedule.forget_if_idle(host):
                del self._queues[host]


@dataclass(frozen=True, slots=True)
class DownloadPools:
    """The download threads of one worker process."""

    interactive: DownloadPool
    """For pictures that a client waits for."""
    bulk: DownloadPool
    """For all others."""

    def stop(self) -> None:
        """Begin no more downloads."""
        self.interactive.stop()
        self.bulk.stop()


class DownloadBatch:
    """URLs that one caller waits for together."""

    def __init__(self, pool: DownloadPool, size: int) -> None:
        self._pool = pool
        self._unfinished = size
        self._results: dict[str, BlobWriter | Exception] = {}
        self._closed = False
        self._changed = threading.Condition()

    def wait(self, seconds: float) -> bool:
        """Wait for up to `seconds`. Return whether all URLs are finished, or the pool stops."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unfinished, seconds)
            return not self._unfinished or self._pool.stopping

    def drop_rest(self) -> None:
        """Begin no more URLs of this batch."""
        self._pool.drop_queued(self)

    @property
    def results(self) -> dict[str, BlobWriter | Exception]:
        """The bytes or the error of each URL that is finished so far."""
        with self._changed:
            return dict(self._results)

    def finish(self, url: str, result: BlobWriter | Exception) -> None:
        """Note the result of a URL. Bytes that arrive after `close` are removed."""
        with self._changed:
            if self._closed and isinstance(result, BlobWriter):
                result.abort()
            self._results[url] = result
            self._unfinished -= 1
            self._changed.notify_all()

    def expect_fewer(self, count: int) -> None:
        """Wait no longer for `count` URLs that were dropped."""
        with self._changed:
            self._unfinished -= count
            self._changed.notify_all()

    def close(self) -> None:
        """Begin no more URLs, and remove the files of the bytes that came. Blobs that were committed stay."""
        self.drop_rest()
        with self._changed:
            self._closed = True
            for result in self._results.values():
                if isinstance(result, BlobWriter):
                    result.abort()
