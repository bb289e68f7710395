"""Measure whether memory grows with the number of classified pictures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.pictures import fresh, make_pictures
from benchmarks.service import running_service
from benchmarks.start import weigh

PICTURES = 20_000
STEP = 1000
WARM_UP = 2000
"""Growth is counted from this many pictures on."""


def run(progress: Progress) -> dict[str, Any]:
    """Return MB of API, worker and decoders after every thousand pictures, and their growth after the warm-up."""
    task = progress.add_task("memory", total=PICTURES)
    samples = []
    with tempfile.TemporaryDirectory() as folder, running_service() as service:
        pictures = make_pictures(Path(folder), 400)
        for done in range(STEP, PICTURES + 1, STEP):
            service.finished(service.submit(fresh(pictures, STEP, f"memory {done}"), f"memory {done}"))
            samples.append({"pictures": done, **weigh(service)})
            progress.update(task, completed=done)
    first = next(sample for sample in samples if sample["pictures"] == WARM_UP)
    growth = {name: samples[-1][name] - first[name] for name in ("api", "worker", "decoders")}
    return {"samples": samples, "growth_megabytes": growth}
