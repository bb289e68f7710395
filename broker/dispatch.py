"""Actions after a commit: send the chunks that it queued, and announce the end of jobs.

No function here raises when Redis is unavailable, because the sweeper and beat catch up later.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from broker.client import Broker
from core.clock import utc_now
from core.errors import BrokerUnavailable
from core.messages import DELIVER_WEBHOOKS, FIND_DUPLICATES, MAKE_HINTS, ChunkMessage, Queue
from db.database import Database
from db.steps import chunks

log = structlog.get_logger(__name__)

MAX_WAITING_TASKS = 100
"""Tasks that may wait in a queue before no more are added. Only a queue without a worker reaches this limit."""


def dispatch(database: Database, broker: Broker, messages: Sequence[ChunkMessage]) -> None:
    """Send chunks. Chunks that cannot be sent are marked as unsent, and the sweeper sends them when Redis is back."""
    unsent = broker.send(messages)
    if unsent:
        log.warning("chunks_not_sent", count=len(unsent), reason="Redis does not answer")
        with database.writing() as session:
            chunks.mark_unsent(session, utc_now(), [message.chunk_id for message in unsent])


def announce(broker: Broker, subject_id: str) -> None:
    """Wake all that wait for the end of a job or the explanation of a prediction, by its id."""
    try:
        broker.announce(subject_id)
    except BrokerUnavailable as error:
        log.warning("not_announced", id=subject_id, reason=str(error))


def announce_end(broker: Broker, job_id: str, *, webhook: bool, has_several_items: bool = True) -> None:
    """Announce that a job is finished, and start at once what follows from it.

    If the job has a `webhook`, it is delivered. If the job has several items, duplicates are searched among them, and
    its hints are computed.
    """
    announce(broker, job_id)
    if webhook:
        run_task_soon(broker, DELIVER_WEBHOOKS)
    if has_several_items:
        run_task_soon(broker, FIND_DUPLICATES)
        run_task_soon(broker, MAKE_HINTS)


def run_task_soon(broker: Broker, task: str, queue: Queue = Queue.MAINTENANCE) -> None:
    """Have a task run before beat or the sweeper queues it the next time. Without Redis it has to wait for them."""
    try:
        broker.queue_tasks(task, max_waiting=MAX_WAITING_TASKS, queue=queue)
    except BrokerUnavailable as error:
        log.info("task_not_queued", task=task, reason=str(error))
