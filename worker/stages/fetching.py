"""The fetch stage: download the pictures of a chunk, store them, and send the chunk on to be classified."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from broker.client import Broker
from core.clock import utc_now
from core.errors import LeaseLost
from core.item_errors import ItemError
from core.messages import ChunkMessage, Queue
from db.blobs.leftovers import remove_leftovers
from db.blobs.spool import BlobWriter
from db.blobs.store import BlobStore
from db.database import TRANSIENT_ERRORS, Database
from db.steps import chunks
from db.steps.chunks import ChunkPolicy
from db.steps.fetching import ToFetch, list_items_to_fetch, record_fetched
from db.steps.recording import Recorded
from db.steps.submitting import StoredBlob
from db.tables import Stage
from db.views import jobs
from worker.leases import HeldLeases
from worker.stages.downloads import DownloadBatch, DownloadPools
from worker.stages.stage import ChunkStage

log = structlog.get_logger(__name__)

TURN_SECONDS = 20.0
"""Seconds after which a chunk begins no more downloads, because other chunks wait. The rest gets a chunk of its own."""

CANCEL_POLL_SECONDS = 1.0
"""Seconds between two looks at whether a job is canceled while its pictures are downloaded."""


@dataclass(frozen=True, slots=True)
class _Work:
    items: list[ToFetch]
    taken_at: datetime


class FetchStage(ChunkStage[_Work]):
    """Downloads the pictures of chunks."""

    stage = Stage.FETCH

    def __init__(
        self,
        database: Database,
        broker: Broker,
        blobs: BlobStore,
        pools: DownloadPools,
        leases: HeldLeases,
        policy: ChunkPolicy,
    ) -> None:
        super().__init__(database, broker, leases, policy)
        self._blobs = blobs
        self.pools = pools

    def _take(self, message: ChunkMessage) -> _Work | None:
        now = utc_now()
        with self._database.writing() as session:
            if not chunks.take(session, message.chunk_id, self._leases.worker, self._policy, now, Stage.FETCH):
                return None
            return _Work(list_items_to_fetch(session, message.chunk_id), now)

    def _work(self, message: ChunkMessage, work: _Work) -> Recorded | None:
        pool = self.pools.interactive if message.queue is Queue.FETCH_INTERACTIVE else self.pools.bulk
        batch = pool.start_batch({item.url for item in work.items})
        try:
            self._wait(batch, message.job_id)
            return self._store(message, work, _checked(batch.results))
        except LeaseLost:
            log.info("overtaken", chunk=message.chunk_id, job=message.job_id)
            return None
        finally:
            batch.close()

    def _wait(self, batch: DownloadBatch, job_id: str) -> None:
        """Wait until the batch is finished.

        When its time is over or its job is canceled, no more downloads begin, but those in progress are waited for.
        """
        ends = time.monotonic() + TURN_SECONDS
        while not batch.wait(CANCEL_POLL_SECONDS):
            if time.monotonic() > ends or self._is_unwanted(job_id):
                batch.drop_rest()

    def _is_unwanted(self, job_id: str) -> bool:
        """Return whether the job is canceled or deleted. If the database does not answer, it counts as wanted."""
        with suppress(*TRANSIENT_ERRORS), self._database.reading() as session:
            return not jobs.is_wanted(session, job_id)
        return False

    def _store(self, message: ChunkMessage, work: _Work, results: Mapping[str, BlobWriter | ItemError]) -> Recorded:
        """Store the bytes and record all results. If recording fails, remove the bytes that this call has stored."""
        writers = [result for result in results.values() if isinstance(result, BlobWriter)]
        self._blobs.commit(writers)
        by_item = {item.id: _outcome(results[item.url]) for item in work.items if item.url in results}
        try:
            recorded = self._record(
                lambda session: record_fetched(session, message, by_item, self._policy, utc_now(), work.taken_at)
            )
        except BaseException:
            remove_leftovers(self._database, self._blobs, [writer.sha256 for writer in writers if writer.created])
            raise
        self._blobs.ensure(writers)
        return recorded


def _checked(results: Mapping[str, BlobWriter | Exception]) -> dict[str, BlobWriter | ItemError]:
    """Return the results if each is a picture or a failure of its URL.

    Raises:
        Exception: an error of another kind, which a download has raised. It concerns the whole chunk.
    """
    checked: dict[str, BlobWriter | ItemError] = {}
    for url, result in results.items():
        if not isinstance(result, BlobWriter | ItemError):
            raise result
        checked[url] = result
    return checked


def _outcome(result: BlobWriter | ItemError) -> StoredBlob | ItemError:
    return StoredBlob(result.sha256, result.bytes_written) if isinstance(result, BlobWriter) else result
