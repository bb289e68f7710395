"""Measure how many pictures per second each runtime and precision classifies on this machine."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import OPENVINO_INT8, Artifact
from classifier.learning.data.pictures import Track
from classifier.precision import EXACT, refusal
from classifier.runtime import Runtime
from classifier.runtime_openvino import OpenVinoRuntime, supported_precisions

ROUNDS = 5
"""All runtimes are measured in turn, this many times. Other work on the machine then slows all of them alike."""
SECONDS = 1.0
"""The shortest time of one measurement. It covers at least one batch per slot."""


@dataclass(frozen=True, slots=True)
class Speed:
    """The speed of a model in one runtime and precision. `rounds` are the pictures per second of each round."""

    runtime: str
    precision: str
    batch: int
    slots: int
    refusal: str | None
    """Why workers do not use this precision for the model, or None if they may."""
    rounds: tuple[float, ...]

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rounds)


def measure_throughput(artifact: Artifact, track: Track, seconds: float = SECONDS) -> list[Speed]:
    """Return the speed in each precision of OpenVINO that the artifact and the processor have, and in TensorFlow.

    Batches have the largest size that a worker uses, and all slots are busy. Pictures are decoded already.
    """
    opened = list(_runtimes(artifact))
    pixels = np.random.default_rng(0).integers(0, 256, opened[0].shape, np.uint8)
    rates: list[list[float]] = [[] for _ in opened]
    turns = [number for _ in range(ROUNDS) for number in range(len(opened))]
    for number in track(turns, len(turns)):
        rates[number].append(_rate(opened[number], pixels, seconds))
    speeds = [_speed(runtime, artifact, tuple(found)) for runtime, found in zip(opened, rates, strict=True)]
    for runtime in opened:
        runtime.close()
    return speeds


def _runtimes(artifact: Artifact) -> Iterator[Runtime]:
    for precision in supported_precisions():
        if precision != "int8" or (artifact.folder / OPENVINO_INT8).is_file():
            yield OpenVinoRuntime(artifact, precision)
    if importlib.util.find_spec("tensorflow") is not None:
        from classifier.runtime_tensorflow import TensorFlowRuntime

        yield TensorFlowRuntime(artifact)


def _rate(runtime: Runtime, pixels: NDArray[np.uint8], seconds: float) -> float:
    batch = np.stack([pixels] * runtime.batch_sizes[-1])
    started = time.perf_counter()

    def work(_slot: int) -> int:
        batches = 0
        while not batches or time.perf_counter() - started < seconds:
            runtime.infer(batch)
            batches += 1
        return batches

    with ThreadPoolExecutor(runtime.slots) as pool:
        batches = sum(pool.map(work, range(runtime.slots)))
    return batches * len(batch) / (time.perf_counter() - started)


def _speed(runtime: Runtime, artifact: Artifact, rounds: tuple[float, ...]) -> Speed:
    precision = next((name for name in supported_precisions() if name == runtime.precision), EXACT)
    refused = refusal(precision, artifact.metrics, supported_precisions()) if runtime.name == "openvino" else None
    return Speed(runtime.name, runtime.precision, runtime.batch_sizes[-1], runtime.slots, refused, rounds)
