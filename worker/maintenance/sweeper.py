"""The sweeper repairs what others left undone: messages that were not sent or got lost, ended leases, cancelations.

Several sweepers may run at the same time, because every change is a conditional update or is made under the lock of the
job's row.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from broker.client import Broker
from broker.dispatch import announce_end, dispatch
from core import metrics
from core.clock import utc_now
from core.errors import BrokerUnavailable
from core.item_errors import FetchFailed, ModelFailed
from core.messages import CRAWL, EXPAND, ChunkMessage, Queue
from db.database import Database, after_commit
from db.steps import chunks, discoveries, expanding, lifecycle, opening
from db.steps.chunks import MAX_ATTEMPTS, ChunkPolicy, ExpiredLease
from db.steps.fetching import list_items_to_fetch, record_fetched
from db.steps.leasing import CHUNK_LEASES
from db.steps.recording import Outcome, Recorded, record
from db.tables import Chunk, Job, Stage
from db.views import items, jobs

log = structlog.get_logger(__name__)


def sweep(database: Database, broker: Broker, policy: ChunkPolicy, clock: Callable[[], datetime] = utc_now) -> int:
    """Do one round, and return the number of chunks that were sent."""
    now = clock()
    _requeue_after_redis_loss(database, broker, now)
    with database.reading() as session:
        due = chunks.any_due(session, policy, now)
        with_room = list(chunks.list_jobs_with_room(session, policy))
        canceling = jobs.list_canceling(session)
    for job_id in canceling:
        _cancel_rest(database, broker, job_id, now)
    sent = 0
    if due:
        with database.reading() as session:
            expired = chunks.list_expired_leases(session, now)
        for lease in expired:
            _end_attempt(database, broker, policy, lease, now)
        sent += _resend_lost(database, broker, policy, now)
    _close_left_open(database, broker, now)
    sent += _sweep_discoveries(database, broker, policy, now)
    for job_id in with_room:
        sent += _fill_window(database, broker, policy, job_id, now)
    if sent:
        log.info("swept", chunks=sent)
    return sent


def _requeue_after_redis_loss(database: Database, broker: Broker, now: datetime) -> None:
    """Mark all queued chunks as unsent if Redis was restarted or emptied, because their messages are then lost."""
    try:
        run = broker.read_redis_run()
        if run.kept:
            return
        with database.writing() as session:
            chunks.mark_unsent(session, now)
        broker.remember_run(run)
    except BrokerUnavailable as error:
        log.warning("redis_unavailable", reason=str(error))
        return
    log.warning("redis_was_emptied", sending="every queued chunk again")


def _resend_lost(database: Database, broker: Broker, policy: ChunkPolicy, now: datetime) -> int:
    """Send the messages of queued chunks again if they are lost, and return their number."""
    try:
        empty = broker.empty_queues()
    except BrokerUnavailable:
        # Without Redis nothing can be sent.
        return 0
    with database.writing() as session:
        messages = chunks.find_lost_messages(session, empty, policy, now)
    dispatch(database, broker, messages)
    return len(messages)


def _fill_window(database: Database, broker: Broker, policy: ChunkPolicy, job_id: str, now: datetime) -> int:
    """Send chunks of a job that has items waiting and room for more chunks, and return their number."""
    with database.writing() as session:
        job = lifecycle.lock_job(session, job_id)
        messages = [] if job is None else chunks.claim(session, job, policy, now)
    dispatch(database, broker, messages)
    return len(messages)


def _cancel_rest(database: Database, broker: Broker, job_id: str, now: datetime) -> None:
    """Cancel the items of a job that no worker holds, in transactions of limited size."""
    while True:
        with database.writing() as session:
            job = lifecycle.lock_job(session, job_id)
            if job is None or job.finished:
                return
            canceled = lifecycle.cancel_waiting_items(session, job, now)
            finished = job.finished
        if finished:
            announce_end(broker, job_id, webhook=job.webhook is not None)
        if finished or canceled < lifecycle.MAX_CANCELED_AT_ONCE:
            return


def _end_attempt(database: Database, broker: Broker, policy: ChunkPolicy, lease: ExpiredLease, now: datetime) -> None:
    """Decide what follows for a chunk whose worker has died, stalled or failed.

    It gets another attempt. After its last attempt it is split into halves; a single picture in it fails instead.
    """
    with database.writing() as session:
        job = lifecycle.lock_job(session, lease.job_id)
        chunk = CHUNK_LEASES.lock_lost(session, lease.chunk_id, now)
        if job is None or chunk is None:
            return
        reason = chunk.error or f"its worker ({chunk.taken_by}) ended or stalled"
        after_commit(session, metrics.ATTEMPTS_ENDED.inc)
        log.warning("attempt_ended", chunk=chunk.id, job=job.id, attempts=chunk.attempts, reason=reason)
        if job.cancel_requested_at is not None or chunk.attempts < MAX_ATTEMPTS:
            chunks.requeue(session, chunk, now)
            return
        pending = [item_id for item_id, _ in items.list_pending(session, chunk.id)]
        if len(pending) > 1:
            chunks.split(session, chunk, pending, now)
            return
        # The chunk has one pending item or none. Recording the item as failed also deletes the chunk.
        recorded = _give_up(session, job, chunk, f"in {MAX_ATTEMPTS} attempts; the last one: {reason}", policy, now)
    log.error("given_up", chunk=lease.chunk_id, job=lease.job_id, items=recorded.finished_items, reason=reason)
    dispatch(database, broker, recorded.next_chunks)
    if recorded.job_finished:
        announce_end(broker, lease.job_id, webhook=recorded.has_webhook)


def _give_up(session: Session, job: Job, chunk: Chunk, reason: str, policy: ChunkPolicy, now: datetime) -> Recorded:
    """Record the pending item of a chunk as failed."""
    message = ChunkMessage(chunk.id, job.id, chunks.queue_of(chunk.stage, job.priority))
    if chunk.stage is Stage.FETCH:
        error = FetchFailed(f"not fetched {reason}")
        results = dict.fromkeys((item.id for item in list_items_to_fetch(session, chunk.id)), error)
        return record_fetched(session, message, results, policy, now)
    failed = Outcome(error=ModelFailed(f"not finished {reason}"))
    outcomes = dict.fromkeys(items.list_pending_pictures(session, chunk.id), failed)
    return record(session, message, jobs.model_of(job), outcomes, policy, now)


def _sweep_discoveries(database: Database, broker: Broker, policy: ChunkPolicy, now: datetime) -> int:
    """Have waiting sources read, and end the attempts of workers whose lease on a source has ended."""
    with database.reading() as session:
        lost = discoveries.list_expired_leases(session, now)
    sent = 0
    for job_id in lost:
        with database.writing() as session:
            ended = expanding.end_attempt(session, job_id, policy, now)
        if ended is not None:
            log.warning("expanding_ended" if ended.source_ended else "expanding_again", job=job_id)
            dispatch(database, broker, ended.chunks)
            sent += len(ended.chunks)
            if ended.job_finished:
                announce_end(broker, job_id, webhook=ended.has_webhook)
    _queue_reading(database, broker, now, EXPAND, Queue.INGEST)
    _queue_reading(database, broker, now, CRAWL, Queue.CRAWL)
    return sent


def _close_left_open(database: Database, broker: Broker, now: datetime) -> None:
    """Close open jobs whose clients are gone."""
    with database.reading() as session:
        left_open = opening.list_left_open(session, now)
    for job_id in left_open:
        with database.writing() as session:
            job = lifecycle.lock_job(session, job_id)
            if job is None or job.open_until is None or job.open_until > now:
                continue
            opening.close(session, job, now)
            finished, has_webhook = job.finished, job.webhook is not None
        log.warning("job_closed", job=job_id, reason="nothing was added for too long")
        if finished:
            announce_end(broker, job_id, webhook=has_webhook)


def _queue_reading(database: Database, broker: Broker, now: datetime, task: str, queue: Queue) -> None:
    with database.reading() as session:
        waiting = discoveries.find_next_waiting(session, now, crawls=task == CRAWL)
    if waiting is not None:
        try:
            # One message is enough: the worker that gets it reads all waiting sources, one after another.
            broker.queue_tasks(task, queue=queue)
        except BrokerUnavailable as error:
            log.info("task_not_queued", task=task, reason=str(error))
