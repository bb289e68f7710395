"""The expander: reads archives and manifests, and commits what it finds as items, batch by batch.

It works in threads of its own, so that sweeping never waits for somebody's archive of gigabytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from broker.client import Broker
from broker.dispatch import announce_end, dispatch, run_task_soon
from core.clock import utc_now
from core.errors import (
    ItemError,
    LeaseLost,
    LookbookError,
    OverQuota,
    QuotaExceeded,
    SourceEnded,
    StorageFull,
    Unavailable,
)
from core.fetching import Fetcher
from core.messages import PURGE
from db.blobs.leftovers import discard_uncommitted
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.database import TRANSIENT_ERRORS, Database
from db.outages import OUTAGE_ERRORS, retry_outages
from db.steps import discoveries, expanding
from db.steps.chunks import ChunkPolicy
from db.steps.discoveries import LeasedSource
from db.steps.expanding import Expanded, SourceBatch
from db.steps.leasing import SOURCE_LEASES
from worker.background import BackgroundThreads
from worker.leases import OUTAGE_PAUSE, HeldLeases
from worker.sources.entries import Entry, Found, SourceLimits, open_source

log = structlog.get_logger(__name__)

AT_ONCE = 2
"""Sources that one worker reads at once."""
BATCH_ITEMS = 1000
BATCH_BYTES = 64 * 2**20
BATCH_SECONDS = 2.0
"""A batch is committed when it is one of these large, or old."""


class SourceExpander(BackgroundThreads[LeasedSource]):
    """Reads sources that wait. Once it is stopped it commits the batches under way, and gives their sources back."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        blobs: BlobStore,
        leases: HeldLeases,
        policy: ChunkPolicy,
        limits: SourceLimits,
        fetcher: Fetcher,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__("expander", AT_ONCE)
        self._database = database
        self._broker = broker
        self._blobs = blobs
        self._leases = leases
        self._policy = policy
        self._limits = limits
        self._fetcher = fetcher
        self._clock = clock

    def _take(self) -> LeasedSource | None:
        with self._database.reading() as session:
            if discoveries.find_next_waiting(session, self._clock()) is None:
                return None
        with self._database.writing() as session:
            return expanding.take(session, self._leases.worker, self._policy, self._clock())

    def _do(self, taken: LeasedSource) -> None:
        log.info("expanding", job=taken.job_id, source=taken.source.value, position=taken.position)
        try:
            self._read(taken)
        except LeaseLost:
            self._stop(taken)
        except Exception as error:  # noqa: BLE001 (whatever it is, the sweeper decides what becomes of the source)
            self._give_back(taken, error)

    def _read(self, taken: LeasedSource) -> None:
        with ExitStack() as stack:
            with self._leases.holding(taken.job_id):
                entries = stack.enter_context(open_source(self._blobs, self._fetcher, taken, self._limits))
            batches = _Batches(entries, taken.position)
            while True:
                # Anew for each batch: a source may take hours, but a batch that does is hanging.
                with self._leases.holding(taken.job_id), batches.next() as read:
                    expanded = self._commit(taken, read)
                taken = taken.at(read.position)
                dispatch(self._database, self._broker, expanded.chunks)
                if expanded.over:
                    self._tell(taken, expanded)
                    return
                if self.stopping.is_set():
                    self._hand_back(taken, timedelta(), "its worker was stopped")
                    return

    def _commit(self, taken: LeasedSource, read: _Read) -> Expanded:
        try:
            self._blobs.commit(read.writers)
            with self._database.writing() as session:
                expanded = expanding.commit_batch(session, taken, read.batch(), self._policy, self._clock())
        except QuotaExceeded as error:
            within, beyond = read.cut(error.pictures_left, OverQuota(error.detail))
            discard_uncommitted(self._database, self._blobs, beyond.writers)
            return self._commit(taken, within)
        except BaseException:
            discard_uncommitted(self._database, self._blobs, read.writers)
            raise
        for attempt in retry_outages(self._policy.deadlines.max_hold, (Unavailable, StorageFull)):
            with attempt:
                self._blobs.ensure(read.writers)
        return expanded

    def _stop(self, taken: LeasedSource) -> None:
        try:
            with self._database.writing() as session:
                stopped = expanding.stop_canceled(session, taken, self._clock())
        except TRANSIENT_ERRORS as error:
            log.warning("not_stopped", job=taken.job_id, reason=str(error.orig), until="its lease ends")
            return
        log.info("expanding_stopped", job=taken.job_id, canceled=stopped is not None)
        if stopped is not None:
            self._tell(taken, stopped)

    def _tell(self, taken: LeasedSource, expanded: Expanded) -> None:
        if expanded.job_terminal:
            announce_end(self._broker, taken.job_id, webhook=expanded.webhook)
        run_task_soon(self._broker, PURGE)

    def _give_back(self, taken: LeasedSource, error: Exception) -> None:
        """What follows is the sweeper's to decide; that something was away or full is not the source's fault."""
        reason = error.detail if isinstance(error, LookbookError) else repr(error)
        if isinstance(error, OUTAGE_ERRORS):
            self._hand_back(taken, OUTAGE_PAUSE, reason)
            return
        log.error("not_expanded", job=taken.job_id, error=repr(error), exc_info=error)
        try:
            with self._database.writing() as session:
                SOURCE_LEASES.fail_attempt(session, taken.job_id, taken.worker, self._clock(), reason)
        except TRANSIENT_ERRORS:
            log.warning("lease_not_given_back", job=taken.job_id, until="its lease ends")

    def _hand_back(self, taken: LeasedSource, pause: timedelta, reason: str) -> None:
        log.warning("expanding_interrupted", job=taken.job_id, reason=reason)
        try:
            with self._database.writing() as session:
                SOURCE_LEASES.give_back(session, [taken.job_id], taken.worker, self._clock() + pause, reason)
        except TRANSIENT_ERRORS:
            log.warning("lease_not_given_back", job=taken.job_id, until="its lease ends")


@dataclass(slots=True)
class _Read:
    """A batch that is being gathered; its files are removed at the end of a `with` block, whatever became of them."""

    position: int
    found: list[Found]
    over: bool = False
    ended: SourceEnded | None = None

    @property
    def writers(self) -> list[BlobWriter]:
        return [found.writer for found in self.found if found.writer is not None]

    def batch(self) -> SourceBatch:
        items = [found.item for found in self.found]
        return SourceBatch(items, self.position, self.over, self.ended.reason if self.ended else None)

    def cut(self, count: int, reason: ItemError) -> tuple[_Read, _Read]:
        """Its first items, as all that is read of the source for that reason; and what is left over."""
        within = _Read(self.position, self.found[:count], over=True, ended=SourceEnded(reason))
        return within, _Read(self.position, self.found[count:])

    def __enter__(self) -> _Read:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.abort()


class _Batches:
    """Cuts what is read into batches, from a position on."""

    def __init__(self, entries: Iterator[Entry], position: int) -> None:
        self._entries = entries
        self._position = position
        self._number = 0

    def next(self) -> _Read:
        """The next batch; an empty one if all that time went into what was read before."""
        read = _Read(self._position, [])
        try:
            self._fill(read)
        except SourceEnded as ended:
            read.over, read.ended = True, ended
        except BaseException:
            read.__exit__()
            raise
        self._position = read.position
        return read

    def _fill(self, read: _Read) -> None:
        size, until = 0, time.monotonic() + BATCH_SECONDS
        while (entry := next(self._entries, None)) is not None:
            self._number += 1
            if self._number > read.position:
                found = entry()
                read.position = self._number
                if found is not None:
                    read.found.append(found)
                    size += found.item.blob.bytes if found.item.blob else 0
            if len(read.found) >= BATCH_ITEMS or size >= BATCH_BYTES or time.monotonic() >= until:
                return
        read.over = True
