"""The expander reads archives and manifests, and adds their items to the job, one source batch after another.

It has threads of its own, so that no other task of the worker waits for an archive of gigabytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from broker.client import Broker
from broker.dispatch import announce_end, dispatch, run_task_soon
from core import tracing
from core.clock import utc_now
from core.errors import LeaseLost, LookbookError, QuotaExceeded, StorageFull, Unavailable
from core.fetching import Fetcher
from core.item_errors import ItemError, OverQuota, SourceEnded
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
from worker.sources.entries import Entry, FoundItem, LeftOut, SourceLimits, open_source

log = structlog.get_logger(__name__)

MAX_SOURCES = 2
"""Sources that one worker reads at the same time."""
BATCH_ITEMS = 1000
BATCH_BYTES = 64 * 2**20
BATCH_SECONDS = 2.0
"""A source batch is committed as soon as it reaches one of these: number of items, bytes, or seconds spent reading."""


class SourceExpander(BackgroundThreads[LeasedSource]):
    """Reads the sources that wait. A stop lets it commit the current source batches; then it gives the sources back."""

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
        super().__init__("expander", MAX_SOURCES)
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

    def _do(self, source: LeasedSource) -> None:
        log.info("expanding", job=source.job_id, source=source.source.value, position=source.position)
        self._broker.join_trace(source.job_id)
        try:
            with tracing.span("expand source", {"lookbook.job": source.job_id}):
                self._read(source)
        except LeaseLost:
            self._stop_canceled(source)
        except Exception as error:  # noqa: BLE001 (after any error the sweeper decides what happens to the source)
            self._end_attempt(source, error)

    def _read(self, source: LeasedSource) -> None:
        with ExitStack() as stack:
            with self._leases.holding(source.job_id):
                opened = stack.enter_context(open_source(self._blobs, self._fetcher, source, self._limits))
            reader = _BatchReader(opened.entries, source.position)
            while True:
                # Each batch counts as held from its own start. Reading a source may take hours, but a batch that takes
                # hours is hanging, and its lease must end.
                with self._leases.holding(source.job_id), reader.next_batch() as batch:
                    batch.columns = opened.columns
                    expanded = self._commit(source, batch)
                source = source.at(batch.position)
                dispatch(self._database, self._broker, expanded.chunks)
                if expanded.source_ended:
                    self._announce(source, expanded)
                    return
                if self.stopping.is_set():
                    self._give_back(source, timedelta(), "its worker was stopped")
                    return

    def _commit(self, source: LeasedSource, batch: _OpenBatch) -> Expanded:
        """Store the bytes of a source batch and add its items to the job. Beyond the quota, the source is cut off."""
        try:
            self._blobs.commit(batch.writers)
            with self._database.writing() as session:
                expanded = expanding.commit_batch(session, source, batch.to_source_batch(), self._policy, self._clock())
        except QuotaExceeded as error:
            within, beyond = batch.cut(error.pictures_left, OverQuota(error.detail))
            discard_uncommitted(self._database, self._blobs, beyond.writers)
            return self._commit(source, within)
        except BaseException:
            discard_uncommitted(self._database, self._blobs, batch.writers)
            raise
        for attempt in retry_outages(self._policy.deadlines.max_hold, (Unavailable, StorageFull)):
            with attempt:
                self._blobs.ensure(batch.writers)
        return expanded

    def _stop_canceled(self, source: LeasedSource) -> None:
        """Stop reading a source that may not add items any more. If its job is being canceled, end the source."""
        try:
            with self._database.writing() as session:
                stopped = expanding.stop_canceled(session, source, self._clock())
        except TRANSIENT_ERRORS as error:
            log.warning("expanding_not_stopped", job=source.job_id, reason=str(error.orig), until="its lease ends")
            return
        log.info("expanding_stopped", job=source.job_id, canceled=stopped is not None)
        if stopped is not None:
            self._announce(source, stopped)

    def _announce(self, source: LeasedSource, expanded: Expanded) -> None:
        """Announce the end of the job if it is finished, and have the purger remove the bytes of the source."""
        if expanded.job_finished:
            announce_end(self._broker, source.job_id, webhook=expanded.has_webhook)
        run_task_soon(self._broker, PURGE)

    def _end_attempt(self, source: LeasedSource, error: Exception) -> None:
        """End the lease. An outage does not count as an attempt, any other error does.

        The sweeper then decides what happens to the source.
        """
        reason = error.detail if isinstance(error, LookbookError) else repr(error)
        if isinstance(error, OUTAGE_ERRORS):
            self._give_back(source, OUTAGE_PAUSE, reason)
            return
        log.error("expanding_failed", job=source.job_id, error=repr(error), exc_info=error)
        try:
            with self._database.writing() as session:
                SOURCE_LEASES.fail_attempt(session, source.job_id, source.worker, self._clock(), reason)
        except TRANSIENT_ERRORS:
            log.warning("lease_not_ended", job=source.job_id, until="its lease ends")

    def _give_back(self, source: LeasedSource, pause: timedelta, reason: str) -> None:
        log.warning("expanding_interrupted", job=source.job_id, reason=reason)
        try:
            with self._database.writing() as session:
                SOURCE_LEASES.give_back(session, [source.job_id], source.worker, self._clock() + pause, reason)
        except TRANSIENT_ERRORS:
            log.warning("lease_not_given_back", job=source.job_id, until="its lease ends")


@dataclass(slots=True)
class _OpenBatch:
    """A source batch that is being read. As a context manager, it removes its temporary files at the end."""

    position: int
    found: list[FoundItem]
    over: bool = False
    ended: SourceEnded | None = None
    left_out: int = 0
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def writers(self) -> list[BlobWriter]:
        return [found.writer for found in self.found if found.writer is not None]

    def to_source_batch(self) -> SourceBatch:
        items = [found.item for found in self.found]
        reason = self.ended.reason if self.ended else None
        return SourceBatch(items, self.position, self.over, reason, self.left_out, self.columns)

    def cut(self, count: int, reason: ItemError) -> tuple[_OpenBatch, _OpenBatch]:
        """Split off the items after the first `count`. The first batch then ends the source, because of `reason`."""
        within = _OpenBatch(self.position, self.found[:count], True, SourceEnded(reason), self.left_out, self.columns)
        return within, _OpenBatch(self.position, self.found[count:])

    def __enter__(self) -> _OpenBatch:
        return self

    def __exit__(self, *_: object) -> None:
        for writer in self.writers:
            writer.abort()


class _BatchReader:
    """Reads the entries of a source as source batches, from a position on."""

    def __init__(self, entries: Iterator[Entry], position: int) -> None:
        self._entries = entries
        self._position = position
        self._number = 0

    def next_batch(self) -> _OpenBatch:
        """Return the next source batch. It is empty if skipping the entries before the position took all the time."""
        batch = _OpenBatch(self._position, [])
        try:
            self._fill(batch)
        except SourceEnded as ended:
            batch.over, batch.ended = True, ended
        except BaseException:
            batch.__exit__()
            raise
        self._position = batch.position
        return batch

    def _fill(self, batch: _OpenBatch) -> None:
        size, until = 0, time.monotonic() + BATCH_SECONDS
        while (entry := next(self._entries, None)) is not None:
            self._number += 1
            if self._number > batch.position:
                found = entry()
                batch.position = self._number
                if found is LeftOut.FILE:
                    batch.left_out += 1
                elif found is not None:
                    batch.found.append(found)
                    size += found.item.blob.bytes if found.item.blob else 0
            if len(batch.found) >= BATCH_ITEMS or size >= BATCH_BYTES or time.monotonic() >= until:
                return
        batch.over = True
