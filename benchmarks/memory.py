"""Whether memory grows with the pictures that have gone through."""

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
SETTLED = 2000


def run(progress: Progress) -> dict[str, Any]:
    """MB of API, worker and decoders after every thousand pictures, and their growth after the first two thousand."""
    task = progress.add_task("memory", total=PICTURES)
    samples = []
    with tempfile.TemporaryDirectory() as folder, running_service() as service:
        pictures = make_pictures(Path(folder), 400)
        for done in range(STEP, PICTURES + 1, STEP):
            service.finished(service.submit(fresh(pictures, STEP, f"memory {done}"), f"memory {done}"))
            samples.append({"pictures": done, **weigh(service)})
            progress.update(task, completed=done)
    settled = next(sample for sample in samples if sample["pictures"] == SETTLED)
    growth = {name: samples[-1][name] - settled[name] for name in ("api", "worker", "decoders")}
    return {"samples": samples, "growth_megabytes": growth}
