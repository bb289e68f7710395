"""Measure a job that is submitted a second time. Its predictions are known, so it should cost almost nothing."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.pictures import fresh, make_pictures
from benchmarks.run import spread
from benchmarks.service import finished_at, running_service

SIZE = 400
PICTURES = 1000
ROUNDS = 3


def run(progress: Progress) -> dict[str, Any]:
    """Return the seconds of a job and of its repetition, from acceptance to the end and from the first byte."""
    task = progress.add_task("reuse", total=ROUNDS)
    seconds: dict[str, list[float]] = {"first": [], "again": [], "first_whole": [], "again_whole": []}
    reused = []
    with tempfile.TemporaryDirectory() as folder, running_service() as service:
        pictures = make_pictures(Path(folder), SIZE)
        for number in range(ROUNDS):
            files = fresh(pictures, PICTURES, f"reuse {number}")
            for name in ("first", "again"):
                started = time.time()
                job = service.finished(service.submit(files, name))
                accepted = datetime.fromisoformat(job["created_at"]).timestamp()
                seconds[name].append(finished_at(job) - accepted)
                seconds[f"{name}_whole"].append(finished_at(job) - started)
            reused.append(job["counts"]["reused"])
            progress.advance(task)
    ratios = [a / b for a, b in zip(seconds["first"], seconds["again"], strict=True)]
    whole = [a / b for a, b in zip(seconds["first_whole"], seconds["again_whole"], strict=True)]
    return {
        "pictures": PICTURES,
        "reused": min(reused),
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "times_faster": spread(ratios),
        "times_faster_with_upload": spread(whole),
    }
