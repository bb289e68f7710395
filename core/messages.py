"""What travels through Redis: names of tasks and queues, and messages. Ids only, never pixels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Queue(StrEnum):
    """The queues, in the order in which a worker asks them."""

    INTERACTIVE = "interactive"
    """Someone waits for the answer."""
    BULK = "bulk"
    """Chunks of jobs."""
    LOW = "low"
    """Chunks of jobs that gave way to others."""
    FETCH_INTERACTIVE = "fetch_interactive"
    """Pictures to be downloaded for someone who waits."""
    FETCH = "fetch"
    """Chunks of jobs whose pictures are to be downloaded first."""
    FETCH_LOW = "fetch_low"
    """The same, of jobs that gave way to others."""
    INGEST = "ingest"
    """Sources that must be expanded into items."""
    CRAWL = "crawl"
    """Shops to be crawled."""
    MAINTENANCE = "maintenance"
    """The sweeper."""


FETCH_QUEUES = (Queue.FETCH_INTERACTIVE, Queue.FETCH, Queue.FETCH_LOW)

FETCH_CHUNK = "lookbook.fetch_chunk"
CLASSIFY_CHUNK = "lookbook.classify_chunk"
EXPLAIN_ITEM = "lookbook.explain_item"
EXPAND = "lookbook.expand"
CRAWL = "lookbook.crawl"
SWEEP = "lookbook.sweep"
PURGE = "lookbook.purge"
DELIVER_WEBHOOKS = "lookbook.deliver_webhooks"
FIND_DUPLICATES = "lookbook.find_duplicates"


@dataclass(frozen=True, slots=True)
class ChunkMessage:
    """Fetch or classify the items of one chunk. The items are found in the database by the chunk's id."""

    chunk_id: str
    job_id: str
    queue: Queue
    alone: bool = False
    """Whether the worker may have nothing else in hand meanwhile: this chunk is suspected of ending workers."""

    @property
    def task(self) -> str:
        """The task that does it."""
        return FETCH_CHUNK if self.queue in FETCH_QUEUES else CLASSIFY_CHUNK

    def arguments(self) -> dict[str, str | bool]:
        return {**asdict(self), "queue": self.queue.value}
