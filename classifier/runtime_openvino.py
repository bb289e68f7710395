"""Run a model with OpenVINO, the default on a CPU."""

from __future__ import annotations

import fcntl
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ClassVar

import numpy as np
import openvino as ov
import structlog
from numpy.typing import NDArray

from classifier.artifact import ACTIVATION_MAPS, EMBEDDING, OPENVINO_INT8, OPENVINO_MODEL, SCORES, Artifact
from classifier.precision import EXACT, Precision
from classifier.runtime import BULK_NICENESS, Answers, OutOfDeviceMemory, RuntimeName
from core.machine import Machine
from core.private_files import close_files

log = structlog.get_logger(__name__)

BATCH_SIZES: Mapping[Precision, tuple[int, ...]] = {"f32": (1, 4), "bf16": (1, 4), "int8": (1, 8)}
"""Two sizes per precision. Which of them costs less per picture depends on the processor, so the batcher measures it.

Processor time per picture in batches of 1, 4 and 8, on an AMD EPYC with AVX-512: f32 5.0, 4.8 and 5.4 ms; bf16 2.7, 2.5
and 2.6 ms (3.0 while decoders run); int8 1.85, 1.73 and 1.69 ms.
"""

_core = ov.Core()


class OpenVinoRuntime:
    """One compiled model per batch size, with an inference request per stream, and one model for single pictures."""

    name: ClassVar[RuntimeName] = "openvino"
    device = "CPU"
    has_express_slot: ClassVar[bool] = True

    def __init__(self, artifact: Artifact, precision: Precision = EXACT, cache: Path | None = None) -> None:
        """`cache` is a folder in which OpenVINO keeps compiled models for the next start."""
        self.precision = precision
        self.batch_sizes = BATCH_SIZES[precision]
        self.shape = artifact.input.shape
        self._artifact = artifact
        self._outputs = (SCORES,) if artifact.embedding is None else (SCORES, EMBEDDING)
        self._cache = cache
        self.slots = 0
        self._requests: dict[int, SimpleQueue[Any]] = {}
        # The threads that OpenVINO starts inherit the priority of the thread that compiles the model. That thread has a
        # low priority, because these models predict bulk work.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self._prepare_bulk).result()
        # This model uses all cores for one picture. It serves a caller who waits while nothing else runs.
        self._lone = _requests(self._compile(self._outputs, 1, "LATENCY"), 1)
        self._explainer: SimpleQueue[Any] | None = None
        self._compiling = threading.Lock()
        self.infer(np.zeros((1, *self.shape), np.uint8), lone=True)

    def _prepare_bulk(self) -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BULK_NICENESS)
        for size in self.batch_sizes:
            compiled = self._compile(self._outputs, size, "THROUGHPUT")
            self.slots = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            self._requests[size] = _requests(compiled, self.slots)
            self.infer(np.zeros((size, *self.shape), np.uint8))

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> Answers:
        """Return the answers to pixels, uint8 [N, *shape]; N is in `batch_sizes`."""
        return Answers(*_run(self._lone if lone and len(batch) == 1 else self._requests[len(batch)], batch))

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return class activation maps, float32 [height, width, labels], of the pixels, uint8 [*shape]."""
        with self._compiling:
            # Compile it at the first call, because most workers never explain a picture.
            self._explainer = self._explainer or _requests(self._compile((ACTIVATION_MAPS,), 1, "LATENCY"), 1)
        (maps,) = _run(self._explainer, pixels[None])
        of_picture: NDArray[np.float32] = maps[0]
        return of_picture

    def close(self) -> None:
        """Free the memory of the model."""
        self._requests.clear()
        self._lone = SimpleQueue()
        self._explainer = None

    def _compile(self, outputs: Sequence[str], size: int, hint: str) -> Any:
        # The quantized export has no activation maps.
        quantized = self.precision == "int8" and ACTIVATION_MAPS not in outputs
        model = _core.read_model(self._artifact.folder / (OPENVINO_INT8 if quantized else OPENVINO_MODEL))
        model.reshape([size, *self.shape])
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": hint,
            # Without this option, OpenVINO computes in bf16 if the processor can.
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
        }
        machine = Machine.here()
        if machine.processors < machine.cores:
            # OpenVINO follows the affinity, but not the quota of a container. With more threads than the quota allows,
            # the kernel would suspend all of them for a part of the time.
            options["INFERENCE_NUM_THREADS"] = machine.processors
        part = only_outputs(model, outputs)
        if self._cache is not None:
            try:
                with _locked(self._cache):
                    compiled = _core.compile_model(part, "CPU", {"CACHE_DIR": str(self._cache), **options})
                    # OpenVINO gives its files fixed permissions, whatever the umask is.
                    close_files(self._cache)
                    return compiled
            except (OSError, RuntimeError) as error:
                log.warning("cache_not_used", model=str(self._artifact.ref), reason=str(error))
        return _core.compile_model(part, "CPU", options)


def supported_precisions() -> tuple[Precision, ...]:
    """Return the precisions that the processor supports in hardware, as OpenVINO reports them."""
    capabilities = _core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    pairs: tuple[tuple[Precision, str], ...] = (("f32", "FP32"), ("bf16", "BF16"), ("int8", "INT8"))
    return tuple(name for name, openvino_name in pairs if openvino_name in capabilities)


def only_outputs(model: Any, names: Sequence[str]) -> Any:
    """Return the part of an OpenVINO model that leads to some of its outputs, in this order."""
    return ov.Model([model.output(name) for name in names], model.get_parameters(), model.get_friendly_name())


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Lock a cache folder, because OpenVINO maps its files into memory while another process may be writing them.

    Raises:
        OSError: the folder cannot be created or locked.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("a") as lock:
        # The lock is released when the file is closed or the process dies.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(requests: SimpleQueue[Any], batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    with _borrowed(requests) as request:
        try:
            outputs = [output.copy() for output in request.infer({0: batch}, share_inputs=True).values()]
        except RuntimeError as error:
            if "bad_alloc" in str(error) or "memory" in str(error).lower():
                raise OutOfDeviceMemory(str(error)) from error
            raise
    return outputs


@contextmanager
def _borrowed(requests: SimpleQueue[Any]) -> Iterator[Any]:
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
