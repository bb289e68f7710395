"""Measure how many pictures a backbone processes per second here, as a worker would."""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

import numpy as np

from classifier.artifact import Artifact
from classifier.learning.networks.catalogue import SCRATCH, Entry
from classifier.learning.networks.heads import HeadOptions, add_head
from classifier.learning.networks.registry import build_backbone
from classifier.learning.publishing.exporting import save_keras, save_openvino
from classifier.prepare import InputSpec
from classifier.runtime import predict
from classifier.runtime_openvino import OpenVinoRuntime
from classifier.taxonomy import Group, Label, Taxonomy
from core.types import ModelRef

LABELS = 23
"""The number of labels of the head: that of K-Fashion. The head costs next to nothing."""
SECONDS = 3.0
"""The shortest time of a measurement. It covers at least one batch."""


def pictures_per_second(entry: Entry) -> float:
    """Return how many pictures per second OpenVINO classifies in f32 at the native size of a backbone.

    The weights are random, which does not change the speed. Batches have the largest size that a worker uses.
    """
    labels = tuple(Label(str(number), "all", {}) for number in range(LABELS))
    taxonomy = Taxonomy("labels", "1", (Group("all", {}),), labels)
    options = HeadOptions("straight", dropout=0.0, units=1, seed=0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = add_head(build_backbone(entry.name, entry.size, weights=SCRATCH), options, taxonomy, entry.name)
        save_keras(model, folder)
        del model
        save_openvino(folder, taxonomy)
        written = Artifact(ModelRef(entry.name, "0"), folder, "", taxonomy, InputSpec(entry.size), {}, "")
        runtime = OpenVinoRuntime(written)
        try:
            return _rate(runtime)
        finally:
            runtime.close()


def _rate(runtime: OpenVinoRuntime) -> float:
    # The runtime has predicted a batch of each size already, so nothing is compiled during the measurement.
    shape = (runtime.batch_sizes[-1], *runtime.shape)
    batch = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    durations: list[float] = []
    while sum(durations) < SECONDS or not durations:
        started = time.perf_counter()
        predict(runtime, batch)
        durations.append(time.perf_counter() - started)
    return len(batch) * len(durations) / math.fsum(durations)
