"""The tasks, queues and messages that go through Redis. Messages contain ids, never pixels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum


class Queue(StrEnum):
    """All queues, in the order in which a worker reads them."""

    INTERACTIVE = "interactive"
    """Chunks that a client waits for."""
    BULK = "bulk"
    """Chunks of jobs."""
    LOW = "low"
    """Chunks of jobs with low priority."""
    FETCH_INTERACTIVE = "fetch_interactive"
    """Chunks that a client waits for and whose pictures must be downloaded first."""
    FETCH = "fetch"
    """Chunks of jobs whose pictures must be downloaded first."""
    FETCH_LOW = "fetch_low"
    """Chunks of jobs with low priority whose pictures must be downloaded first."""
    INGEST = "ingest"
    """Sources that a worker must expand into items."""
    CRAWL = "crawl"
    """Shops that a worker must crawl."""
    SEARCH = "search"
    """Searches for look-alikes, which a client waits for. Their worker keeps the index of vectors in memory."""
    MAINTENANCE = "maintenance"
    """Periodic tasks, such as the sweeper and the delivery of webhooks."""


FETCH_QUEUES = (Queue.FETCH_INTERACTIVE, Queue.FETCH, Queue.FETCH_LOW)

FETCH_CHUNK = "lookbook.fetch_chunk"
CLASSIFY_CHUNK = "lookbook.classify_chunk"
EXPLAIN_ITEM = "lookbook.explain_item"
EXPAND = "lookbook.expand"
CRAWL = "lookbook.crawl"
PREVIEW = "lookbook.preview"
SEARCH = "lookbook.search"
SWEEP = "lookbook.sweep"
PURGE = "lookbook.purge"
DELIVER_WEBHOOKS = "lookbook.deliver_webhooks"
FIND_DUPLICATES = "lookbook.find_duplicates"
RUN_SHADOWS = "lookbook.run_shadows"
MAKE_MAPS = "lookbook.make_maps"
GIVE_LESSONS = "lookbook.give_lessons"
MAKE_HINTS = "lookbook.make_hints"
TASKS = frozenset(
    {
        FETCH_CHUNK,
        CLASSIFY_CHUNK,
        EXPLAIN_ITEM,
        EXPAND,
        CRAWL,
        PREVIEW,
        SEARCH,
        SWEEP,
        PURGE,
        DELIVER_WEBHOOKS,
        FIND_DUPLICATES,
        RUN_SHADOWS,
        MAKE_MAPS,
        GIVE_LESSONS,
        MAKE_HINTS,
    }
)
"""The names of all tasks."""


def short_name(task: str) -> str:
    """Return the name of a task without the prefix that all of them have."""
    return task.removeprefix("lookbook.")


@dataclass(frozen=True, slots=True)
class ChunkMessage:
    """A request to fetch or classify the items of one chunk. The database lists the items under the chunk's id."""

    chunk_id: str
    job_id: str
    queue: Queue
    alone: bool = False
    """Whether the worker must hold no other chunk meanwhile, because this chunk may have ended a worker process."""

    @property
    def task(self) -> str:
        """Return the name of the Celery task that processes the chunk."""
        return FETCH_CHUNK if self.queue in FETCH_QUEUES else CLASSIFY_CHUNK

    def arguments(self) -> dict[str, str | bool]:
        return {**asdict(self), "queue": self.queue.value}
