"""Each backbone trains a step, is saved, and gives the same scores in OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from classifier.keras_graph import load_graph
from classifier.learning.networks.catalogue import find_entry
from classifier.learning.networks.registry import build_backbone
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from tests.integration.networks import TESTED, WIDTH, pictures, published, same_weights_in_every_run, with_head

__all__ = ["same_weights_in_every_run"]


def train_step(model: Any, size: int) -> None:
    """Train one step, and give the batch normalisation the statistics of the pictures."""
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    before = [weight.numpy() for weight in model.trainable_weights]
    optimizer = keras.optimizers.SGD(0.01, global_clipnorm=1.0)
    # Compiling the graph of a large network would take longer than one step.
    model.compile(optimizer, "categorical_crossentropy", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(pictures(size), targets))
    changed = [not np.array_equal(old, new.numpy()) for old, new in zip(before, model.trainable_weights, strict=True)]
    assert np.mean(changed) > 0.5
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model(pictures(size, 16), training=True)


# Measuring coverage slows Keras down, and other tests cover every line of this project that this one reaches.
@pytest.mark.no_cover
@pytest.mark.parametrize("name", TESTED)
def test_a_backbone_trains_a_step_and_openvino_gives_its_scores(name: str, tmp_path: Path) -> None:
    size = max(find_entry(name).smallest, 64)
    model = with_head(build_backbone(name, size, WIDTH, "none"))
    train_step(model, size)
    artifact = published(model, size, tmp_path)
    runtime = open_runtime(artifact, "openvino")
    scores = predict(runtime, pictures(size))
    assert runtime.activation_maps(pictures(size)[0]).shape[-1] == 3
    runtime.close()
    # Compiling a function for one batch would take longer than computing it.
    np.testing.assert_allclose(scores, load_graph(tmp_path)(pictures(size), training=False), atol=1e-3)
    assert not np.allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
