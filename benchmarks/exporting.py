"""Measure how fast a job of a million items is exported, and whether the API's memory grows during the export."""

from __future__ import annotations

import threading
import time
from typing import Any

from rich.progress import Progress

from benchmarks.api_alone import Api, running_api
from benchmarks.million import ITEMS, store_million
from benchmarks.pipeline import empty_installation
from db.database import Database

FORMATS = ("csv", "jsonl", "parquet")
SAMPLE_SECONDS = 0.25
STEPS = 20
"""The memory samples of one export are grouped into this many parts of equal time."""


def run(progress: Progress) -> dict[str, Any]:
    """Return rows per second and size of each export, and the API's resident memory over the time of the export."""
    task = progress.add_task("exporting", total=1 + len(FORMATS))
    exports = {}
    with empty_installation("sqlite") as settings:
        database = Database(settings.resolved_database_url)
        job_id = store_million(database)
        database.close()
        progress.advance(task)
        with running_api(settings) as api:
            for name in FORMATS:
                # A first export loads libraries (pyarrow for Parquet) that stay in memory. They do not count as growth.
                api.http.get(f"/v1/jobs/{job_id}/export?format={name}&status=pending").raise_for_status()
                exports[name] = _export(api, f"/v1/jobs/{job_id}/export?format={name}")
                progress.advance(task)
    return {"rows": ITEMS, "formats": exports}


def _export(api: Api, path: str) -> dict[str, Any]:
    samples: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            samples.append(api.resident_megabytes())

    before, size = api.resident_megabytes(), 0
    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    with api.http.stream("GET", path) as answer:
        answer.raise_for_status()
        for piece in answer.iter_raw():
            size += len(piece)
    seconds = time.perf_counter() - started
    over.set()
    watcher.join()
    parts = [samples[n * len(samples) // STEPS : (n + 1) * len(samples) // STEPS] for n in range(STEPS)]
    highest = [max(part) for part in parts if part]
    return {
        "seconds": seconds,
        "rows_per_second": ITEMS / seconds,
        "megabytes": size / 1e6,
        "resident_before": before,
        "resident": highest,
        "growth_after_tenth": highest[-1] - highest[len(highest) // 10],
    }
