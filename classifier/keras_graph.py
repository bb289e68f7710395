"""The graph inside `model.keras`: what this project knows of its layers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Before the import: TensorFlow's own log lines about the processor are no news to anyone.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras

from classifier.artifact import ACTIVATION_MAPS, FEATURES, KERAS_MODEL, SCORES


def load_graph(folder: Path) -> Any:
    """The Keras model of an artifact's folder: uint8 [N, side, side, 3] to softmax scores [N, labels]."""
    # safe_mode: an artifact is data; a Lambda layer in it would be code.
    return keras.saving.load_model(folder / KERAS_MODEL, compile=False, safe_mode=True)


def with_activation_maps(model: Any) -> Any:
    """The same graph with a second output: class activation maps, float32 [N, height, width, labels].

    M = Σ_k w[k, label] · f[k], for features f before global average pooling and weights w of the layer after it (Zhou
    et al. 2016, "Learning Deep Features for Discriminative Localization", equation 2). Their mean over the picture,
    plus the layer's bias, is the logit.
    """
    features, head = model.get_layer(FEATURES).output, model.get_layer(SCORES)
    weights = head.get_weights()[0]
    maps = keras.layers.Conv2D(weights.shape[1], 1, use_bias=False, dtype="float32", name=ACTIVATION_MAPS)
    outputs = {SCORES: model.output, ACTIVATION_MAPS: maps(features)}
    maps.set_weights([weights[None, None]])
    return keras.Model(model.input, outputs, name=model.name)


def use_mixed_precision(model: Any) -> None:
    """Let a loaded model compute in float16, all but its ends: normalisation and softmax stay in float32."""
    for layer in model.layers[1:-1]:
        if not isinstance(layer, keras.layers.Rescaling):
            layer.dtype_policy = "mixed_float16"
