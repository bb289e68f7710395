"""Compare jobs with and without vectors, and a model with and without its embedding."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.pictures import fresh, make_pictures
from benchmarks.run import Spread, spread
from benchmarks.service import Service, finished_at, removed_at_exit, running_service
from classifier.artifact import list_artifacts
from classifier.precision import Precision
from classifier.runtime import Runtime
from classifier.runtime_openvino import OpenVinoRuntime
from core.settings import PROJECT

PRECISIONS: tuple[Precision, ...] = ("f32", "int8")
SIZE, PICTURES, ROUNDS = 400, 2000, 5
BATCHES = 40
"""Batches of one round of the model alone."""


def run(progress: Progress) -> dict[str, Any]:
    """Return pictures per second with and without vectors, by precision, and the rounds' ratios."""
    task = progress.add_task("stored vectors", total=len(PRECISIONS) * (ROUNDS + 1))
    pictures = make_pictures(removed_at_exit(), SIZE)
    found: dict[str, Any] = {}
    for precision in PRECISIONS:
        rates: dict[str, list[float]] = {"true": [], "false": []}
        with running_service(LOOKBOOK_PRECISION=precision) as service:
            _rate(service, fresh(pictures, 400, f"warm up {precision}"), "true")
            for number in range(ROUNDS):
                # The order changes, so that neither profits from what the other one left behind.
                for vectors in ("true", "false") if number % 2 else ("false", "true"):
                    files = fresh(pictures, PICTURES, f"{precision} {number} {vectors}")
                    rates[vectors].append(_rate(service, files, vectors))
                progress.advance(task)
        ratios = [with_them / without for with_them, without in zip(rates["true"], rates["false"], strict=True)]
        found[precision] = {
            "rates": {name: spread(values) for name, values in rates.items()},
            "service": spread(ratios),
            "model": _model_ratio(precision),
        }
        progress.advance(task)
    return {"pictures": PICTURES, "rounds": ROUNDS, "precisions": found}


def _rate(service: Service, files: Sequence[bytes], vectors: str) -> float:
    started = time.time()
    job = service.finished(service.submit(files, "vectors", vectors=vectors))
    return len(files) / (finished_at(job) - started)


def _model_ratio(precision: Precision) -> Spread:
    """Return the rate of the model with the output `embedding`, divided by its rate without."""
    artifact = list_artifacts(PROJECT / "models")[-1]
    whole, bare = OpenVinoRuntime(artifact, precision), OpenVinoRuntime(replace(artifact, embedding=None), precision)
    ratios = [_seconds(bare) / _seconds(whole) for _ in range(ROUNDS)]
    whole.close()
    bare.close()
    return spread(ratios)


def _seconds(runtime: Runtime) -> float:
    """Return the median of the seconds of a batch."""
    batch = np.random.default_rng(0).integers(0, 256, (runtime.batch_sizes[-1], *runtime.shape), np.uint8)
    durations = []
    for _ in range(BATCHES):
        started = time.perf_counter()
        runtime.infer(batch)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def section(figures: dict[str, Any]) -> str:
    """Return the section of docs/benchmarks.md."""
    rows = [
        f"| {precision} | {found['rates']['true']['median']:,.0f} | {found['rates']['false']['median']:,.0f} "
        f"| {_ratio(found['service'])} | {_ratio(found['model'])} |"
        for precision, found in figures["precisions"].items()
    ]
    table = "\n".join(rows)
    return f"""## The cost of vectors

Jobs of {figures["pictures"]:,} new pictures ({SIZE} px, uploads in one request) on a service with SQLite, with vectors
and with `vectors=false`, in turns. The last column compares batches of the model alone, with the output `embedding` and
without.

| precision | pictures/s with vectors | without | with / without | model with / without |
| --- | --- | --- | --- | --- |
{table}
"""


def _ratio(found: Spread) -> str:
    return f"{found['median']:.3f} ({found['lowest']:.3f}–{found['highest']:.3f})"
