"""Networks that see several views of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from classifier.artifact import POOL, Artifact
from classifier.keras_graph import load_graph
from classifier.learning.networks.heads import HeadOptions, add_head
from classifier.learning.networks.registry import build_backbone
from classifier.learning.publishing.exporting import save_keras, save_openvino
from classifier.prepare import PADDING, VIEW_COUNT, InputSpec
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from classifier.taxonomy import Group, Label, Taxonomy
from core.types import ModelRef

SIZE = 64
SPEC = InputSpec(SIZE, view="views")
TAXONOMY = Taxonomy("tiny", "1", (Group("all", {}),), tuple(Label(name, "all", {}) for name in "abc"))


def network(name: str, *, views: bool) -> Any:
    keras.utils.set_random_seed(3)
    backbone = build_backbone(name, SIZE, 0.125, "none", views=views)
    return add_head(backbone, HeadOptions("straight", 0.2, 8, 0), TAXONOMY, "tiny")


def pictures(count: int = 3) -> NDArray[np.uint8]:
    """Return pictures that lack the views 2 and 4."""
    pixels = np.random.default_rng(5).integers(0, 256, (count, *SPEC.shape), np.uint8)
    pixels[:, [2, 4]] = PADDING
    return pixels


@pytest.mark.parametrize("name", ["vgg16", "fashionnet"])
def test_the_features_of_the_present_views_are_averaged_and_absent_ones_are_ignored(name: str) -> None:
    many, one = network(name, views=True), network(name, views=False)
    pooled_many, pooled_one = (keras.Model(model.input, model.get_layer(POOL).output) for model in (many, one))
    pooled_one.set_weights(pooled_many.get_weights())
    pixels = pictures()
    each = pooled_one.predict_on_batch(pixels.reshape(-1, SIZE, SIZE, 3)).reshape(len(pixels), VIEW_COUNT, -1)
    np.testing.assert_allclose(pooled_many.predict_on_batch(pixels), each[:, [0, 1, 3]].mean(axis=1), atol=1e-4)


def test_both_runtimes_serve_the_views_and_explain_the_whole_picture(tmp_path: Path) -> None:
    model = network("vgg16", views=True)
    save_keras(model, tmp_path)
    save_openvino(tmp_path, TAXONOMY)
    artifact = Artifact(ModelRef("tiny", "1"), tmp_path, "", TAXONOMY, SPEC, {}, "")
    openvino, tensorflow = open_runtime(artifact, "openvino"), open_runtime(artifact, "tensorflow")
    pixels = pictures()
    expected = load_graph(tmp_path).predict_on_batch(pixels)
    np.testing.assert_allclose(predict(openvino, pixels), expected, atol=1e-4)
    np.testing.assert_allclose(predict(tensorflow, pixels), expected, atol=1e-4)
    maps = openvino.activation_maps(pixels[0])
    assert maps.shape == (2, 2, 3)
    np.testing.assert_allclose(maps, tensorflow.activation_maps(pixels[0]), atol=1e-4)
    other_garments = pixels[0].copy()
    other_garments[1:] = PADDING
    np.testing.assert_allclose(openvino.activation_maps(other_garments), maps, atol=1e-5)
    openvino.close()
    tensorflow.close()
