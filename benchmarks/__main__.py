"""`make bench`: what the model costs in each runtime, side by side in one run, as ratios.

Measured is the prediction alone, on prepared pixels in memory: what the engine around it can reach at best. Rounds
alternate between the candidates; medians are shown with their spread, and results/runtimes.json keeps them.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from classifier.artifact import KERAS_MODEL, list_artifacts
from classifier.prepare import prepare
from classifier.runtime import Runtime
from classifier.runtimes import open_runtime
from core.settings import PROJECT

ROUNDS = 5
PICTURES = 256
RESULTS = Path(__file__).parent / "results" / "runtimes.json"


def in_slots(runtime: Runtime, size: int) -> Callable[[np.ndarray], object]:
    """Batches of `size`, as many at once as the runtime likes: what the batcher does."""

    def run(pixels: np.ndarray) -> object:
        with ThreadPoolExecutor(runtime.slots) as pool:
            return list(pool.map(runtime.infer, np.split(pixels, len(pixels) // size)))

    return run


def main() -> None:
    artifact = list_artifacts(PROJECT / "models")[-1]
    paths = sorted((PROJECT / "samples" / "pictures").iterdir())
    prepared = [prepare(path.read_bytes(), artifact.input).pixels for path in paths]
    pixels = np.stack([prepared[n % len(prepared)] for n in range(PICTURES)])
    openvino, tensorflow = open_runtime(artifact, "openvino"), open_runtime(artifact, "tensorflow")
    # TensorFlow's runtime has set Keras up by now.
    import keras

    model = keras.saving.load_model(artifact.folder / KERAS_MODEL, compile=False)
    candidates: dict[str, Callable[[np.ndarray], object]] = {
        "keras.predict, batches of 32": lambda p: model.predict(p, batch_size=32, verbose=0),
        "TensorFlow runtime, batches of 32": in_slots(tensorflow, 32),
        "OpenVINO runtime f32, one by one": in_slots(openvino, 1),
        "OpenVINO runtime f32, batches of 8": in_slots(openvino, 8),
    }
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        run(pixels[:64])
    for _ in track(range(ROUNDS), "rounds"):
        for name, run in candidates.items():
            start = time.perf_counter()
            run(pixels)
            rates[name].append(PICTURES / (time.perf_counter() - start))
    report(str(artifact.ref), rates)


def report(model: str, rates: dict[str, list[float]]) -> None:
    first = statistics.median(next(iter(rates.values())))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    table = Table("runtime", "pictures/s", "spread", "ratio", title=f"{model} on {machine}", box=None)
    rows = {}
    for name, values in rates.items():
        median = statistics.median(values)
        rows[name] = {"median": median, "lowest": min(values), "highest": max(values), "ratio": median / first}
        table.add_row(name, f"{median:.0f}", f"{min(values):.0f}–{max(values):.0f}", f"{median / first:.2f}")
    Console().print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"model": model, "machine": machine, "runtimes": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
