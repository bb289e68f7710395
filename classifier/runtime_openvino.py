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
from classifier.runtime import OutOfDeviceMemory, Precision, RuntimeName

BATCH_SIZES = (1, 8)
"""Which of them costs less per picture depends on processor and precision: the batcher measures it as it runs."""


class OpenVinoRuntime:
    """One compiled model per batch size, each with one inference request per stream; and one for lone pictures."""

    name: ClassVar[RuntimeName] = "openvino"
    device = "CPU"

    def __init__(self, artifact: Artifact, precision: Precision = "f32") -> None:
        self.precision = precision
        self.batch_sizes = BATCH_SIZES
        self.side = artifact.input.size
        core = ov.Core()
        compiled = {size: _compile(core, artifact, size, precision, "THROUGHPUT") for size in self.batch_sizes}
        self.slots = int(compiled[self.batch_sizes[-1]].get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._requests = {size: _requests(model, self.slots) for size, model in compiled.items()}
        # All cores on one picture: for whoever waits while nothing else runs.
        self._lone = _requests(_compile(core, artifact, 1, precision, "LATENCY"), 1)
        for size in self.batch_sizes:
            self.infer(np.zeros((size, self.side, self.side, 3), np.uint8))
        self.infer(np.zeros((1, self.side, self.side, 3), np.uint8), lone=True)

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, side, side, 3], N one of `batch_sizes`."""
        requests = self._lone if lone and len(batch) == 1 else self._requests[len(batch)]
        with _one_of(requests) as request:
            try:
                scores: NDArray[np.float32] = request.infer({0: batch}, share_inputs=True)[0].copy()
            except RuntimeError as error:
                if "bad_alloc" in str(error) or "memory" in str(error).lower():
                    raise OutOfDeviceMemory(str(error)) from error
                raise
        return scores

    def close(self) -> None:
        self._requests.clear()
        self._lone = SimpleQueue()


@contextmanager
def _one_of(requests: SimpleQueue[Any]) -> Iterator[Any]:
    request = requests.get()
    try:
        yield request
    finally:
        requests.put(request)


def _requests(compiled: Any, count: int) -> SimpleQueue[Any]:
    requests: SimpleQueue[Any] = SimpleQueue()
    for _ in range(count):
        requests.put(compiled.create_infer_request())
    return requests


def _compile(core: ov.Core, artifact: Artifact, size: int, precision: Precision, hint: str) -> Any:
    model = core.read_model(artifact.folder / OPENVINO_MODEL)
    side = artifact.input.size
    model.reshape([size, side, side, 3])
    options = {
        "PERFORMANCE_HINT": hint,
        # Left alone, OpenVINO computes in bf16 where the processor can.
        "INFERENCE_PRECISION_HINT": precision,
    }
    return core.compile_model(model, "CPU", options)
