"""The model through OpenVINO: the default on a CPU."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
import openvino as ov
import structlog
from numpy.typing import NDArray

from classifier.artifact import ACTIVATION_MAPS, OPENVINO_INT8, OPENVINO_MODEL, SCORES, Artifact
from classifier.precision import EXACT, Precision
from classifier.runtime import BULK_NICENESS, OutOfDeviceMemory, RuntimeName

log = structlog.get_logger(__name__)

BATCH_SIZES: Mapping[Precision, tuple[int, ...]] = {"f32": (1, 4), "bf16": (1, 4), "int8": (1, 8)}
"""Which of a precision's two costs less per picture depends on the processor: the batcher measures it as it runs.

Processor time a picture in batches of 1, 4 and 8, on an AMD EPYC with AVX-512: f32 5.0, 4.8 and 5.4 ms; bf16 2.7, 2.5
and 2.6 ms (3.0 beside decoders); int8 1.85, 1.73 and 1.69 ms.
"""

_core = ov.Core()


class OpenVinoRuntime:
    """One compiled model per batch size, each with one inference request per stream; and one for lone pictures."""

    name: ClassVar[RuntimeName] = "openvino"
    device = "CPU"
    has_express_slot: ClassVar[bool] = True

    def __init__(self, artifact: Artifact, precision: Precision = EXACT, cache: Path | None = None) -> None:
        """`cache` is a folder where OpenVINO keeps what it compiled, under names of its own, for the next start."""
        self.precision = precision
        self.batch_sizes = BATCH_SIZES[precision]
        self.side = artifact.input.size
        self._artifact = artifact
        self._cache = cache
        self.slots = 0
        self._requests: dict[int, SimpleQueue[Any]] = {}
        # In a thread of its own, whose lower priority those that OpenVINO starts for it inherit.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._prepare_bulk).result()
        # All cores on one picture: for whoever waits while nothing else runs.
        self._lone = _requests(self._compile(SCORES, 1, "LATENCY"), 1)
        self._explainer: SimpleQueue[Any] | None = None
        self._compiling = threading.Lock()
        self.infer(np.zeros((1, self.side, self.side, 3), np.uint8), lone=True)

    def _prepare_bulk(self) -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BULK_NICENESS)
        for size in self.batch_sizes:
            compiled = self._compile(SCORES, size, "THROUGHPUT")
            self.slots = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            self._requests[size] = _requests(compiled, self.slots)
            self.infer(np.zeros((size, self.side, self.side, 3), np.uint8))

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, side, side, 3], N one of `batch_sizes`."""
        return _run(self._lone if lone and len(batch) == 1 else self._requests[len(batch)], batch)

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class activation maps, float32 [height, width, labels], of one picture's pixels uint8 [side, side, 3]."""
        with self._compiling:
            # Compiled when first asked for: most workers never are.
            self._explainer = self._explainer or _requests(self._compile(ACTIVATION_MAPS, 1, "LATENCY"), 1)
        maps: NDArray[np.float32] = _run(self._explainer, pixels[None])[0]
        return maps

    def close(self) -> None:
        self._requests.clear()
        self._lone = SimpleQueue()
        self._explainer = None

    def _compile(self, output: str, size: int, hint: str) -> Any:
        # The quantized export has scores only.
        quantized = self.precision == "int8" and output == SCORES
        model = _core.read_model(self._artifact.folder / (OPENVINO_INT8 if quantized else OPENVINO_MODEL))
        model.reshape([size, self.side, self.side, 3])
        options = {
            "PERFORMANCE_HINT": hint,
            # Left alone, OpenVINO computes in bf16 where the processor can.
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
        }
        wanted = only_output(model, output)
        if self._cache is not None:
            try:
                with _held(self._cache):
                    return _core.compile_model(wanted, "CPU", {"CACHE_DIR": str(self._cache), **options})
            except (OSError, RuntimeError) as error:
                log.warning("cache_not_used", model=str(self._artifact.ref), reason=str(error))
        return _core.compile_model(wanted, "CPU", options)


def supported_precisions() -> tuple[Precision, ...]:
    """What this processor computes in faster than by imitation, as OpenVINO says."""
    found = _core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    pairs: tuple[tuple[Precision, str], ...] = (("f32", "FP32"), ("bf16", "BF16"), ("int8", "INT8"))
    return tuple(name for name, theirs in pairs if theirs in found)


def only_output(model: Any, name: str) -> Any:
    """The part of an OpenVINO model that one of its outputs needs."""
    return ov.Model([model.output(name)], model.get_parameters(), model.get_friendly_name())


@contextmanager
def _held(cache: Path) -> Iterator[None]:
    """Have a cache folder for oneself: OpenVINO maps its files into memory while others may be writing them.

    Raises:
        OSError: the folder cannot be used.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a") as lock:
        # Released when the file is closed, or its process is dead.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(requests: SimpleQueue[Any], batch: NDArray[np.uint8]) -> NDArray[np.float32]:
    with _one_of(requests) as request:
        try:
            output: NDArray[np.float32] = request.infer({0: batch}, share_inputs=True)[0].copy()
        except RuntimeError as error:
            if "bad_alloc" in str(error) or "memory" in str(error).lower():
                raise OutOfDeviceMemory(str(error)) from error
            raise
    return output


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
