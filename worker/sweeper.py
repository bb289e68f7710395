"""The sweeper: finds what was never enqueued, what outlived its lease, and what is to be given up."""

from __future__ import annotations

import structlog

from broker.client import Broker
from broker.dispatch import announce, dispatch
from core.clock import utc_now
from core.errors import ModelFailed
from core.messages import ChunkMessage
from db import chunks, items, jobs
from db.chunks import MAX_ATTEMPTS, ChunkPolicy
from db.engine import Database
from db.recording import Outcome, record

log = structlog.get_logger(__name__)


def sweep(database: Database, broker: Broker, policy: ChunkPolicy) -> int:
    """One round; how many chunks were sent. Safe to run twice at once: leases are taken under row locks."""
    with database.reading() as session:
        now = utc_now()
        idle = not chunks.any_overdue(session, now) and not any(chunks.jobs_with_room(session, policy))
    if idle:
        return 0
    with database.writing() as session:
        now = utc_now()
        lost = chunks.given_up(session, now)
        messages = chunks.send_again(session, policy, now)
        for job_id in list(chunks.jobs_with_room(session, policy)):
            job = jobs.get_locked(session, job_id)
            if job is not None and not job.terminal:
                messages += chunks.claim(session, job, policy, now)
    for message in lost:
        _give_up(database, broker, policy, message)
    dispatch(database, broker, messages)
    if messages:
        log.info("swept", chunks=len(messages))
    return len(messages)


def _give_up(database: Database, broker: Broker, policy: ChunkPolicy, message: ChunkMessage) -> None:
    error = ModelFailed(f"not finished after {MAX_ATTEMPTS} attempts: the worker ended or stalled each time")
    with database.writing() as session:
        outcomes = {picture: Outcome(error=error) for picture in items.pending_pictures(session, message.chunk_id)}
        recorded = record(session, message, outcomes, policy, utc_now())
    log.error("chunk_given_up", chunk=message.chunk_id, job=message.job_id, items=recorded.items)
    dispatch(database, broker, recorded.next_chunks)
    if recorded.job_terminal:
        announce(broker, message.job_id)
