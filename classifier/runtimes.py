"""Choose and open the runtime for a model."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import structlog

from classifier.artifact import Artifact
from classifier.precision import EXACT, Precision, PrecisionSetting, refusal
from classifier.runtime import Runtime, RuntimeName, RuntimeSetting
from core.errors import RuntimeUnavailable

log = structlog.get_logger(__name__)

TRIALS = 5
"""Timed batches per precision, before the setting `auto` takes the fastest precision."""


def choose_runtime(setting: RuntimeSetting) -> RuntimeName:
    """Return the runtime of a setting.

    `auto` is TensorFlow if it is installed and an NVIDIA GPU is visible, and OpenVINO otherwise.
    """
    if setting != "auto":
        return setting
    return "tensorflow" if _installed("tensorflow") and visible_gpus() else "openvino"


def open_runtime(
    artifact: Artifact, setting: RuntimeSetting = "auto", precision: PrecisionSetting = EXACT, cache: Path | None = None
) -> Runtime:
    """Load an artifact into the runtime of `setting`, ready to predict.

    OpenVINO computes in `precision` if the artifact's check permits it and the processor supports it, and in f32
    otherwise. `auto` measures the permitted precisions and takes the fastest. TensorFlow ignores `precision`: it
    computes in f32 on a CPU and in mixed float16 on a GPU. `cache` is a folder for the models that OpenVINO compiles.

    Raises:
        RuntimeUnavailable: the runtime is not installed.
    """
    name = choose_runtime(setting)
    if not _installed(name):
        requirements = "train" if name == "tensorflow" else "serve"
        raise RuntimeUnavailable(f"the runtime {name} is not installed: install requirements/{requirements}.txt")
    if name == "tensorflow":
        from classifier.runtime_tensorflow import TensorFlowRuntime

        return TensorFlowRuntime(artifact)
    return _open_openvino(artifact, precision, cache)


def visible_gpus(devices: Path = Path("/dev")) -> list[str]:
    """Return the numbers of this machine's NVIDIA GPUs, ascending."""
    # These are the device files of the driver. Asking TensorFlow instead would require importing it.
    return sorted((path.name.removeprefix("nvidia") for path in devices.glob("nvidia[0-9]*")), key=int)


def _open_openvino(artifact: Artifact, setting: PrecisionSetting, cache: Path | None) -> Runtime:
    from classifier.runtime_openvino import OpenVinoRuntime, supported_precisions

    supported = supported_precisions()
    if setting != "auto":
        reason = refusal(setting, artifact.metrics, supported)
        if reason is not None:
            log.warning("precision_refused", model=str(artifact.ref), reason=reason, instead=EXACT)
        return OpenVinoRuntime(artifact, EXACT if reason else setting, cache)
    permitted = [name for name in get_args(Precision) if refusal(name, artifact.metrics, supported) is None]
    return _fastest({name: OpenVinoRuntime(artifact, name, cache) for name in permitted})


def _fastest(runtimes: Mapping[Precision, Runtime]) -> Runtime:
    """Return the fastest of the runtimes, and close the others."""
    if len(runtimes) > 1:
        seconds = {precision: _seconds(runtime) for precision, runtime in runtimes.items()}
        log.info("precisions_tried", milliseconds={p: round(1000 * s, 2) for p, s in seconds.items()})
        best = min(seconds, key=seconds.__getitem__)
    else:
        (best,) = runtimes
    for precision, runtime in runtimes.items():
        if precision != best:
            runtime.close()
    return runtimes[best]


def _seconds(runtime: Runtime) -> float:
    """Return the median of the seconds per picture, in batches of the largest size."""
    batch = np.zeros((runtime.batch_sizes[-1], *runtime.shape), np.uint8)
    durations = []
    for _ in range(TRIALS):
        started = time.perf_counter()
        runtime.infer(batch)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations) / len(batch)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
