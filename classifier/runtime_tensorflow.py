"""The model through TensorFlow: for GPUs. Its CPU path runs in the tests; it has not been run on a GPU yet."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

# Before the import: TensorFlow's own log lines about the processor are no news to anyone.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import tensorflow as tf

from classifier.artifact import KERAS_MODEL, Artifact
from classifier.runtime import OutOfDeviceMemory, RuntimeName

CPU_BATCH_SIZES = (1, 8, 32)
GPU_BATCH_SIZES = (1, 8, 32, 128)


class TensorFlowRuntime:
    """One traced function; every batch size is traced (and on a GPU compiled by XLA) before the first picture."""

    name: ClassVar[RuntimeName] = "tensorflow"

    def __init__(self, artifact: Artifact) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            # Otherwise TensorFlow takes the whole card at once.
            tf.config.experimental.set_memory_growth(gpu, True)
        self.device = "GPU" if gpus else "CPU"
        self.precision = "mixed_float16" if gpus else "f32"
        self.batch_sizes = GPU_BATCH_SIZES if gpus else CPU_BATCH_SIZES
        self.slots = 1
        # safe_mode: an artifact is data; a Lambda layer in it would be code.
        self._model = keras.saving.load_model(artifact.folder / KERAS_MODEL, compile=False, safe_mode=True)
        if gpus:
            use_mixed_precision(self._model)
        self.side = artifact.input.size
        signature = [tf.TensorSpec((None, self.side, self.side, 3), tf.uint8)]
        # XLA pays on a GPU; on a CPU it was measured ten times slower.
        self._function: Any = tf.function(self._call, input_signature=signature, jit_compile=bool(gpus))
        for size in self.batch_sizes:
            self.infer(np.zeros((size, self.side, self.side, 3), np.uint8))

    def _call(self, pixels: Any) -> Any:
        return tf.cast(self._model(pixels, training=False), tf.float32)

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> NDArray[np.float32]:
        """Softmax scores, float32 [N, labels], of pixels uint8 [N, side, side, 3], N one of `batch_sizes`."""
        try:
            scores: NDArray[np.float32] = self._function(tf.constant(batch)).numpy()
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfDeviceMemory(error.message) from error
        return scores

    def close(self) -> None:
        del self._function, self._model


def use_mixed_precision(model: Any) -> None:
    """Let a loaded model compute in float16, all but its ends: normalisation and softmax stay in float32."""
    for layer in model.layers[1:-1]:
        if not isinstance(layer, keras.layers.Rescaling):
            layer.dtype_policy = "mixed_float16"
