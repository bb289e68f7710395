"""Compare a job of URLs, until its pictures are stored and sent on, with plain httpx that only downloads them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from rich.progress import Progress
from sqlalchemy import func, select

from benchmarks.pictures import make_pictures
from benchmarks.pipeline import empty_installation, worker
from benchmarks.run import spread
from broker.client import Broker
from broker.dispatch import dispatch
from core.clock import utc_now
from core.settings import Settings
from db import model_versions
from db.database import Database
from db.steps import submitting
from db.steps.chunks import ChunkPolicy
from db.steps.submitting import NewItem, NewJob
from db.tables import Item, JobSource
from worker.parts import CONNECTIONS_PER_HOST

PICTURES = 600
ROUNDS = 5


def run(progress: Progress) -> dict[str, Any]:
    """Return pictures per second of a job and of httpx, and the ratio of each round.

    The two take turns. Both download from one host, with the same number of connections.
    """
    task = progress.add_task("fetching", total=2 * ROUNDS)
    job_rates: list[float] = []
    httpx_rates: list[float] = []
    numbers = itertools.count()
    with ExitStack() as stack:
        # No worker classifies here, so no chunk ends. The window must therefore be large enough for the whole job.
        settings = stack.enter_context(empty_installation("sqlite")).with_changes(
            chunk_window=100, fetch_allow="127.0.0.0/8"
        )
        (picture, *_) = make_pictures(settings.home, 400)
        server_url = stack.enter_context(_server(str(picture)))
        environment = {
            "LOOKBOOK_FETCH_ALLOW": "127.0.0.0/8",
            "LOOKBOOK_CHUNK_WINDOW": str(settings.chunk_window),
        }
        arguments = ("-m", "cli", "worker", "--queues", "fetch", "--concurrency", "8")
        stack.enter_context(worker(settings, *arguments, **environment))
        for _ in range(ROUNDS):
            for rates, download in ((httpx_rates, _httpx), (job_rates, _job)):
                urls = [f"{server_url}/{next(numbers)}.jpg" for _ in range(PICTURES)]
                rates.append(PICTURES / download(settings, urls))
                progress.advance(task)
        bytes_each = picture.stat().st_size
    ratios = [job / httpx_ for job, httpx_ in zip(job_rates, httpx_rates, strict=True)]
    rates_of = {"job": spread(job_rates), "httpx": spread(httpx_rates)}
    connections = CONNECTIONS_PER_HOST
    return {
        "pictures": PICTURES,
        "bytes": bytes_each,
        "connections": connections,
        "rates": rates_of,
        "ratio": spread(ratios),
    }


def _httpx(_: Settings, urls: list[str]) -> float:
    """Return the seconds that httpx needs to download the pictures into memory."""
    limits = httpx.Limits(max_connections=CONNECTIONS_PER_HOST)
    with httpx.Client(limits=limits, trust_env=False) as http, ThreadPoolExecutor(CONNECTIONS_PER_HOST) as pool:
        started = time.perf_counter()
        for answer in pool.map(http.get, urls):
            answer.raise_for_status()
        return time.perf_counter() - started


def _job(settings: Settings, urls: list[str]) -> float:
    """Return the seconds from the submission until every picture is stored and its chunk is sent on."""
    database, broker = Database(settings.resolved_database_url), Broker.connect(settings)
    items = [NewItem("x.jpg", None, source_url=url) for url in urls]
    lacking = select(func.count()).where(Item.blob_sha256.is_(None))
    try:
        started = time.perf_counter()
        with database.writing() as session:
            new = NewJob("fetching", JobSource.ITEMS, model_versions.resolve(session, "production"))
            _, messages = submitting.create_with_chunks(session, new, items, ChunkPolicy.of(settings), utc_now())
        dispatch(database, broker, messages)
        while True:
            with database.reading() as session:
                if session.scalar(lacking) == 0:
                    return time.perf_counter() - started
            time.sleep(0.02)
    finally:
        broker.close()
        database.close()


@contextmanager
def _server(picture: str) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.picture_server", picture]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.terminate()
        process.communicate()
