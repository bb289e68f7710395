"""Measure how soon a CPU worker is ready, and how much memory the processes take."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from rich.progress import Progress

from benchmarks.pictures import fresh, make_pictures
from benchmarks.run import spread
from benchmarks.service import Service, running_service
from broker.client import Broker
from cli.redis_server import EmbeddedRedis
from cli.registry import register_models
from core.errors import BrokerUnavailable
from core.settings import PROJECT, Settings
from db.database import Database
from db.migrate import upgrade

ROUNDS = 5
PICTURES = 500


def run(progress: Progress) -> dict[str, Any]:
    """Return the seconds from a worker's start to its first heartbeat, and MB of API and worker after some work."""
    task = progress.add_task("start", total=ROUNDS + 1)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        place = EmbeddedRedis()
        redis = subprocess.Popen(place.command(), stdout=subprocess.DEVNULL)
        settings = Settings(home=Path(folder), redis_url=place.url)
        database = Database(settings.resolved_database_url)
        upgrade(database)
        register_models(settings, database)
        database.close()
        _wait_for(place.url)
        for _ in range(ROUNDS):
            seconds.append(_until_ready(settings))
            progress.advance(task)
        redis.terminate()
        redis.wait()
        place.remove()
        with running_service() as service:
            service.finished(service.submit(fresh(make_pictures(Path(folder), 400), PICTURES, "start"), "start"))
            weights = weigh(service)
        progress.advance(task)
    return {"worker_ready_seconds": spread(seconds), "megabytes": weights}


def weigh(service: Service) -> dict[str, float]:
    """Return MB of the API (master and processes), of the worker and of its decoders.

    A page that several processes share is divided among them (PSS).
    """
    worker = service.processes("worker")
    api = service.processes("api")
    return {
        "api": _pss(api),
        "api_processes": len(api),
        "api_largest_rss": max(process.memory_info().rss for process in api) / 1e6,
        "worker": _pss(worker[:1]),
        "worker_rss": worker[0].memory_info().rss / 1e6,
        "decoders": _pss(worker[1:]),
        "decoder_processes": len(worker) - 1,
    }


def _pss(processes: list[psutil.Process]) -> float:
    return sum(process.memory_full_info().pss for process in processes) / 1e6


def _until_ready(settings: Settings) -> float:
    environment = {**os.environ, "LOOKBOOK_HOME": str(settings.home), "LOOKBOOK_REDIS_URL": settings.redis_url}
    broker = Broker.connect(settings)
    started = time.perf_counter()
    with (settings.home / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "worker"], cwd=PROJECT, env=environment, stdout=log, stderr=log
        )
    while not broker.list_live_workers():
        if process.poll() is not None:
            raise RuntimeError(f"the worker ended with code {process.returncode}")
        time.sleep(0.01)
    seconds = time.perf_counter() - started
    process.terminate()
    process.wait()
    broker.close()
    return seconds


def _wait_for(url: str) -> None:
    broker = Broker.connect(Settings(redis_url=url))
    while True:
        try:
            broker.ping()
        except BrokerUnavailable:
            time.sleep(0.02)
        else:
            broker.close()
            return
