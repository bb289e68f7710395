"""The model through OpenVINO: the default on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from classifier.artifact import OPENVINO_MODEL, Artifact
from classifier.runtime import Precision, RuntimeName

BATCH_SIZES = (1, 8)
"""Single pictures for whoever waits; 8 under load (performance notes: in f32 batch 1 on all streams is as fast)."""


class OpenVinoRuntime:
    """One compiled model per batch size, each with one inference request per stream."""

    name: ClassVar[RuntimeName] = "openvino"
    device = "CPU"

    def __init__(self, artifact: Artifact, precision: Precision = "f32") -> None:
        self.precision = precision
        self.batch_sizes = BATCH_SIZES
        core = ov.Core()
        self._compiled = {size: _compile(core, artifact, size, precision) for size in self.batch_sizes}
        largest = self._compiled[self.batch_sizes[-1]]
        self.slots = int(largest.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests: dict[int, SimpleQueue[Any]] = {}
        for size, compiled in self._compiled.items():
            self._requests[size] = SimpleQueue()
            for _ in range(self.slots):
                self._requests[size].put(compiled.create_infer_request())
        self._labels = len(artifact.taxonomy.labels)
        for size in self.batch_sizes:
            self.predict(np.zeros((size, artifact.input.size, artifact.input.size, 3), np.uint8))

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, size, size, 3]."""
        scores = np.empty((len(pixels), self._labels), np.float32)
        start = 0
        for size, count in _split(len(pixels), self.batch_sizes):
            part = pixels[start : start + count]
            if count < size:
                part = np.concatenate([part, np.zeros((size - count, *part.shape[1:]), np.uint8)])
            with self._request(size) as request:
                output = request.infer({0: part}, share_inputs=True)[0]
                scores[start : start + count] = output[:count]
            start += count
        return scores

    @contextmanager
    def _request(self, size: int) -> Iterator[Any]:
        request = self._requests[size].get()
        try:
            yield request
        finally:
            self._requests[size].put(request)

    def close(self) -> None:
        self._requests.clear()
        self._compiled.clear()


def _split(count: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(bucket, pictures in it): full large buckets first; a rest of at least half of one is padded."""
    largest, smallest = sizes[-1], sizes[0]
    while count >= largest // 2 and count > smallest:
        taken = min(count, largest)
        yield largest, taken
        count -= taken
    for _ in range(count):
        yield smallest, smallest


def _compile(core: ov.Core, artifact: Artifact, size: int, precision: Precision) -> Any:
    model = core.read_model(artifact.folder / OPENVINO_MODEL)
    side = artifact.input.size
    model.reshape([size, side, side, 3])
    options = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        # Left alone, OpenVINO computes in bf16 where the processor can.
        "INFERENCE_PRECISION_HINT": precision,
    }
    return core.compile_model(model, "CPU", options)
