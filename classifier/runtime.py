"""What runs a model: one interface, one implementation per engine."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.artifact import Artifact
from core.errors import RuntimeUnavailable

RuntimeName = Literal["tensorflow", "openvino"]
Setting = Literal["auto", "tensorflow", "openvino"]
Precision = Literal["f32", "bf16"]


class Runtime(Protocol):
    """A model version, loaded and warm on one device."""

    @property
    def name(self) -> RuntimeName: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The batch sizes that it has prepared, ascending; the batcher fills the largest under load."""
        ...

    @property
    def slots(self) -> int:
        """How many batches it likes to work on at once."""
        ...

    def predict(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, size, size, 3]. Any N; any thread."""
        ...

    def close(self) -> None: ...


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
