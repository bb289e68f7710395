"""Reports of a running training: progress for a person, and events for TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf
from tensorflow.core.framework import summary_pb2


class Reporter(Protocol):
    """Receives the progress of a training."""

    def phase(self, name: str, steps: int) -> None:
        """Note that a phase of `steps` steps begins."""
        ...

    def step(self, note: str) -> None:
        """Note that a step is done. `note` describes the state in a few words."""
        ...


class EventLog:
    """Writes scalars to a folder that TensorBoard shows.

    It uses only TensorFlow, because `tf.summary.scalar` and the callback of Keras need the package tensorboard.
    """

    def __init__(self, folder: Path) -> None:
        self._writer: Any = tf.summary.create_file_writer(str(folder))

    def write(self, phase: str, step: int, **scalars: float) -> None:
        """Add values at a step of a phase."""
        with self._writer.as_default():
            for name, value in scalars.items():
                tf.summary.write(f"{phase}/{name}", tf.constant(value, tf.float32), step, _SCALAR)

    def flush(self) -> None:
        """Put all values into the file."""
        self._writer.flush()


_SCALAR = summary_pb2.SummaryMetadata(
    plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars"), data_class=summary_pb2.DATA_CLASS_SCALAR
)
"""Says that TensorBoard shows a value as a curve."""
