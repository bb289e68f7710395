"""Load the Keras graph of an artifact, and change its outputs or its arithmetic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Both must be set before the import. The first silences TensorFlow's log lines about the processor.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
from numpy.typing import NDArray

from classifier.artifact import (
    ACTIVATION_MAPS,
    EMBEDDING,
    FEATURES,
    FLATTEN,
    GROUP_HEAD,
    HIDDEN,
    KERAS_MODEL,
    LABEL_HEAD,
    POOL,
    SCORES,
    SUB_SCORES,
    TEMPERATURE_LAYER,
    Embedding,
)
from classifier.keras_file import load_keras_file
from classifier.taxonomy import Taxonomy


def load_graph(folder: Path) -> Any:
    """Return the Keras model of an artifact: uint8 [N, *shape of the input] to softmax scores [N, labels].

    A model with the head `multi_label` has a dictionary of outputs, and the scores are its SCORES.

    Raises:
        ArtifactInvalid: the file has code of its own, or is damaged.
    """
    return load_keras_file(folder / KERAS_MODEL)


def only_scores(model: Any) -> Any:
    """Return the part of a graph that leads to the scores of the labels."""
    return keras.Model(model.input, model.get_layer(SCORES).output, name=model.name)


def embedding_of(model: Any) -> tuple[Any, Embedding]:
    """Return the embedding of a graph, float32 [N, length], and its description.

    It is the mean of the features over the picture, and over the views if the input has several. Every head but
    `flatten` rests on it.
    """
    if has_layer(model, POOL):
        output, layer = model.get_layer(POOL).output, POOL
    else:
        output, layer = keras.layers.GlobalAveragePooling2D(dtype="float32")(model.get_layer(FEATURES).output), FEATURES
    return output, Embedding(int(output.shape[-1]), layer)


def served_part(model: Any, *, has_embedding: bool) -> Any:
    """Return the part of a graph that workers use: a model with the outputs SCORES and, if asked, EMBEDDING."""
    outputs = {SCORES: model.get_layer(SCORES).output}
    if has_embedding:
        outputs[EMBEDDING] = embedding_of(model)[0]
    return keras.Model(model.input, outputs, name=model.name)


def has_layer(model: Any, name: str) -> bool:
    """Return whether a graph has a layer of this name."""
    return any(layer.name == name for layer in model.layers)


def with_activation_maps(model: Any, taxonomy: Taxonomy) -> Any:
    """Return the graph with two more outputs: its embedding, and maps, float32 [N, height, width, labels].

    M = Σ_k w[k, label] · f[k], with the features f before the global average pooling and the weights w of the layer
    after it (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization", equation 2). The mean of M
    over the picture, plus the bias of the layer, is the logit.

    The head `flatten` has weights of its own for each place. Its maps have M = Σ_k w[place, k, label] · f[place, k],
    and the sum of M over the picture, plus the bias, is the logit.

    Two heads have more than this layer. For `hierarchical`, the map of a label is the sum of the map of its group and
    its map within the group. Differences between labels of one group are then exact. Between groups, the map leaves
    out how the labels of a group share its score. For `two_dense`, a place of the map is the logit that the head would
    give to the features of this place alone, because its hidden layer is not linear. The mean is then not the logit.

    Over views, the map is that of the whole picture. The logit is then the mean over the maps of all views.
    """
    x = model.get_layer(FEATURES).output
    if has_layer(model, FLATTEN):
        maps = _map_of_places(x.shape[1:], *model.get_layer(SCORES).get_weights()[:1])
    else:
        maps = _linear_map(ACTIVATION_MAPS, *_last_weights(model, taxonomy))
    if has_layer(model, HIDDEN):
        hidden = _linear_map(f"{HIDDEN}_map", *model.get_layer(HIDDEN).get_weights())
        x = keras.layers.ReLU(dtype="float32")(hidden(x))
    outputs = {
        SCORES: model.get_layer(SCORES).output,
        EMBEDDING: embedding_of(model)[0],
        ACTIVATION_MAPS: maps(x),
    }
    if has_layer(model, SUB_SCORES):
        outputs[SUB_SCORES] = model.get_layer(SUB_SCORES).output
    return keras.Model(model.input, outputs, name=model.name)


def use_mixed_precision(model: Any) -> None:
    """Make a loaded model compute in float16 up to its features. Normalisation and head stay in float32."""
    for layer in model.layers[1:]:
        if layer.name == FEATURES:
            break
        if not isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization):
            layer.dtype_policy = "mixed_float16"


def _last_weights(model: Any, taxonomy: Taxonomy) -> tuple[NDArray[np.float32]]:
    """Return the weights w[channel, label] by which the maps of the labels are made."""
    if not has_layer(model, GROUP_HEAD):
        return (model.get_layer(SCORES).get_weights()[0],)
    labels, groups = (model.get_layer(name).get_weights()[0] for name in (LABEL_HEAD, GROUP_HEAD))
    combined = np.empty_like(labels)
    for number, members in enumerate(taxonomy.labels_by_group):
        # The only label of a group has the score of the group, whatever its own weights are.
        own = labels[:, members] if len(members) > 1 else 0.0
        combined[:, members] = own + groups[:, number : number + 1]
    scale = model.get_layer(TEMPERATURE_LAYER).scale if has_layer(model, TEMPERATURE_LAYER) else 1.0
    return (combined * scale,)


def _linear_map(name: str, weights: NDArray[np.float32], bias: NDArray[np.float32] | None = None) -> Any:
    """Return a layer that applies dense weights, and a bias if there is one, at each place of a feature map."""
    layer = keras.layers.Conv2D(weights.shape[1], 1, use_bias=bias is not None, dtype="float32", name=name)
    layer.build((None, None, None, weights.shape[0]))
    layer.set_weights([weights[None, None]] if bias is None else [weights[None, None], bias])
    return layer


def _map_of_places(shape: tuple[int, int, int], weights: NDArray[np.float32]) -> Any:
    """Return a layer that applies the dense weights of flattened features, which differ from place to place."""
    by_place = weights.reshape(*shape, -1)
    output = (*shape[:2], by_place.shape[-1])
    layer = keras.layers.EinsumDense("bhwc,hwcl->bhwl", output, dtype="float32", name=ACTIVATION_MAPS)
    layer.build((None, *shape))
    layer.set_weights([by_place])
    return layer
