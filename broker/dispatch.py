"""What follows a commit: sending what it queued, and telling who waits. Neither fails when Redis is not there."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from broker.client import Broker
from core.clock import utc_now
from core.errors import BrokerUnavailable
from core.messages import DELIVER_WEBHOOKS, FIND_DUPLICATES, ChunkMessage, Queue
from db.database import Database
from db.steps import chunks

log = structlog.get_logger(__name__)

MAX_WAITING_TASKS = 100
"""So many maintenance tasks may wait for a worker: beyond that there is none, and beat will ask again."""


def dispatch(database: Database, broker: Broker, messages: Sequence[ChunkMessage]) -> None:
    """Send chunks. What cannot be sent is noted, and the sweeper sends it when Redis is back."""
    unsent = broker.send(messages)
    if unsent:
        log.warning("chunks_not_sent", count=len(unsent), reason="Redis does not answer")
        with database.writing() as session:
            chunks.mark_unsent(session, utc_now(), [message.chunk_id for message in unsent])


def announce(broker: Broker, what: str) -> None:
    """Wake whoever waits for a job's end or an item's explanation, by its id; without Redis nobody does."""
    try:
        broker.announce(what)
    except BrokerUnavailable as error:
        log.warning("not_announced", what=what, reason=str(error))


def announce_end(broker: Broker, job_id: str, *, webhook: bool, has_several_items: bool = True) -> None:
    """A job is over: wake whoever waits for it, and do without delay what follows.

    Its `webhook`, if it has one, is told; unless it had one item rather than several, duplicates are looked for.
    """
    announce(broker, job_id)
    if webhook:
        run_task_soon(broker, DELIVER_WEBHOOKS)
    if has_several_items:
        run_task_soon(broker, FIND_DUPLICATES)


def run_task_soon(broker: Broker, task: str, queue: Queue = Queue.MAINTENANCE) -> None:
    """Have a task run now rather than when beat or the sweeper next asks for it; without Redis it is their turn."""
    try:
        broker.queue_tasks(task, max_waiting=MAX_WAITING_TASKS, queue=queue)
    except BrokerUnavailable as error:
        log.info("task_not_queued", task=task, reason=str(error))
