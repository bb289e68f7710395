"""Downloading many pictures at once: a fixed number of threads, few of them for any one host, and patience with it.

What is waiting is kept by host. A thread takes the first URL of the next host, in turn, that may be asked now; so one
slow shop keeps as many threads as it may have connections, and all others go on.
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

from core.clock import utc_now
from core.errors import FetchFailed, ItemError, NotAnImage
from core.fetching import Fetcher
from core.fetching.politeness import Clock, HostSchedule, requested_pause
from core.fetching.urls import parse_url
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore

log = structlog.get_logger(__name__)

TRIES = 3
"""How often one URL is asked for before its item fails, if it is worth it."""
RETRIED_WITHIN_SECONDS = 10.0
"""A URL that has failed after more than that is not tried again: a whole deadline was enough."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 10.0
"""Back-off before the second try (and twice that before the third); the longest `Retry-After` that is waited for."""


class AskedToWait(FetchFailed):
    """The server wants to be left alone for a while."""

    def __init__(self, detail: str, seconds: float) -> None:
        super().__init__(detail)
        self.seconds = seconds


class Source(Protocol):
    """Where pictures come from."""

    def download(self, url: str) -> BlobWriter:
        """The picture's bytes, finished and not yet in the store.

        Raises:
            ItemError: there is no picture to be had; AskedToWait among them.
            StorageFull, BlobStoreUnavailable: it cannot be kept.
        """
        ...


class PictureFetcher:
    """Everything that the guarded fetcher may ask."""

    def __init__(self, fetcher: Fetcher, blobs: BlobStore) -> None:
        self._fetcher = fetcher
        self._blobs = blobs

    def download(self, url: str) -> BlobWriter:
        writer = self._blobs.writer()
        try:
            fetched = self._fetcher.download(url, writer.write)
            pause = requested_pause(fetched, utc_now())
            if pause is not None:
                raise AskedToWait(f"expected status 200, got {fetched.status}", pause)
            fetched.expect_ok()
            if fetched.size == 0:
                raise NotAnImage("expected a picture, got an empty body")
            writer.finish()
        except BaseException:
            writer.abort()
            raise
        return writer


@dataclass(slots=True, eq=False)
class _Wanted:
    """One URL on its way."""

    url: str
    host: str
    batch: DownloadBatch
    not_before: float = 0.0
    tries: int = 0
    began: float = 0.0


class Downloads:
    """The threads of one worker process that download, and what waits for them."""

    def __init__(self, source: Source, *, threads: int, per_host: int, clock: Clock = time.monotonic) -> None:
        self._source = source
        self._clock = clock
        self._schedule = HostSchedule(0.0, per_host, clock)
        self._waiting: OrderedDict[str, list[_Wanted]] = OrderedDict()
        """By host, in the order in which the hosts have their turn."""
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        for number in range(threads):
            threading.Thread(target=self._run, name=f"download-{number}", daemon=True).start()

    def begin(self, urls: Collection[str]) -> DownloadBatch:
        """Queue these URLs, each once. Whoever calls this closes the batch."""
        batch = DownloadBatch(self, len(urls))
        with self._changed:
            self._forget_done()
            for url in urls:
                try:
                    host = parse_url(url).host
                except ItemError as error:
                    batch.settle(url, error)
                else:
                    self._waiting.setdefault(host, []).append(_Wanted(url, host, batch))
            self._changed.notify_all()
        return batch

    def stop(self) -> None:
        """Begin nothing more, and let nobody wait for what is under way."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def waiting(self) -> int:
        """How many URLs have not begun, or wait for another try."""
        with self._changed:
            return sum(len(queue) for queue in self._waiting.values())

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def drop(self, batch: DownloadBatch) -> None:
        """Begin nothing more of a batch; what has begun is finished, further tries included."""
        with self._changed:
            for host, queue in self._waiting.items():
                kept = [wanted for wanted in queue if wanted.batch is not batch or wanted.tries]
                batch.leave_out(len(queue) - len(kept))
                self._waiting[host] = kept

    def _run(self) -> None:
        while (wanted := self._take()) is not None:
            result = self._result(wanted)
            with self._changed:
                self._put_back(wanted, result)

    def _take(self) -> _Wanted | None:
        """The next URL to be asked for; None when there will be none."""
        with self._changed:
            while not self.stopping:
                now = self._clock()
                for host, queue in self._waiting.items():
                    wanted = self._next(host, queue, now)
                    if wanted is None:
                        continue
                    queue.remove(wanted)
                    self._schedule.begin(host)
                    wanted.tries += 1
                    wanted.began = wanted.began or now
                    self._waiting.move_to_end(host)
                    return wanted
                self._changed.wait(self._pause(now))
            return None

    def _next(self, host: str, queue: list[_Wanted], now: float) -> _Wanted | None:
        if not queue or self._schedule.wait(host) > 0:
            return None
        return next((wanted for wanted in queue if wanted.not_before <= now), None)

    def _pause(self, now: float) -> float | None:
        """Seconds until something that waits for its time may be asked for; None if nothing does."""
        pauses = [
            max(self._schedule.wait(host), min(wanted.not_before for wanted in queue) - now)
            for host, queue in self._waiting.items()
            if queue
        ]
        # Infinity: the host has all its connections in use. The thread that ends one of them takes the next URL itself.
        soonest = min(pauses, default=math.inf)
        return None if math.isinf(soonest) else soonest

    def _result(self, wanted: _Wanted) -> BlobWriter | Exception:
        try:
            return self._source.download(wanted.url)
        except ItemError as error:
            return error
        except Exception as error:  # noqa: BLE001 (raised by whoever waits for the batch)
            return error

    def _put_back(self, wanted: _Wanted, result: BlobWriter | Exception) -> None:
        """Queue what is worth another try before all that has not begun; settle the rest."""
        now = self._clock()
        self._schedule.end(wanted.host)
        again = isinstance(result, ItemError) and result.retryable and wanted.tries < TRIES
        pause = FIRST_PAUSE_SECONDS * 2 ** (wanted.tries - 1)
        if isinstance(result, AskedToWait):
            again, pause = again and result.seconds <= LONGEST_PAUSE_SECONDS, result.seconds
            self._schedule.pause(wanted.host, min(pause, LONGEST_PAUSE_SECONDS))
        if again and now - wanted.began < RETRIED_WITHIN_SECONDS and not self.stopping:
            wanted.not_before = now + pause
            self._waiting[wanted.host].insert(0, wanted)
            self._changed.notify()
        else:
            wanted.batch.settle(wanted.url, result)

    def _forget_done(self) -> None:
        """Hosts of which nothing is wanted any more, and that need not be left alone."""
        for host in [host for host, queue in self._waiting.items() if not queue]:
            if self._schedule.forget_if_idle(host):
                del self._waiting[host]


class DownloadBatch:
    """URLs that somebody waits for together."""

    def __init__(self, downloads: Downloads, size: int) -> None:
        self._downloads = downloads
        self._missing = size
        self._results: dict[str, BlobWriter | Exception] = {}
        self._closed = False
        self._changed = threading.Condition()

    def wait(self, seconds: float) -> bool:
        """Whether all of it is done, or nobody should wait for it any more."""
        with self._changed:
            self._changed.wait_for(lambda: not self._missing, seconds)
            return not self._missing or self._downloads.stopping

    def drop_rest(self) -> None:
        """Begin nothing more of it."""
        self._downloads.drop(self)

    @property
    def results(self) -> dict[str, BlobWriter | Exception]:
        """What has become of the URLs so far."""
        with self._changed:
            return dict(self._results)

    def settle(self, url: str, result: BlobWriter | Exception) -> None:
        with self._changed:
            if self._closed and isinstance(result, BlobWriter):
                result.abort()
            self._results[url] = result
            self._missing -= 1
            self._changed.notify_all()

    def leave_out(self, count: int) -> None:
        with self._changed:
            self._missing -= count
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of the bytes that came, whether they were stored or not."""
        self.drop_rest()
        with self._changed:
            self._closed = True
            for result in self._results.values():
                if isinstance(result, BlobWriter):
                    result.abort()
