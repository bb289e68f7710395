"""Measure the prediction alone, in each runtime and precision, on prepared pixels in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.run import spread
from classifier.artifact import Artifact, list_artifacts
from classifier.keras_graph import load_graph
from classifier.prepare import prepare
from classifier.runtime import Runtime
from classifier.runtimes import open_runtime
from core.settings import PROJECT

ROUNDS = 5
PICTURES = 256

Pixels = NDArray[np.uint8]


def in_slots(runtime: Runtime, size: int) -> Callable[[Pixels], object]:
    """Return a function that predicts as the batcher does: in batches of `size`, one batch per slot at a time."""

    def run_(pixels: Pixels) -> object:
        with ThreadPoolExecutor(runtime.slots) as pool:
            return list(pool.map(runtime.infer, np.split(pixels, len(pixels) // size)))

    return run_


def sample_pixels(artifact: Artifact) -> Pixels:
    """Return the sample pictures of this project as inputs of the model, uint8 [N, *shape]."""
    paths = sorted((PROJECT / "samples" / "pictures").iterdir())
    return np.stack([prepare(path.read_bytes(), artifact.input).pixels for path in paths])


def repeated(pixels: Pixels, count: int) -> Pixels:
    """Return `count` pictures, which repeat those of `pixels`."""
    return pixels[np.arange(count) % len(pixels)]


def run(progress: Progress) -> dict[str, Any]:
    """Return pictures per second of each candidate, and its ratio to the first candidate."""
    artifact = list_artifacts(PROJECT / "models")[-1]
    pixels = repeated(sample_pixels(artifact), PICTURES)
    model, tensorflow = load_graph(artifact.folder), open_runtime(artifact, "tensorflow")
    candidates: dict[str, Callable[[Pixels], object]] = {
        "keras.predict, batches of 32": lambda p: model.predict(p, batch_size=32, verbose=0),
        "TensorFlow, batches of 32": in_slots(tensorflow, 32),
    }
    for precision in ("f32", "bf16", "int8"):
        runtime = open_runtime(artifact, "openvino", precision)
        for size in runtime.batch_sizes:
            candidates[f"OpenVINO {runtime.precision}, batches of {size}"] = in_slots(runtime, size)
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate(pixels[:64])
    task = progress.add_task("runtimes", total=ROUNDS)
    for _ in range(ROUNDS):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate(pixels)
            rates[name].append(PICTURES / (time.perf_counter() - started))
        progress.advance(task)
    first = next(iter(rates.values()))
    return {
        "model": str(artifact.ref),
        "runtimes": {
            name: {"rate": spread(values), "ratio": spread([a / b for a, b in zip(values, first, strict=True)])}
            for name, values in rates.items()
        },
    }
