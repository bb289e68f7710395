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
from core.errors import ItemError, LeaseLost
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
from worker.stages.downloads import DownloadBatch, Downloads
from worker.stages.stage import ChunkStage

log = structlog.get_logger(__name__)

TURN_SECONDS = 20.0
"""A chunk begins no more downloads after that: others want their turn, and what is left of it gets another."""

LOOK_SECONDS = 1.0
"""How often it is looked whether a job is to be canceled while its pictures are downloaded."""


@dataclass(frozen=True, slots=True)
class _Work:
    items: list[ToFetch]
    taken_at: datetime


class FetchStage(ChunkStage[_Work]):
    """Fetches chunks."""

    def __init__(
        self,
        database: Database,
        broker: Broker,
        blobs: BlobStore,
        downloads: Mapping[bool, Downloads],
        leases: HeldLeases,
        policy: ChunkPolicy,
    ) -> None:
        """`downloads`: threads for pictures that somebody waits for (True), and for all others (False)."""
        super().__init__(database, broker, leases, policy)
        self._blobs = blobs
        self.downloads = downloads

    def _take(self, message: ChunkMessage) -> _Work | None:
        now = utc_now()
        with self._database.writing() as session:
            if not chunks.take(session, message.chunk_id, self._leases.worker, self._policy, now, Stage.FETCH):
                return None
            return _Work(list_items_to_fetch(session, message.chunk_id), now)

    def _work(self, message: ChunkMessage, work: _Work) -> Recorded | None:
        downloads = self.downloads[message.queue is Queue.FETCH_INTERACTIVE]
        batch = downloads.begin({item.url for item in work.items})
        try:
            self._wait(batch, message.job_id)
            return self._store(message, work, _checked(batch.results))
        except LeaseLost:
            log.info("overtaken", chunk=message.chunk_id, job=message.job_id)
            return None
        finally:
            batch.close()

    def _wait(self, batch: DownloadBatch, job_id: str) -> None:
        """Until a batch is done, or its turn is over, or its job to be canceled, and nothing of it is under way."""
        ends = time.monotonic() + TURN_SECONDS
        while not batch.wait(LOOK_SECONDS):
            if time.monotonic() > ends or self._unwanted(job_id):
                batch.drop_rest()

    def _unwanted(self, job_id: str) -> bool:
        with suppress(*TRANSIENT_ERRORS), self._database.reading() as session:
            return not jobs.is_wanted(session, job_id)
        return False

    def _store(self, message: ChunkMessage, work: _Work, results: Mapping[str, BlobWriter | ItemError]) -> Recorded:
        """Store what came and record all of it. What no row will name is removed again."""
        writers = [result for result in results.values() if isinstance(result, BlobWriter)]
        self._blobs.commit(writers)
        of_items = {item.id: _outcome(results[item.url]) for item in work.items if item.url in results}
        try:
            recorded = self._record(
                lambda session: record_fetched(session, message, of_items, self._policy, utc_now(), work.taken_at)
            )
        except BaseException:
            remove_leftovers(self._database, self._blobs, [writer.sha256 for writer in writers if writer.created])
            raise
        self._blobs.ensure(writers)
        return recorded


def _checked(results: Mapping[str, BlobWriter | Exception]) -> dict[str, BlobWriter | ItemError]:
    """The results, if all of them are some.

    Raises:
        Exception: what a download has raised that is not the fault of its URL.
    """
    checked: dict[str, BlobWriter | ItemError] = {}
    for url, result in results.items():
        if not isinstance(result, BlobWriter | ItemError):
            raise result
        checked[url] = result
    return checked


def _outcome(result: BlobWriter | ItemError) -> StoredBlob | ItemError:
    return StoredBlob(result.sha256, result.bytes_written) if isinstance(result, BlobWriter) else result
