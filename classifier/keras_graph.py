"""Load the Keras graph of an artifact, and change its outputs or its arithmetic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Both must be set before the import. The first silences TensorFlow's log lines about the processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras

from classifier.artifact import ACTIVATION_MAPS, FEATURES, KERAS_MODEL, SCORES


def load_graph(folder: Path) -> Any:
    """Return the Keras model of an artifact: uint8 [N, side, side, 3] to softmax scores [N, labels]."""
    # safe_mode refuses Lambda layers, because they would run code from the file.
    return keras.saving.load_model(folder / KERAS_MODEL, compile=False, safe_mode=True)


def with_activation_maps(model: Any) -> Any:
    """Return the graph with a second output: class activation maps, float32 [N, height, width, labels].

    M = Σ_k w[k, label] · f[k], with the features f before the global average pooling and the weights w of the layer
    after it (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", equation 2). The mean of M
    over the picture, plus the bias of the layer, is the logit.
    """
    features, head = model.get_layer(FEATURES).output, model.get_layer(SCORES)
    weights = head.get_weights()[0]
    maps = keras.layers.Conv2D(weights.shape[1], 1, use_bias=False, dtype="float32", name=ACTIVATION_MAPS)
    outputs = {SCORES: model.output, ACTIVATION_MAPS: maps(features)}
    maps.set_weights([weights[None, None]])
    return keras.Model(model.input, outputs, name=model.name)


def use_mixed_precision(model: Any) -> None:
    """Make a loaded model compute in float16. Only normalisation and softmax, its two ends, stay in float32."""
    for layer in model.layers[1:-1]:
        if not isinstance(layer, keras.layers.Rescaling):
            layer.dtype_policy = "mixed_float16"
