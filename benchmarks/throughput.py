"""Compare the throughput of the whole service with that of one process without a service, on the same pictures.

*limit*: one process uses all cores, from bytes on disk to scores, and stores nothing. *service*: the pictures go over
HTTP, through Redis and into the database, from the first byte of the first request to the commit of the last row.
*keras*: plain Pillow and `keras.predict` in batches of 32, as most people write it. The three take turns in each round.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.progress import Progress

from benchmarks.pictures import SIZES, fresh, make_pictures, plain_pillow_pixels
from benchmarks.run import spread
from benchmarks.service import Service, finished_at, removed_at_exit, running_service
from classifier.artifact import Artifact, list_artifacts
from classifier.keras_graph import load_graph
from classifier.precision import Precision
from classifier.prepare import prepare
from classifier.runtimes import open_runtime
from core.settings import PROJECT

PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "int8")
ROUNDS = 3
PICTURES = {400: 6000, 1500: 2000}
"""Pictures of one round, by size. There are enough of them that filling and draining the pipeline hardly count."""
KERAS_PICTURES = 256
REQUESTS = 20
"""The pictures of one round are sent in this many requests, one after the other."""
PREDICT_BATCH = 32


def run(progress: Progress) -> dict[str, Any]:
    """Return pictures per second by size and precision, and the client's share of the processor time."""
    task = progress.add_task("throughput", total=len(PRECISIONS) * len(SIZES) * ROUNDS)
    artifact = list_artifacts(PROJECT / "models")[-1]
    found: dict[str, Any] = {}
    pictures = {size: make_pictures(removed_at_exit(), size) for size in SIZES}
    keras = Keras(artifact)
    for precision in PRECISIONS:
        limit = Limit(artifact, precision)
        with running_service(LOOKBOOK_PRECISION=precision) as service:
            for size in SIZES:
                rounds = _Rounds(pictures[size], PICTURES[size])
                rounds.warm_up(limit, service, keras)
                for number in range(ROUNDS):
                    rounds.measure(limit, service, keras, f"{precision} {number}")
                    progress.advance(task)
                found.setdefault(str(size), {})[precision] = rounds.figures()
        limit.runtime.close()
    return {"model": str(artifact.ref), "pictures": PICTURES, "rounds": ROUNDS, "sizes": found}


class Limit:
    """The highest rate of one process without a service: each core decodes a few pictures, then predicts them."""

    def __init__(self, artifact: Artifact, precision: Precision) -> None:
        self.runtime = open_runtime(artifact, "openvino", precision)
        self._spec = artifact.input
        # Files are overwritten and not deleted, because ext4 is slow after deletions (see `removed_at_exit`).
        self._folder = removed_at_exit()

    def rate(self, files: Sequence[bytes], batch: int) -> float:
        """Return pictures per second when each core decodes and predicts `batch` pictures at a time."""
        paths = [self._folder / str(number) for number in range(len(files))]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        parts = [paths[start : start + batch] for start in range(0, len(paths) - batch + 1, batch)]
        started = time.perf_counter()
        with ThreadPoolExecutor(self.runtime.slots) as pool:
            for _ in pool.map(self._predict, parts):
                pass
        return len(parts) * batch / (time.perf_counter() - started)

    def best(self, files: Sequence[bytes]) -> int:
        """Return the batch size with the highest rate."""
        return max(self.runtime.batch_sizes, key=lambda batch: self.rate(files, batch))

    def _predict(self, paths: Sequence[Path]) -> None:
        self.runtime.infer(np.stack([prepare(path.read_bytes(), self._spec).pixels for path in paths]))


class Keras:
    """Plain Pillow and `keras.predict`."""

    def __init__(self, artifact: Artifact) -> None:
        self._model = load_graph(artifact.folder)
        self._side = artifact.input.size

    def rate(self, files: Sequence[bytes]) -> float:
        started = time.perf_counter()
        for start in range(0, len(files), PREDICT_BATCH):
            batch = [plain_pillow_pixels(data, self._side) for data in files[start : start + PREDICT_BATCH]]
            self._model.predict(np.stack(batch), batch_size=PREDICT_BATCH, verbose=0)
        return len(files) / (time.perf_counter() - started)


class _Rounds:
    """The measurements of one picture size in one precision."""

    def __init__(self, pictures: list[Path], count: int) -> None:
        self._pictures = pictures
        self._count = count
        self._batch = 1
        self._rates: dict[str, list[float]] = {"limit": [], "service": [], "keras": []}
        self._client: list[float] = []

    def warm_up(self, limit: Limit, service: Service, keras: Keras) -> None:
        files = fresh(self._pictures, 200, "warm up")
        self._batch = limit.best(files)
        service.finished(service.submit(files, "warm up"))
        keras.rate(files[:PREDICT_BATCH])

    def measure(self, limit: Limit, service: Service, keras: Keras, salt: str) -> None:
        files = fresh(self._pictures, self._count, salt)
        self._rates["limit"].append(limit.rate(files, self._batch))
        rate, client = service_rate(service, files, salt)
        self._rates["service"].append(rate)
        self._client.append(client)
        self._rates["keras"].append(keras.rate(files[:KERAS_PICTURES]))

    def figures(self) -> dict[str, Any]:
        limit, service, keras = (self._rates[name] for name in ("limit", "service", "keras"))
        return {
            "rates": {name: spread(values) for name, values in self._rates.items()},
            "limit_batch": self._batch,
            "service_to_limit": spread([a / b for a, b in zip(service, limit, strict=True)]),
            "service_to_keras": spread([a / b for a, b in zip(service, keras, strict=True)]),
            "client_share": spread(self._client),
        }


def service_rate(service: Service, files: Sequence[bytes], name: str) -> tuple[float, float]:
    """Return pictures per second, from the first byte to the last commit, and this client's share of processor time."""
    each = -(-len(files) // REQUESTS)
    used, started = psutil.Process().cpu_times(), time.time()
    jobs = [service.submit(files[start : start + each], name) for start in range(0, len(files), each)]
    ended = max(finished_at(service.finished(job)) for job in jobs)
    spent = psutil.Process().cpu_times()
    client = spent.user + spent.system - used.user - used.system
    return len(files) / (ended - started), client / ((ended - started) * (psutil.cpu_count() or 1))
