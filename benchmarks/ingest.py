"""Measure large submissions: seconds until the answer, seconds until all items are stored, and memory."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from rich.progress import Progress

from benchmarks.api_alone import Api, running_api
from benchmarks.pipeline import empty_installation
from broker.client import Broker
from core.messages import Queue
from core.settings import PROJECT, Settings

ROWS, MEMBERS, UPLOADS = 100_000, 10_000, 10_000
BYTES = 10_000
"""Size of each picture. Its content does not matter here, because no worker opens it."""

Parts = list[tuple[str, tuple[str, bytes]]]


def run(progress: Progress) -> dict[str, Any]:
    """Return seconds and megabytes of a manifest, of an archive, and of as many uploads in one request, on SQLite."""
    makers: dict[str, Callable[[], Parts]] = {"uploads": _uploads, "archive": _archive, "manifest": _manifest}
    task = progress.add_task("ingest", total=len(makers))
    figures = {}
    with empty_installation("sqlite") as settings, running_api(settings) as api, _expander(settings) as expander:
        for name, make in makers.items():
            figures[name] = _measure(api, expander, make())
            progress.advance(task)
    return {"bytes": BYTES, "sources": figures}


def _uploads() -> Parts:
    return [("images", (f"{number}.jpg", os.urandom(BYTES))) for number in range(UPLOADS)]


def _archive() -> Parts:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(MEMBERS):
            archive.writestr(f"look/{number}.jpg", os.urandom(BYTES))
    return [("archive", ("catalog.zip", buffer.getvalue()))]


def _manifest() -> Parts:
    rows = (f"https://shop.example/looks/{number}.jpg,sku-{number},Coat number {number}\n" for number in range(ROWS))
    return [("manifest", ("looks.csv", ("url,id,title\n" + "".join(rows)).encode()))]


def _measure(api: Api, expander: psutil.Process, parts: Parts) -> dict[str, float]:
    request = api.http.build_request("POST", "/v1/jobs", files=parts)
    body = request.read()
    before = {"api": _reset_peak(api.processes[-1]), "expander": _reset_peak(expander)}
    started = time.perf_counter()
    headers = {"Content-Type": request.headers["Content-Type"]}
    job = api.http.post("/v1/jobs", content=body, headers=headers).raise_for_status().json()
    answered = time.perf_counter() - started
    while job["discovering"]:
        time.sleep(0.05)
        job = api.http.get(job["links"]["self"]).raise_for_status().json()
    return {
        "items": job["counts"]["total"],
        "megabytes": len(body) / 2**20,
        "answered_seconds": answered,
        "read_seconds": time.perf_counter() - started,
        "api_megabytes_more": _peak(api.processes[-1]) - before["api"],
        "expander_megabytes_more": _peak(expander) - before["expander"],
    }


def _reset_peak(process: psutil.Process) -> float:
    """Reset the process's peak of memory and return its present memory, in MB."""
    Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    return _peak(process)


def _peak(process: psutil.Process) -> float:
    """Return the peak of the process's memory since the last reset, in MB (VmHWM of proc_pid_status(5))."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


@contextmanager
def _expander(settings: Settings) -> Iterator[psutil.Process]:
    """Run a worker that only reads sources."""
    environment = {**os.environ, "LOOKBOOK_HOME": str(settings.home), "LOOKBOOK_REDIS_URL": settings.redis_url}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "worker", "--queues", Queue.INGEST.value, "--concurrency", "1"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    broker = Broker.connect(settings)
    try:
        while not broker.list_live_workers():
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        broker.close()
        process.terminate()
        process.wait()
