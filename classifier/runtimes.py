"""Choosing and opening the runtime that a model runs in."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from classifier.artifact import Artifact
from classifier.runtime import Precision, Runtime, RuntimeName, Setting
from core.errors import RuntimeUnavailable


def choose_runtime(setting: Setting) -> RuntimeName:
    """`auto` is TensorFlow where it is installed and an NVIDIA GPU is visible, otherwise OpenVINO."""
    if setting != "auto":
        return setting
    return "tensorflow" if _installed("tensorflow") and _nvidia_gpu_visible() else "openvino"


def open_runtime(artifact: Artifact, setting: Setting = "auto", precision: Precision = "f32") -> Runtime:
    """Load an artifact into the runtime of `setting` and warm it.

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
    from classifier.runtime_openvino import OpenVinoRuntime

    return OpenVinoRuntime(artifact, precision)


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _nvidia_gpu_visible() -> bool:
    # The driver's own device files: asking TensorFlow would mean importing it.
    return any(Path("/dev").glob("nvidia[0-9]*"))
