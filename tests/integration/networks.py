"""Shared by the tests of networks: their names, a taxonomy, pictures, and small networks with a head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.artifact import Artifact
from classifier.learning.networks.backbone import Backbone
from classifier.learning.networks.catalogue import NAMED
from classifier.learning.networks.heads import HeadKind, HeadOptions, add_head
from classifier.learning.publishing.exporting import save_keras, save_openvino
from classifier.prepare import InputSpec
from classifier.taxonomy import Group, Label, Taxonomy
from core.types import ModelRef

STAND_INS = {"efficientnet_v2_l": "efficientnet_v2_b0", "efficientnet_b7": "efficientnet_b0"}
"""The smallest of their families stand for two large backbones here, because each of these takes most of a minute."""
TESTED = (*dict.fromkeys(STAND_INS.get(name, name) for name in NAMED), "mobilenet_v2")
"""The backbones that the documents name one by one, and one more of keras.applications."""

WIDTH = 0.125

TAXONOMY = Taxonomy(
    "three",
    "1",
    (Group("tops", {"en": "Tops"}), Group("bottoms", {"en": "Bottoms"})),
    # The labels of a group do not stand together.
    tuple(
        Label(name, group, {"en": name}) for name, group in (("shirt", "tops"), ("skirt", "bottoms"), ("coat", "tops"))
    ),
)


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> Iterator[None]:
    keras.utils.set_random_seed(1)
    yield
    # The graphs of large networks would stay in memory, and each later garbage collection would walk through them.
    keras.backend.clear_session()


def pictures(size: int, count: int = 4) -> NDArray[np.uint8]:
    """Return pictures of 16 coloured squares. Noise would give all pictures the same features."""
    squares = np.random.default_rng(1).integers(0, 256, (count, 4, 4, 3), np.uint8)
    side = -(-size // 4)
    return squares.repeat(side, axis=1).repeat(side, axis=2)[:, :size, :size]


def with_head(backbone: Backbone, kind: HeadKind = "straight") -> Any:
    return add_head(backbone, HeadOptions(kind, dropout=0.2, units=16, seed=1), TAXONOMY, "tiny")


def published(model: Any, size: int, folder: Path) -> Artifact:
    save_keras(model, folder)
    embedding = save_openvino(folder, TAXONOMY)
    return Artifact(ModelRef("tiny", "1"), folder, "", TAXONOMY, InputSpec(size), {}, "", embedding)
