"""Measure how long a job of 50 items takes beside a job of 100,000 items, compared with running alone."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from rich.progress import Progress

from benchmarks.pipeline import empty_installation, null_worker, running_job, seconds_of, store_job
from benchmarks.run import spread
from db.database import Database
from db.steps.chunks import ChunkPolicy
from db.views import jobs

HUGE, SMALL = 100_000, 50
ROUNDS = 5


def run(progress: Progress) -> dict[str, Any]:
    """Return the seconds of the small job, alone and beside the huge one.

    Also return how many chunks of the huge job end while the small job runs.
    """
    task = progress.add_task("fairness", total=2 * ROUNDS)
    alone: list[float] = []
    beside: list[float] = []
    waited: list[float] = []
    with ExitStack() as stack:
        settings = stack.enter_context(empty_installation("sqlite"))
        stack.enter_context(null_worker(settings))
        for number in range(ROUNDS):
            alone.append(seconds_of(settings, store_job(settings, f"alone {number}", SMALL)))
            progress.advance(task)
        huge = store_job(settings, "huge", HUGE)
        chunk = ChunkPolicy.of(settings).items_per_chunk(HUGE)
        stack.enter_context(running_job(settings, huge))
        database = Database(settings.resolved_database_url)
        stack.callback(database.close)
        for number in range(ROUNDS):
            small = store_job(settings, f"beside {number}", SMALL)
            before = _pending(database, huge)
            beside.append(seconds_of(settings, small))
            after = _pending(database, huge)
            if after == 0:
                raise RuntimeError("expected the huge job to outlast the small ones")
            waited.append((before - after) / chunk)
            progress.advance(task)
    return {
        "huge": HUGE,
        "small": SMALL,
        "chunk": chunk,
        "seconds": {"alone": spread(alone), "beside": spread(beside)},
        "chunks_waited": spread(waited),
    }


def _pending(database: Database, job_id: str) -> int:
    with database.reading() as session:
        job = jobs.get(session, job_id)
        assert job is not None
        return job.pending
