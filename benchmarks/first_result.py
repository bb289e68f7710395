"""Measure how soon a job shows its first prediction, and how often its counts move, while the service is idle."""

from __future__ import annotations

import itertools
import time
from typing import Any

from rich.progress import Progress

from benchmarks.pictures import make_pictures
from benchmarks.run import spread
from benchmarks.service import Service, removed_at_exit, running_service

PICTURES, ROUNDS = 1200, 5
SIZE = 400
_POLL_SECONDS = 0.02


def run(progress: Progress) -> dict[str, Any]:
    """Return milliseconds from the acceptance of a job of new pictures to its first prediction, and between changes."""
    files = [path.read_bytes() for path in make_pictures(removed_at_exit(), SIZE)]
    task = progress.add_task("first result", total=ROUNDS)
    first, gaps, rates = [], [], []
    with running_service() as service:
        service.classify(files[0])
        for number in range(ROUNDS):
            job = service.submit(
                [_different(files[i % len(files)], number, i) for i in range(PICTURES)], "first result"
            )
            moments = _moments(service, job)
            first.append((moments[1] - moments[0]) * 1e3)
            gaps.append(max(later - earlier for earlier, later in itertools.pairwise(moments)) * 1e3)
            rates.append(PICTURES / (moments[-1] - moments[0]))
            progress.advance(task)
    return {
        "pictures": PICTURES,
        "first_milliseconds": spread(first),
        "longest_gap_milliseconds": spread(gaps),
        "rate": spread(rates),
    }


def _different(data: bytes, number: int, index: int) -> bytes:
    """Return a picture whose bytes no other picture has. Bytes after the end of a JPEG change nothing that is shown."""
    return data + f"{number}/{index}".encode()


def _moments(service: Service, job: dict[str, Any]) -> list[float]:
    """Return when the job was accepted, and each time when its counts had changed, until its end."""
    moments, done = [time.perf_counter()], 0
    while done < PICTURES:
        counts = service.http.get(job["links"]["self"]).raise_for_status().json()["counts"]
        if counts["total"] - counts["pending"] > done:
            done = counts["total"] - counts["pending"]
            moments.append(time.perf_counter())
        time.sleep(_POLL_SECONDS)
    return moments


def section(figures: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    names = ("first_milliseconds", "longest_gap_milliseconds", "rate")
    first, gap, rate = (
        f"{figures[name]['median']:,.0f} ({figures[name]['lowest']:,.0f}–{figures[name]['highest']:,.0f})"
        for name in names
    )
    return f"""## First result

A job of {figures["pictures"]:,} new pictures (400 px, uploads in one request) on an idle service (SQLite), whose client
asks for the job every {_POLL_SECONDS * 1e3:.0f} ms. Each figure is the median of the rounds.

| | |
| --- | --- |
| milliseconds from the acceptance of the job to its first prediction | {first} |
| milliseconds of the longest time without a change of the counts | {gap} |
| pictures per second | {rate} |
"""
