"""What receiving pictures costs the API: until they and their rows are durable and the answer is sent."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from rich.progress import Progress

from benchmarks.run import spread
from cli.redis_server import RedisPlace
from cli.registry import register_models
from core.settings import PROJECT, Settings
from db.engine import Database
from db.migrate import upgrade

BYTES = 30_000
"""A JPEG of 400 px has so many; what is in it does not matter here, for no worker is there to open it."""
REQUESTS = {1: 200, 100: 20, 2000: 5}
"""How many requests are sent, by the pictures that one holds."""
PORT = 8763
_QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def run(progress: Progress) -> dict[str, Any]:
    """Milliseconds of the API's processor time, and of waiting for the answer, for each picture."""
    task = progress.add_task("receiving", total=sum(REQUESTS.values()))
    figures = {}
    with tempfile.TemporaryDirectory() as folder, _api(Path(folder)) as (http, processes):
        _send(http, 100)
        for pictures, requests in REQUESTS.items():
            processor, waited = [], []
            for _ in range(requests):
                before = _processor_time(processes)
                waited.append(_send(http, pictures) / pictures * 1000)
                processor.append((_processor_time(processes) - before) / pictures * 1000)
                progress.advance(task)
            # The kernel counts in hundredths of a second: of a single picture only the sum of many says anything.
            mean = sum(processor) / len(processor)
            figures[pictures] = {"processor_ms": mean, "waited_ms": spread(waited), "requests": requests}
    return {"bytes": BYTES, "by_request": figures}


def _send(http: httpx.Client, pictures: int) -> float:
    """Seconds until the answer."""
    parts = [("images", (f"{number}.jpg", os.urandom(BYTES), "image/jpeg")) for number in range(pictures)]
    request = http.build_request("POST", "/v1/jobs", files=parts)
    body = request.read()
    started = time.perf_counter()
    http.post("/v1/jobs", content=body, headers={"Content-Type": request.headers["Content-Type"]}).raise_for_status()
    return time.perf_counter() - started


def _processor_time(processes: list[psutil.Process]) -> float:
    times = [process.cpu_times() for process in processes]
    return sum(spent.user + spent.system for spent in times)


@contextmanager
def _api(home: Path) -> Iterator[tuple[httpx.Client, list[psutil.Process]]]:
    """The API alone, one process, with a Redis; no worker."""
    place = RedisPlace()
    redis = subprocess.Popen(place.command(), stdout=subprocess.DEVNULL)
    settings = Settings(home=home, redis_url=place.url, port=PORT)
    database = Database(settings.resolved_database_url)
    upgrade(database)
    register_models(settings, database)
    database.close()
    environment = {
        **os.environ,
        "LOOKBOOK_HOME": str(home),
        "LOOKBOOK_REDIS_URL": place.url,
        "LOOKBOOK_PORT": str(PORT),
        "LOOKBOOK_API_PROCESSES": "1",
    }
    api = subprocess.Popen([sys.executable, "-m", "cli", "api"], cwd=PROJECT, env=environment, **_QUIET)
    try:
        with httpx.Client(base_url=settings.url, timeout=120.0, trust_env=False) as http:
            _wait_for(http, api)
            main = psutil.Process(api.pid)
            yield http, [main, *main.children(recursive=True)]
    finally:
        for process in (api, redis):
            process.terminate()
            process.wait()
        place.remove()


def _wait_for(http: httpx.Client, api: subprocess.Popen[bytes]) -> None:
    while api.poll() is None:
        try:
            if http.get("/healthz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise RuntimeError(f"the API ended with code {api.returncode}")
