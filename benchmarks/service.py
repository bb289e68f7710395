"""Run the whole service with `lookbook up`, as a new user does, and talk to it as a client."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

from core.settings import PROJECT

READY_SECONDS = 180.0
"""Longest wait for the start. On a GPU, XLA compiles the model for each batch size."""
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Service:
    """A running `lookbook up`."""

    url: str
    home: Path
    process: subprocess.Popen[str]
    http: httpx.Client

    def submit(self, files: Sequence[bytes], name: str, **options: str) -> dict[str, Any]:
        """Upload pictures as one job, with more fields in `options`, and return the job as it was accepted."""
        parts = [("images", (f"{number}.jpg", data, "image/jpeg")) for number, data in enumerate(files)]
        answer = self.http.post("/v1/jobs", files=parts, data={"name": name, **options})
        return dict(answer.raise_for_status().json())

    def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """Wait for the end of the job and return the finished job."""
        while True:
            found = dict(self.http.get(job["links"]["self"]).raise_for_status().json())
            if found["status"] not in {"queued", "running"}:
                return found
            time.sleep(POLL_SECONDS)

    def classify(self, picture: bytes) -> dict[str, Any]:
        """Classify one picture and wait for the answer."""
        answer = self.http.post("/v1/classifications", files={"image": ("picture.jpg", picture, "image/jpeg")})
        return dict(answer.raise_for_status().json())

    def processes(self, *words: str) -> list[psutil.Process]:
        """Return the supervised process whose command ends with these words, and its children."""
        direct = psutil.Process(self.process.pid).children()
        found = next(p for p in direct if p.cmdline()[-len(words) :] == list(words))
        return [found, *found.children(recursive=True)]


def finished_at(job: dict[str, Any]) -> float:
    """Return when the job's last row was committed, in seconds since 1970 (as time.time())."""
    return datetime.fromisoformat(job["finished_at"]).timestamp()


def removed_at_exit() -> Path:
    """Return a new folder that is removed when this process ends.

    For five minutes after a deletion, ext4 checks the deleted inodes whenever it makes a file (`recently_deleted`).
    Files that one measurement deleted have cost the next one up to 0.6 ms of processor time per stored picture.
    """
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def running_service(**environment: str) -> Iterator[Service]:
    """Run the service on a free port and in its own folder, with further settings from `environment`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = removed_at_exit()
    settings = {"LOOKBOOK_HOME": str(folder), "LOOKBOOK_PORT": str(port), **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "up"],
        cwd=PROJECT,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(base_url=url, timeout=120.0, trust_env=False) as http:
            _wait_until_ready(http, process)
            yield Service(url, folder, process, http)
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(http: httpx.Client, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            if http.get("/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the service was not ready within {READY_SECONDS:g} s")
