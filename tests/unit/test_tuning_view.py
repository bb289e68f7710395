from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf

from classifier.learning.networks.registry import build_backbone
from classifier.learning.training.devices import use_precision
from classifier.learning.training.recipe import read_recipe
from classifier.learning.training.tuning_view import tuning_view
from core.errors import LookbookError
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"
PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def network() -> Any:
    """A small network whose batch normalisation is frozen and not trivial."""
    backbone = build_backbone("efficientnet_lite0", 32, 0.125, "none")
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.features)
    model = keras.Model(backbone.pixels, keras.layers.Dense(3, activation="softmax")(pooled))
    random = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
            layer.set_weights([values + random.random(values.shape) / 4 for values in layer.get_weights()])
    return model


def gradients(model: Any, network: Any) -> list[Any]:
    """Return the gradients of one training step of `model` for the weights of `network`."""
    with tf.GradientTape() as tape:
        loss = -tf.reduce_mean(tf.math.log(model(PIXELS, training=True)[:, 0]))
    return [np.asarray(found) for found in tape.gradient(loss, [each.value for each in network.trainable_variables])]


def test_a_network_learns_the_same_with_folded_normalisation(network: Any) -> None:
    view = tuning_view(network, any_side=False)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in view.layers)
    np.testing.assert_allclose(view(PIXELS), network(PIXELS), atol=1e-6)
    for folded, original in zip(gradients(view, network), gradients(network, network), strict=True):
        np.testing.assert_allclose(folded, original, atol=1e-5 * max(1.0, float(np.abs(original).max())))


def test_normalisation_that_is_trained_is_not_folded(network: Any) -> None:
    network.get_layer("block3_expand_bn").trainable = True
    view = tuning_view(network, any_side=False)
    assert [each.name for each in view.layers if isinstance(each, keras.layers.BatchNormalization)] == [
        "block3_expand_bn"
    ]
    assert {each.path for each in view.trainable_variables} == {each.path for each in network.trainable_variables}


@pytest.mark.parametrize("strides", [1, 2])
def test_a_depthwise_convolution_learns_the_same_in_bfloat16(strides: int) -> None:
    keras.utils.set_random_seed(3)
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    mapped = keras.layers.Conv2D(8, 3, use_bias=False)(keras.layers.Rescaling(1 / 128, offset=-1)(pixels))
    convolved = keras.layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False)(mapped)
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization(trainable=False)(convolved))
    network = keras.Model(pixels, keras.layers.Dense(3, activation="softmax")(pooled))
    in_float32 = gradients(tuning_view(network, any_side=False), network)
    use_precision(network, "mixed_bfloat16")
    for found, expected in zip(gradients(tuning_view(network, any_side=False), network), in_float32, strict=True):
        # bfloat16 has 8 significant bits.
        np.testing.assert_allclose(found, expected, atol=0.05 * float(np.abs(expected).max()))


def test_a_network_can_be_tuned_with_pictures_of_another_size(network: Any) -> None:
    view = tuning_view(network, any_side=True)
    larger = np.zeros((2, 64, 64, 3), np.uint8)
    assert view(larger).shape == (2, 3)
    np.testing.assert_allclose(view(PIXELS), network(PIXELS), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": 300}, "crop_from must be at least size, got 256 < 300"),
        ({"size": 16}, "needs pictures of at least 32 pixels a side, got 16"),
    ],
)
def test_a_recipe_refuses_a_size_of_the_second_phase_that_does_not_fit(
    changes: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"taxonomy": str(RECIPES / "garments.labels.json")}
    recipe["fine_tune"] |= changes
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    with pytest.raises(LookbookError, match=expected):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize("changes", [{"backbone": "bcrnn"}, {"input": {"view": "views"}}])
def test_a_recipe_refuses_another_size_for_networks_of_one_size(changes: dict[str, Any], tmp_path: Path) -> None:
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"taxonomy": str(RECIPES / "garments.labels.json")} | changes
    recipe["fine_tune"]["size"] = 192
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    with pytest.raises(LookbookError, match=r"takes pictures of one size only: expected fine_tune\.size 224, got 192"):
        read_recipe(tmp_path / "recipe.yaml")
