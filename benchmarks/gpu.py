"""Measure what has to be known about a GPU: `python -m benchmarks gpu`, in under ten minutes and without a network.

It prints Markdown for docs/capacity.md and stores nothing. Without a GPU it measures TensorFlow on the CPU and says so.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.gpu_page import Answered, Decoded, Findings, Predicted
from benchmarks.pictures import SIZES, fresh, make_pictures
from benchmarks.run import Machine
from benchmarks.runtimes import Pixels, in_slots, repeated, sample_pixels
from benchmarks.service import Service, removed_at_exit, running_service
from benchmarks.throughput import PICTURES, service_rate
from classifier.artifact import Artifact, list_artifacts
from classifier.keras_graph import load_graph, only_scores, use_mixed_precision
from classifier.prepare import InputSpec, prepare
from classifier.runtime import OutOfDeviceMemory, Runtime, predict
from classifier.runtimes import open_runtime
from core.settings import PROJECT

GPU_BATCH_SIZES, CPU_BATCH_SIZES = (1, 8, 32, 64, 128, 256), (1, 8, 32)
MEASURED_SECONDS = 1.5
"""Seconds for which each thing is measured."""
PREDICTING_SECONDS = 270.0
"""Seconds after which no further runtime is measured: XLA compiles for each batch size, which can be slow."""
SERVICE_SECONDS = 15.0
"""Duration of the comparison with the service, for each size of the pictures."""
AHEAD_BATCHES = 4
"""Batches of decoded pictures that the bare loop keeps ready."""

Infer = Callable[[Pixels], object]


def measure(progress: Progress) -> Findings:
    """Return what was measured."""
    task = progress.add_task("gpu", total=4)
    artifact = list_artifacts(PROJECT / "models")[-1]
    # It comes first, because it limits the memory that TensorFlow takes.
    runtime = open_runtime(artifact, "tensorflow")
    predicted, skipped = _predict_all(artifact, runtime)
    progress.advance(task)
    compared = _compare(artifact, runtime)
    pictures = {size: make_pictures(removed_at_exit(), size) for size in SIZES}
    decoded = [_decode(fresh(pictures[size], 400, "decode"), size, artifact.input) for size in SIZES]
    progress.advance(task)
    best = max(row.rate for row in predicted if row.prepared)
    files = {
        found.size: fresh(pictures[found.size], _count(found.size, min(best, found.all_cores)), "service")
        for found in decoded
    }
    bare = {size: _bare_rate(runtime, files[size], artifact.input) for size in SIZES}
    progress.advance(task)
    with running_service(LOOKBOOK_RUNTIME="tensorflow") as service:
        device = _device(service)
        service.finished(service.submit(fresh(pictures[SIZES[0]], 200, "warm up"), "warm up"))
        answered = [Answered(size, bare[size], service_rate(service, files[size], str(size))[0]) for size in SIZES]
    progress.advance(task)
    here = Machine.here()
    return Findings(
        machine=here.name,
        software=f"{here.software}, {_libraries()}",
        model=str(artifact.ref),
        has_gpu=runtime.device == "GPU",
        service_device=device,
        predicted=predicted,
        skipped=skipped,
        agreement=compared,
        decoded=decoded,
        cores=os.cpu_count() or 1,
        answered=answered,
    )


def _predict_all(artifact: Artifact, runtime: Runtime) -> tuple[list[Predicted], list[str]]:
    """Measure each runtime, precision and batch size. Return the figures, and the names of those left out."""
    give_up = time.monotonic() + PREDICTING_SECONDS
    pixels, on_gpu = sample_pixels(artifact), runtime.device == "GPU"
    sizes = GPU_BATCH_SIZES if on_gpu else CPU_BATCH_SIZES
    predicted: list[Predicted] = []
    skipped: list[str] = []

    def add(name: str, precision: str, size: int, infer: Infer, *, prepared: bool = False, parallel: int = 1) -> None:
        if time.monotonic() > give_up:
            skipped.append(f"{name}, {precision}, batches of {size}")
            return
        batch = repeated(pixels, size * parallel)
        try:
            seconds, megabytes = _seconds(infer, batch), _peak_megabytes(infer, batch) if on_gpu else None
        except OutOfDeviceMemory:
            skipped.append(f"{name}, {precision}, batches of {size} (too little memory)")
            return
        predicted.append(Predicted(name, precision, size, prepared, 1e3 * seconds, len(batch) / seconds, megabytes))

    for size in sizes:
        add(
            f"TensorFlow, {runtime.device}",
            runtime.precision,
            size,
            runtime.infer,
            prepared=size in runtime.batch_sizes,
        )
    for mixed, compiled in ((False, False), (False, True), (True, False)):
        name = f"TensorFlow, {runtime.device}, {'with' if compiled else 'without'} XLA"
        infer = _tensorflow(artifact, mixed=mixed, compiled=compiled)
        # The comparison needs no more sizes, and a CPU takes seconds for each batch in float16.
        for size in sizes[-2:] if on_gpu else sizes[1:2]:
            add(name, "mixed_float16" if mixed else "f32", size, infer)
    model = load_graph(artifact.folder)
    add(f"keras.predict, {runtime.device}", "f32", 32, lambda p: model.predict(p, batch_size=32, verbose=0))
    for precision in ("f32", "bf16", "int8"):
        on_cpu = open_runtime(artifact, "openvino", precision)
        size = on_cpu.batch_sizes[-1]
        if on_cpu.precision == precision:
            add("OpenVINO, CPU", precision, size, in_slots(on_cpu, size), parallel=on_cpu.slots)
        on_cpu.close()
    return predicted, skipped


def _tensorflow(artifact: Artifact, *, mixed: bool, compiled: bool) -> Infer:
    """Return a function that predicts as the runtime does, but in this precision, and compiled by XLA or not."""
    import tensorflow as tf

    graph = load_graph(artifact.folder)
    if mixed:
        use_mixed_precision(graph)
    model = only_scores(graph)
    signature = [tf.TensorSpec((None, *artifact.input.shape), tf.uint8)]
    function: Any = tf.function(
        lambda pixels: tf.cast(model(pixels, training=False), tf.float32),
        input_signature=signature,
        jit_compile=compiled,
    )

    def infer(batch: Pixels) -> object:
        try:
            return function(tf.constant(batch)).numpy()
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfDeviceMemory(error.message) from error

    return infer


def _seconds(infer: Infer, batch: Pixels) -> float:
    """Return the mean seconds of a batch. The first one compiles and does not count."""
    infer(batch)
    started, count = time.perf_counter(), 0
    while (seconds := time.perf_counter() - started) < MEASURED_SECONDS or not count:
        infer(batch)
        count += 1
    return seconds / count


def _peak_megabytes(infer: Infer, batch: Pixels) -> float:
    """Return the most memory that TensorFlow takes on the first GPU while it predicts a batch."""
    from tensorflow import config

    config.experimental.reset_memory_stats("GPU:0")
    infer(batch)
    return float(config.experimental.get_memory_info("GPU:0")["peak"]) / 1e6


def _compare(artifact: Artifact, runtime: Runtime) -> tuple[int, int, float]:
    """Return how many top labels agree with OpenVINO in f32, of how many, and the largest difference of two scores."""
    pixels = sample_pixels(artifact)
    exact = open_runtime(artifact, "openvino", "f32")
    here, there = predict(runtime, pixels), predict(exact, pixels)
    exact.close()
    return int((here.argmax(1) == there.argmax(1)).sum()), len(pixels), float(np.abs(here - there).max())


def _decode(files: Sequence[bytes], size: int, spec: InputSpec) -> Decoded:
    return Decoded(size, _decoding_rate(files, spec, 1), _decoding_rate(files, spec, os.cpu_count() or 1))


def _decoding_rate(files: Sequence[bytes], spec: InputSpec, threads: int) -> float:
    """Return the pictures that these threads decode in a second."""
    count, started, seconds = 0, time.perf_counter(), 0.0
    with ThreadPoolExecutor(threads) as pool:
        for _ in _decoded(itertools.cycle(files), pool, spec, 4 * threads):
            count += 1
            if (seconds := time.perf_counter() - started) >= MEASURED_SECONDS:
                break
    return count / seconds


def _decoded(
    files: Iterator[bytes] | Sequence[bytes], pool: ThreadPoolExecutor, spec: InputSpec, ahead: int
) -> Iterator[Pixels]:
    """Yield the pixels of each picture. The pool decodes up to `ahead` further ones meanwhile."""
    waiting: deque[Future[Any]] = deque()
    for data in files:
        waiting.append(pool.submit(prepare, data, spec))
        if len(waiting) > ahead:
            yield waiting.popleft().result().pixels
    while waiting:
        yield waiting.popleft().result().pixels


def _bare_rate(runtime: Runtime, files: Sequence[bytes], spec: InputSpec) -> float:
    """Return pictures per second of one process that decodes on all cores, predicts meanwhile and stores nothing."""
    largest, started = runtime.batch_sizes[-1], time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pictures = _decoded(files, pool, spec, AHEAD_BATCHES * largest)
        while batch := list(itertools.islice(pictures, largest)):
            predict(runtime, np.stack(batch))
        return len(files) / (time.perf_counter() - started)


def _count(size: int, rate: float) -> int:
    """Return how many pictures of this size take about `SERVICE_SECONDS` at this rate."""
    return min(PICTURES[size], max(200, round(rate * SERVICE_SECONDS)))


def _device(service: Service) -> str:
    """Return runtime, device and precision of the worker that classifies."""
    workers = service.http.get("/readyz").raise_for_status().json()["workers"]
    worker = next(worker for worker in workers if worker["models"])
    return f"{worker['runtime']}, {worker['device']}, {worker['precision']}"


def _libraries() -> str:
    from tensorflow import sysconfig

    built = sysconfig.get_build_info()
    return f"CUDA {built.get('cuda_version', 'none')} and cuDNN {built.get('cudnn_version', 'none')} of TensorFlow"
