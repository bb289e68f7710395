"""Build any backbone by its name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from classifier.artifact import FEATURES
from classifier.learning.networks import applications, efficientnet_lite, inception_v4
from classifier.learning.networks.backbone import Backbone
from classifier.learning.networks.catalogue import (
    ENTRIES,
    IMAGENET,
    LANDMARK_BACKBONES,
    SCRATCH,
    Entry,
    Preprocessing,
    check_options,
    find_entry,
)
from classifier.learning.networks.landmarks import add_fashion_grammar, add_landmark_pooling
from classifier.learning.networks.views import over_views
from classifier.learning.networks.weights import load_weights_file
from core.errors import NetworkInvalid


def build_backbone(
    name: str,
    size: int,
    width: float = 1.0,
    weights: str = IMAGENET,
    *,
    preprocessing: Preprocessing = "own",
    views: bool = False,
) -> Backbone:
    """Return a backbone for pictures with a side of `size` pixels.

    `width` multiplies the channels of all its layers. `weights` is IMAGENET, SCRATCH or the path of a file.
    `preprocessing` is "none" for a backbone that sees RGB from 0 to 255. `views` runs it over the views of a picture
    (`over_views`).

    Raises:
        NetworkInvalid: no backbone has this name, or it cannot be built with these options.
        WeightsUnavailable: the weights cannot be loaded.
    """
    entry = find_entry(name)
    check_options(entry, size, width, weights, preprocessing)
    on_vgg16 = entry.name in LANDMARK_BACKBONES
    base = ENTRIES["vgg16"] if on_vgg16 else entry
    model, blocks = _without_head(base, size, width, weights, preprocessing)
    if weights not in (IMAGENET, SCRATCH):
        load_weights_file(base, model, Path(weights))
    last = model.output
    if on_vgg16:
        last = (add_landmark_pooling if entry.name == "fashionnet" else add_fashion_grammar)(model, width)
    pixels, fused = model.input, None
    if views:
        pixels, features, fused = over_views(pixels, last)
    else:
        features = keras.layers.Identity(name=FEATURES)(last)
    pretrained = frozenset() if weights == SCRATCH else frozenset(layer.name for layer in model.layers)
    return Backbone(pixels, features, blocks, pretrained, has_new_part=on_vgg16, fused=fused)


def build_imagenet(name: str) -> Any:
    """Return the ImageNet classifier with its weights: uint8 pixels of the native size to logits, float32 [N, 1000].

    Raises:
        NetworkInvalid: no backbone has this name, or no ImageNet weights of it exist.
        WeightsUnavailable: the weights cannot be downloaded.
    """
    entry = find_entry(name)
    if entry.name in LANDMARK_BACKBONES:
        raise NetworkInvalid(f"{entry.name} starts from the ImageNet weights of vgg16: convert vgg16")
    check_options(entry, entry.size, 1.0, IMAGENET)
    return efficientnet_lite.build_imagenet(entry.name) if not entry.family else applications.build_imagenet(entry)


def _without_head(
    entry: Entry, size: int, width: float, weights: str, preprocessing: Preprocessing
) -> tuple[Any, Mapping[str, int]]:
    """Return the network and its block numbers. Weights from a file are not loaded."""
    if entry.family:
        model = applications.build(entry, size, width, IMAGENET if weights == IMAGENET else SCRATCH, preprocessing)
        return model, applications.block_numbers(entry, model)
    if entry.name == "inception_v4_small":
        model = inception_v4.build(size, width, preprocessing=preprocessing)
        return model, inception_v4.block_numbers(model)
    model = efficientnet_lite.build(entry.name, size, width, preprocessing)
    if weights == IMAGENET:
        efficientnet_lite.load_imagenet_weights(model, entry.name)
    return model, efficientnet_lite.block_numbers(model)
