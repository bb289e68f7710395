"""Backbones that look at the landmarks of clothes: FashionNet and BCRNN, both on VGG16.

Both papers learn the landmarks from annotated pictures. Lookbook has no such annotations: the landmark maps learn from
the labels alone, so they show places that help to tell labels apart, and not necessarily collars or hems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

LANDMARKS = (
    "left_collar",
    "right_collar",
    "left_sleeve",
    "right_sleeve",
    "left_waist",
    "right_waist",
    "left_hem",
    "right_hem",
)
"""The landmarks of clothes (Liu et al. 2016, "DeepFashion: Powering Robust Clothes Recognition and Retrieval")."""

_Chains = tuple[tuple[str, ...], ...]

_KINEMATIC: _Chains = (
    ("left_collar", "left_waist", "left_hem"),
    ("left_collar", "left_sleeve"),
    ("right_collar", "right_waist", "right_hem"),
    ("right_collar", "right_sleeve"),
)
_SYMMETRIC: _Chains = tuple((f"left_{part}", f"right_{part}") for part in ("collar", "sleeve", "waist", "hem"))
"""The chains of the two grammars: neighbours on a garment, and its two sides. Both grammars are from Wang et al. 2018
("Attentive Fashion Grammar Network for Fashion Landmark Detection and Clothing Category Classification"). Which
landmarks form a chain was not compared with the paper."""

_BRANCH_CHANNELS, _MESSAGE_CHANNELS = 128, 16
"""Channels of FashionNet's landmark branch, and of the messages between the landmarks of BCRNN. Both are choices of
this project."""


def add_landmark_pooling(vgg16: Any, width: float) -> Any:
    """Return FashionNet's feature map (Liu et al. 2016), [N, size/16, size/16, 4608 x width].

    A branch predicts a map of where each landmark is, and whether it is visible. The local features of a landmark are
    those of `pool4`, weighted with its map. They stand beside the global features of `conv5`. The mean over the picture
    is then the global vector and the vectors at the landmarks. The paper takes the maximum in a window around each
    landmark; the weighted mean is differentiable in the position.
    """
    local, whole = vgg16.get_layer("block4_pool").output, vgg16.get_layer("block5_conv3").output
    channels, (height, across) = _scaled(_BRANCH_CHANNELS, width), local.shape[1:3]
    branch = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name="landmark_conv1")(local)
    branch = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name="landmark_conv2")(branch)
    logits = keras.layers.Conv2D(len(LANDMARKS), 1, name="landmark_logits")(branch)
    flat = keras.layers.Reshape((height * across, len(LANDMARKS)), name="landmark_places")(logits)
    maps = keras.layers.Reshape(logits.shape[1:], name="landmark_maps")(keras.layers.Softmax(axis=1)(flat))
    pooled = keras.layers.GlobalAveragePooling2D(name="landmark_pool")(branch)
    visible = keras.layers.Dense(len(LANDMARKS), activation="sigmoid", name="landmark_visibility")(pooled)
    # A map sums to 1 over the picture. The factor makes the later mean over the picture a sum.
    gates = maps * keras.layers.Reshape((1, 1, len(LANDMARKS)))(visible) * float(height * across)
    return keras.layers.Concatenate(name="landmark_pooling")(
        [whole, *(local * gates[..., number : number + 1] for number in range(len(LANDMARKS)))]
    )


def add_fashion_grammar(vgg16: Any, width: float) -> Any:
    """Return the feature map [N, size/16, size/16, 512 x width] of VGG16 with landmark attention (Wang et al. 2018).

    Each landmark has features of its own, made from `conv4_3`. Bidirectional convolutional recurrent layers pass
    messages along the chains of the grammars. The maps that result are averaged to an attention A, and
    `conv5` continues with (1 + A) times the features. The paper's second attention, which is driven by
    the category, is left out.
    """
    features = vgg16.get_layer("block4_conv3").output
    channels = _scaled(_MESSAGE_CHANNELS, width)
    inputs = keras.layers.Conv2D(
        channels * len(LANDMARKS), 3, padding="same", activation="relu", name="landmark_inputs"
    )(features)
    nodes = {name: inputs[..., number * channels : (number + 1) * channels] for number, name in enumerate(LANDMARKS)}
    by_kind = [
        _pass_messages(nodes, chains, _Recurrent(channels, kind))
        for kind, chains in (("kinematic", _KINEMATIC), ("symmetric", _SYMMETRIC))
    ]
    to_map = keras.layers.Conv2D(1, 1, activation="sigmoid", name="landmark_map")
    maps = [to_map(outputs[name]) for outputs in by_kind for name in LANDMARKS]
    x = features * (1.0 + keras.layers.Average(name="landmark_attention")(maps))
    for name in ("block4_pool", "block5_conv1", "block5_conv2", "block5_conv3"):
        x = vgg16.get_layer(name)(x)
    return x


class _Recurrent:
    """The convolutions of one bidirectional recurrent layer, which all chains of one kind share."""

    def __init__(self, channels: int, kind: str) -> None:
        def convolution(name: str, activation: str | None = None) -> Any:
            return keras.layers.Conv2D(channels, 3, padding="same", activation=activation, name=f"{kind}_{name}")

        self._input = [convolution(f"{way}_input") for way in ("forward", "backward")]
        self._state = [convolution(f"{way}_state") for way in ("forward", "backward")]
        self._output = convolution("output", "relu")

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """Return the outputs of the landmarks of a chain, in its order."""
        forward = self._states(0, inputs)
        backward = self._states(1, inputs[::-1])[::-1]
        return [self._output(keras.ops.concatenate(pair, axis=-1)) for pair in zip(forward, backward, strict=True)]

    def _states(self, way: int, inputs: Sequence[Any]) -> list[Any]:
        states: list[Any] = []
        for value in inputs:
            total = self._input[way](value)
            if states:
                total = total + self._state[way](states[-1])
            states.append(keras.ops.tanh(total))
        return states


def _pass_messages(nodes: Mapping[str, Any], chains: _Chains, recurrent: _Recurrent) -> dict[str, Any]:
    """Return the output of each landmark: the mean over the chains that it belongs to."""
    outputs: dict[str, list[Any]] = {name: [] for name in nodes}
    for chain in chains:
        for name, output in zip(chain, recurrent([nodes[name] for name in chain]), strict=True):
            outputs[name].append(output)
    return {name: parts[0] if len(parts) == 1 else keras.layers.Average()(parts) for name, parts in outputs.items()}


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))
