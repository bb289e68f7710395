"""Measure how long one picture takes, alone and while a bulk job saturates the worker, and what the bulk job loses."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx
from rich.progress import Progress

from benchmarks.pictures import fresh, make_pictures
from benchmarks.run import percentile, spread
from benchmarks.service import Service, finished_at, running_service
from classifier.artifact import list_artifacts
from classifier.prepare import prepare
from classifier.runtime import padded
from classifier.runtimes import open_runtime
from core.settings import PROJECT

SIZE = 400
WARM_UP = 30
IDLE_REQUESTS = 200
BULK_PICTURES = 3000
PER_SECOND = 5.0
ROUNDS = 3


def run(progress: Progress) -> dict[str, Any]:
    """Return the seconds of single requests, idle and under load, and the bulk job's rate with and without them."""
    task = progress.add_task("interactive", total=2 + 2 * ROUNDS)
    with tempfile.TemporaryDirectory() as folder, running_service() as service:
        pictures = make_pictures(Path(folder), SIZE)
        singles = fresh(pictures, IDLE_REQUESTS * 10, "single")
        bare = _bare(singles[-IDLE_REQUESTS:])
        progress.advance(task)
        for _ in range(WARM_UP):
            # Each picture is sent only once, because a known prediction would be reused.
            service.classify(singles.pop())
        idle = [_seconds(service, singles.pop()) for _ in range(IDLE_REQUESTS)]
        progress.advance(task)
        under_load: list[float] = []
        alone: list[float] = []
        beside: list[float] = []
        for number in range(ROUNDS):
            alone.append(_bulk_rate(service, fresh(pictures, BULK_PICTURES, f"alone {number}")))
            progress.advance(task)
            stopped = threading.Event()
            stream = threading.Thread(target=_stream, args=(service.url, singles, under_load, stopped))
            beside.append(_bulk_rate(service, fresh(pictures, BULK_PICTURES, f"beside {number}"), stream))
            stopped.set()
            stream.join()
            progress.advance(task)
    return {
        "bare_median": spread(bare)["median"],
        "idle": _latencies(idle),
        "under_load": _latencies(under_load),
        "overhead_median": spread(idle)["median"] - spread(bare)["median"],
        "p95_ratio": percentile(under_load, 0.95) / percentile(idle, 0.95),
        "bulk_alone": spread(alone),
        "bulk_beside": spread(beside),
        "bulk_kept": spread([b / a for a, b in zip(alone, beside, strict=True)]),
        "requests_per_second": PER_SECOND,
    }


def _bare(files: list[bytes]) -> list[float]:
    """Return the seconds that each picture takes without a service: from bytes to scores in this process."""
    artifact = list_artifacts(PROJECT / "models")[-1]
    runtime = open_runtime(artifact, "openvino")
    seconds = []
    for data in files:
        started = time.perf_counter()
        runtime.infer(padded([prepare(data, artifact.input).pixels], 1), lone=True)
        seconds.append(time.perf_counter() - started)
    runtime.close()
    return seconds


def _seconds(service: Service, picture: bytes) -> float:
    started = time.perf_counter()
    service.classify(picture)
    return time.perf_counter() - started


def _bulk_rate(service: Service, files: list[bytes], beside: threading.Thread | None = None) -> float:
    """Return pictures per second while the job runs. Its upload ends before the measurement starts."""
    job = service.submit(files, "bulk")
    started, done = time.time(), 0
    if beside is not None:
        beside.start()
    done = int(service.http.get(job["links"]["self"]).json()["counts"]["succeeded"])
    return (len(files) - done) / (finished_at(service.finished(job)) - started)


def _stream(url: str, singles: list[bytes], latencies: list[float], stopped: threading.Event) -> None:
    """Send single pictures at a steady pace, each in its own thread, so that a slow answer delays no other picture."""

    def classify(picture: bytes) -> None:
        with httpx.Client(base_url=url, timeout=60.0, trust_env=False) as http:
            http.get("/healthz")
            started = time.perf_counter()
            answer = http.post("/v1/classifications", files={"image": ("picture.jpg", picture, "image/jpeg")})
            seconds = time.perf_counter() - started
            if not stopped.is_set():
                answer.raise_for_status()
                latencies.append(seconds)

    threads = []
    while not stopped.wait(1 / PER_SECOND):
        threads.append(threading.Thread(target=classify, args=(singles.pop(),)))
        threads[-1].start()
    for thread in threads:
        thread.join()


def _latencies(values: list[float]) -> dict[str, float]:
    return {"median": percentile(values, 0.5), "p95": percentile(values, 0.95), "count": len(values)}
