"""Measure what receiving a picture costs the API, until picture and row are durable and the answer is sent."""

from __future__ import annotations

import os
import time
from typing import Any

import httpx
from rich.progress import Progress

from benchmarks.api_alone import running_api
from benchmarks.pipeline import empty_installation
from benchmarks.run import spread

BYTES = 30_000
"""Size of a JPEG of 400 px. Its content does not matter here, because no worker opens it."""
REQUESTS = {1: 200, 100: 20, 2000: 5}
"""Number of requests to send, by the number of pictures in one request."""


def run(progress: Progress) -> dict[str, Any]:
    """Return, per picture, the API's processor time and the time until the answer, in milliseconds."""
    task = progress.add_task("receiving", total=sum(REQUESTS.values()))
    figures = {}
    with empty_installation("sqlite") as settings, running_api(settings) as api:
        _send(api.http, 100)
        for pictures, requests in REQUESTS.items():
            processor, waited = [], []
            for _ in range(requests):
                before = api.processor_seconds()
                waited.append(_send(api.http, pictures) / pictures * 1000)
                processor.append((api.processor_seconds() - before) / pictures * 1000)
                progress.advance(task)
            # The kernel counts in hundredths of a second. This is too coarse for one request, but not for the mean.
            mean = sum(processor) / len(processor)
            figures[pictures] = {"processor_ms": mean, "waited_ms": spread(waited), "requests": requests}
    return {"bytes": BYTES, "by_request": figures}


def _send(http: httpx.Client, pictures: int) -> float:
    """Send one request and return the seconds until its answer."""
    parts = [("images", (f"{number}.jpg", os.urandom(BYTES), "image/jpeg")) for number in range(pictures)]
    request = http.build_request("POST", "/v1/jobs", files=parts)
    body = request.read()
    started = time.perf_counter()
    http.post("/v1/jobs", content=body, headers={"Content-Type": request.headers["Content-Type"]}).raise_for_status()
    return time.perf_counter() - started
