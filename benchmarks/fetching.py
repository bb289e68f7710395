"""What downloading costs beside the transfer: pictures by URL, until stored and sent on, against plain httpx."""

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
from benchmarks.pipeline import backend, worker
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
from worker.app import CONNECTIONS_PER_HOST

PICTURES = 600
ROUNDS = 5


def run(progress: Progress) -> dict[str, Any]:
    """Pictures per second of both, in turn, and the ratio of each round; all from one host, on as many connections."""
    task = progress.add_task("fetching", total=2 * ROUNDS)
    ours: list[float] = []
    theirs: list[float] = []
    numbers = itertools.count()
    with ExitStack() as stack:
        # Nobody classifies here: the whole job has to fit into its window.
        settings = stack.enter_context(backend("sqlite")).with_changes(chunk_window=100, fetch_allow="127.0.0.0/8")
        (picture, *_) = make_pictures(settings.home, 400)
        address = stack.enter_context(_server(str(picture)))
        environment = {
            "LOOKBOOK_FETCH_ALLOW": "127.0.0.0/8",
            "LOOKBOOK_CHUNK_WINDOW": str(settings.chunk_window),
        }
        arguments = ("-m", "cli", "worker", "--queues", "fetch", "--concurrency", "8")
        stack.enter_context(worker(settings, *arguments, **environment))
        for _ in range(ROUNDS):
            for rates, download in ((theirs, _httpx), (ours, _job)):
                urls = [f"{address}/{next(numbers)}.jpg" for _ in range(PICTURES)]
                rates.append(PICTURES / download(settings, urls))
                progress.advance(task)
        bytes_each = picture.stat().st_size
    ratios = [mine / plain for mine, plain in zip(ours, theirs, strict=True)]
    rates_of = {"job": spread(ours), "httpx": spread(theirs)}
    connections = CONNECTIONS_PER_HOST
    return {
        "pictures": PICTURES,
        "bytes": bytes_each,
        "connections": connections,
        "rates": rates_of,
        "ratio": spread(ratios),
    }


def _httpx(_: Settings, urls: list[str]) -> float:
    """Seconds for downloading into memory."""
    limits = httpx.Limits(max_connections=CONNECTIONS_PER_HOST)
    with httpx.Client(limits=limits, trust_env=False) as http, ThreadPoolExecutor(CONNECTIONS_PER_HOST) as pool:
        started = time.perf_counter()
        for answer in pool.map(http.get, urls):
            answer.raise_for_status()
        return time.perf_counter() - started


def _job(settings: Settings, urls: list[str]) -> float:
    """Seconds from the submission until every picture is stored and its chunk sent on."""
    database, broker = Database(settings.resolved_database_url), Broker.connect(settings)
    items = [NewItem("x.jpg", None, source_url=url) for url in urls]
    lacking = select(func.count()).where(Item.blob_sha256.is_(None))
    try:
        started = time.perf_counter()
        with database.writing() as session:
            new = NewJob("fetching", JobSource.ITEMS, model_versions.resolve(session, "production"))
            _, messages = submitting.create_claimed(session, new, items, ChunkPolicy.of(settings), utc_now())
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
