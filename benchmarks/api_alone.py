"""Run the API alone, as one process and without a worker. Its database and its Redis run already."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

from core.settings import PROJECT, Settings


@dataclass(frozen=True, slots=True)
class Api:
    """A running `lookbook api`."""

    port: int
    http: httpx.Client
    processes: list[psutil.Process]
    """gunicorn's master process and its only worker process."""

    def processor_seconds(self) -> float:
        """Return the processor time spent so far. The kernel counts it in hundredths of a second."""
        times = [process.cpu_times() for process in self.processes]
        return sum(spent.user + spent.system for spent in times)

    def resident_megabytes(self) -> float:
        """Return the resident memory, in MiB, of the process that answers requests (the larger of the two)."""
        return max(process.memory_info().rss for process in self.processes) / 2**20


@contextmanager
def running_api(settings: Settings) -> Iterator[Api]:
    """Run the API on a free port, with the database and the Redis that the settings name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "LOOKBOOK_HOME": str(settings.home),
        "LOOKBOOK_REDIS_URL": settings.redis_url,
        "LOOKBOOK_DATABASE_URL": settings.database_url,
        "LOOKBOOK_PORT": str(port),
        "LOOKBOOK_API_PROCESSES": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "api"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120.0, trust_env=False) as http:
            _wait_for(http, process)
            main = psutil.Process(process.pid)
            yield Api(port, http, [main, *main.children(recursive=True)])
    finally:
        process.terminate()
        process.wait()


def _wait_for(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            if http.get("/healthz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.02)
    raise RuntimeError(f"the API ended with code {process.returncode}")
