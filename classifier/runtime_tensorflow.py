"""Run a model with TensorFlow, for GPUs. The tests run it on a CPU; it has never been run on a GPU."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from classifier.artifact import ACTIVATION_MAPS, EMBEDDING, SCORES, Artifact
from classifier.keras_graph import load_graph, served_part, use_mixed_precision, with_activation_maps
from classifier.runtime import Answers, OutOfDeviceMemory, RuntimeName

CPU_BATCH_SIZES = (1, 8, 32)
GPU_BATCH_SIZES = (1, 8, 32, 128)


class TensorFlowRuntime:
    """One traced function. It runs once per batch size at the start, so that XLA compiles nothing later on a GPU."""

    name: ClassVar[RuntimeName] = "tensorflow"

    def __init__(self, artifact: Artifact) -> None:
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            # Without this, TensorFlow reserves all memory of the card.
            tf.config.experimental.set_memory_growth(gpu, True)
        self.device = "GPU" if gpus else "CPU"
        self.precision = "mixed_float16" if gpus else "f32"
        self.batch_sizes = GPU_BATCH_SIZES if gpus else CPU_BATCH_SIZES
        self.slots = 1
        self.has_express_slot = False
        graph = load_graph(artifact.folder)
        if gpus:
            use_mixed_precision(graph)
        self._outputs = (SCORES,) if artifact.embedding is None else (SCORES, EMBEDDING)
        self._model = served_part(graph, has_embedding=artifact.embedding is not None)
        self._explainer = with_activation_maps(graph, artifact.taxonomy)
        self.shape = artifact.input.shape
        signature = [tf.TensorSpec((None, *self.shape), tf.uint8)]
        # XLA is for GPUs only: on a CPU it was ten times slower in a measurement.
        self._function: Any = tf.function(self._call, input_signature=signature, jit_compile=bool(gpus))
        for size in self.batch_sizes:
            self.infer(np.zeros((size, *self.shape), np.uint8))

    def _call(self, pixels: Any) -> Any:
        outputs = self._model(pixels, training=False)
        return [tf.cast(outputs[name], tf.float32) for name in self._outputs]

    def infer(self, batch: NDArray[np.uint8], *, lone: bool = False) -> Answers:
        """Return the answers to pixels, uint8 [N, *shape]; N is in `batch_sizes`."""
        try:
            return Answers(*(output.numpy() for output in self._function(tf.constant(batch))))
        except tf.errors.ResourceExhaustedError as error:
            raise OutOfDeviceMemory(error.message) from error

    def activation_maps(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return class activation maps, float32 [height, width, labels], of the pixels, uint8 [*shape]."""
        outputs = self._explainer(tf.constant(pixels[None]), training=False)
        maps: NDArray[np.float32] = outputs[ACTIVATION_MAPS].numpy()[0]
        return maps

    def close(self) -> None:
        """Free the memory of the model."""
        del self._function, self._model, self._explainer
