"""The part of shadow runs that happens in the background. Any number of workers may run it at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog

from broker.client import Broker
from broker.dispatch import dispatch
from core.clock import utc_now
from db.database import Database
from db.steps import shadowing
from db.steps.chunks import ChunkPolicy

log = structlog.get_logger(__name__)


def run_shadows(
    database: Database, broker: Broker, policy: ChunkPolicy, clock: Callable[[], datetime] = utc_now
) -> None:
    """Collect the predictions of finished samples, and submit the next sample of the present shadow run."""
    with database.reading() as session:
        finished = shadowing.list_finished(session)
    for job_id in finished:
        with database.writing() as session:
            pairs = shadowing.collect(session, job_id, clock())
        log.info("shadow_collected", job=job_id, pictures=pairs)
    with database.writing() as session:
        messages = shadowing.submit_sample(session, policy, clock())
    dispatch(database, broker, messages)
