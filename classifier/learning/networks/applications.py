"""The networks of keras.applications as backbones, each with the preprocessing of its family inside the graph."""

from __future__ import annotations

from typing import Any

import keras

from classifier.learning.networks.backbone import BlockNames, number_blocks
from classifier.learning.networks.catalogue import IMAGENET, SCRATCH, Entry, Preprocessing
from core.errors import NetworkInvalid, WeightsUnavailable

_BLOCKS = {
    "convnext": BlockNames(member=r"convnext_[a-z]+_(stage_\d+_block_\d+)_"),
    "densenet": BlockNames(member=r"(conv\d_block\d+)_"),
    "efficientnet": BlockNames(member=r"(block\d[a-z]+)_"),
    "efficientnet_v2": BlockNames(member=r"(block\d[a-z]+)_"),
    "inception_resnet_v2": BlockNames(end=r"mixed_\w+|block\d+_\d+_ac"),
    "inception_v3": BlockNames(end=r"mixed\d+"),
    "mobilenet": BlockNames(member=r"conv_(?:pad|dw|pw)_(\d+)"),
    "mobilenet_v2": BlockNames(member=r"(expanded_conv|block_\d+)_"),
    "mobilenet_v3": BlockNames(member=r"(expanded_conv(?:_\d+)?)_"),
    "nasnet": BlockNames(end=r"(?:normal|reduction)_concat_\w+"),
    "resnet": BlockNames(member=r"(conv\d_block\d+)_"),
    "resnet_v2": BlockNames(member=r"(conv\d_block\d+)_"),
    "vgg16": BlockNames(member=r"(block\d)_"),
    "vgg19": BlockNames(member=r"(block\d)_"),
    "xception": BlockNames(member=r"(block\d+)_"),
}


def preprocessed(entry: Entry, pixels: Any) -> Any:
    """Return the pixels after `preprocess_input` of the network's family: float32 [N, size, size, 3].

    Some families return the pixels unchanged, because their networks begin with the preprocessing.
    """
    return getattr(keras.applications, entry.family).preprocess_input(keras.ops.cast(pixels, "float32"))


def build(entry: Entry, size: int, width: float, weights: str, preprocessing: Preprocessing = "own") -> Any:
    """Return the network without its head: uint8 [N, size, size, 3] to its last feature map.

    `width` multiplies the number of filters of every convolution. `weights` is IMAGENET or SCRATCH. With the
    preprocessing "none", the first convolution sees RGB from 0 to 255.

    Raises:
        NetworkInvalid: the network cannot be built at this width.
        WeightsUnavailable: the weights cannot be downloaded.
    """
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    options: dict[str, Any] = {"include_top": False, "input_shape": (size, size, 3), "preprocessing": preprocessing}
    if width == 1.0:
        return _application(entry, pixels, weights, **options)
    # Only the structure of the full network is needed, so its weights are never created.
    with keras.StatelessScope(initialize_variables=False):
        whole = _application(entry, pixels, weights, **options)
    return _scaled(entry, whole, width)


def build_imagenet(entry: Entry) -> Any:
    """Return the ImageNet classifier with its weights: uint8 pixels of the native size to logits, float32 [N, 1000].

    Raises:
        WeightsUnavailable: the weights cannot be downloaded.
    """
    pixels = keras.Input((entry.size, entry.size, 3), dtype="uint8", name="pixels")
    return _application(entry, pixels, IMAGENET, include_top=True, classifier_activation=None)


def block_numbers(entry: Entry, model: Any) -> dict[str, int]:
    """Return the block number of each layer up to the last block."""
    return number_blocks(model.layers, _BLOCKS[entry.family])


def _application(entry: Entry, pixels: Any, weights: str, preprocessing: Preprocessing = "own", **options: Any) -> Any:
    make = getattr(keras.applications, entry.application)
    values = preprocessed(entry, pixels) if preprocessing == "own" else keras.ops.cast(pixels, "float32")
    if weights == SCRATCH:
        return keras.Model(pixels, make(weights=None, input_tensor=values, **options).output, name=entry.name)
    try:
        # Keras raises the base class Exception if a download fails.
        network = make(weights="imagenet", input_tensor=values, **options)
    except Exception as error:
        raise WeightsUnavailable(
            f"the ImageNet weights of {entry.name} could not be downloaded: {error}. On a machine that is online, run "
            f"`lookbook convert-backbone {entry.name} {entry.name}.keras`, copy the file here, and name it in the "
            f"recipe: `weights: {entry.name}.keras`. Or start from random weights: `weights: none`"
        ) from error
    return keras.Model(pixels, network.output, name=entry.name)


def _scaled(entry: Entry, model: Any, width: float) -> Any:
    """Return the same graph with `width` times as many filters in each layer, and with new weights."""

    def scale(layer: Any) -> Any:
        if isinstance(layer, keras.Sequential):
            # Keras would clone it with an input of the old number of channels.
            return keras.Sequential([scale(part) for part in layer.layers], name=layer.name)
        # Operations without weights, such as those of the preprocessing, are not layers and are kept.
        return type(layer).from_config(_scaled_config(layer, width)) if isinstance(layer, keras.Layer) else layer

    try:
        return keras.models.clone_model(model, clone_function=scale)
    except (ValueError, TypeError) as error:
        raise NetworkInvalid(f"{entry.name} cannot be built at width {width:g}: {error}") from error


def _scaled_config(layer: Any, width: float) -> dict[str, Any]:
    config: dict[str, Any] = layer.get_config()

    def scaled(channels: int) -> int:
        return max(1, round(channels * width))

    # ConvNeXt calls the channels of some layers projection_dim. Its depthwise convolutions have a group per channel.
    for member in ("filters", "units", "projection_dim"):
        if isinstance(config.get(member), int):
            config[member] = scaled(config[member])
    if config.get("groups", 1) > 1:
        config["groups"] = scaled(config["groups"])
    if isinstance(layer, keras.layers.Reshape):
        # The last number of the shape is the channels of squeeze-and-excitation.
        config["target_shape"] = (*config["target_shape"][:-1], scaled(config["target_shape"][-1]))
    return config
