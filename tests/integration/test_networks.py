"""Backbones: their preprocessing, their blocks, their width and their cost."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from classifier.learning.networks import applications, inception_v4
from classifier.learning.networks.backbone import STEM
from classifier.learning.networks.catalogue import ENTRIES, find_entry, recorded_costs
from classifier.learning.networks.cost import cost
from classifier.learning.networks.registry import build_backbone
from cli.main import app
from core.errors import NetworkInvalid
from tests.integration.networks import TESTED, WIDTH, pictures, same_weights_in_every_run

__all__ = ["same_weights_in_every_run"]


OWN = ("efficientnet_lite0", "inception_v4_small")
FAMILIES = {entry.family: entry for entry in reversed(ENTRIES.values()) if entry.family}
"""One backbone of each family: the smallest."""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_begins_with_the_preprocessing_of_keras_for_its_family(family: str) -> None:
    entry = FAMILIES[family]
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    graph = keras.Model(pixels, applications.preprocessed(entry, pixels))
    values = pictures(8)
    expected = getattr(keras.applications, family).preprocess_input(values.astype(np.float32))
    np.testing.assert_allclose(graph.predict_on_batch(values), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        # RGB (10, 20, 30) as BGR minus the means of ImageNet, as Caffe does it.
        ("vgg16", [30 - 103.939, 20 - 116.779, 10 - 123.68]),
        ("resnet50", [30 - 103.939, 20 - 116.779, 10 - 123.68]),
        ("inception_v3", [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1]),
        ("inception_v4_small", [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1]),
        ("efficientnet_lite0", [(10 - 127) / 128, (20 - 127) / 128, (30 - 127) / 128]),
        ("efficientnet_b0", [10 / 255, 20 / 255, 30 / 255]),
        ("efficientnet_v2_l", [10 / 128 - 1, 20 / 128 - 1, 30 / 128 - 1]),
    ],
)
def test_the_first_convolution_sees_these_values(name: str, first: list[float]) -> None:
    size = find_entry(name).smallest
    with keras.StatelessScope(initialize_variables=False):
        backbone = build_backbone(name, size, weights="none")
        model = keras.Model(backbone.pixels, backbone.features)
        convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        seen = keras.Model(backbone.pixels, convolution.input)
    values = np.full((1, size, size, 3), (10, 20, 30), np.uint8)
    # The middle, because some networks pad the picture first.
    np.testing.assert_allclose(np.asarray(seen(values))[0, size // 2, size // 2], first, rtol=1e-5)


@pytest.mark.parametrize("name", TESTED)
def test_the_recorded_cost_of_a_backbone_is_that_of_the_network(name: str) -> None:
    assert recorded_costs()[name] == cost(find_entry(name))


def test_every_backbone_has_a_recorded_cost() -> None:
    assert recorded_costs().keys() == ENTRIES.keys()


@pytest.mark.parametrize("name", [name for name in TESTED if find_entry(name).family])
def test_a_backbone_of_keras_has_the_parameters_of_the_library(name: str) -> None:
    entry = find_entry(name)
    with keras.StatelessScope(initialize_variables=False):
        theirs = getattr(keras.applications, entry.application)(weights=None, include_top=False)
    assert recorded_costs()[name].parameters == theirs.count_params()


@pytest.mark.parametrize(
    ("name", "published"),
    # He et al. 2016, table 1; Tan & Le 2019, table 2; Szegedy et al. 2016, "Rethinking the Inception Architecture".
    [("resnet50", 3.8), ("efficientnet_b0", 0.39), ("efficientnet_b7", 37.0), ("inception_v3", 5.7)],
)
def test_gflops_are_those_of_the_papers(name: str, published: float) -> None:
    assert recorded_costs()[name].multiply_adds / 1e9 == pytest.approx(published, rel=0.03)


def test_inception_v4_with_all_blocks_has_the_published_number_of_parameters() -> None:
    """The number is that of the pretrained model of the timm library, which has 1,000 classes."""
    with keras.StatelessScope(initialize_variables=False):
        model = inception_v4.build(299, 1.0, inception_v4.FULL)
        learned = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert model.output.shape == (None, 8, 8, 1536)
    assert learned + 1536 * 1000 + 1000 == 42_679_816


def test_every_network_of_keras_applications_has_a_name() -> None:
    classes = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {entry.application for entry in ENTRIES.values() if entry.application} == classes


@pytest.mark.parametrize("name", [*(entry.name for entry in FAMILIES.values()), *OWN])
def test_blocks_are_numbered_from_the_pixels_and_width_scales_all_layers(name: str) -> None:
    size = find_entry(name).smallest
    with keras.StatelessScope(initialize_variables=False):
        backbone = build_backbone(name, size, weights="none")
        whole = keras.Model(backbone.pixels, backbone.features)
    numbers = [backbone.block_of(layer.name) for layer in whole.layers]
    assert numbers[0] <= 0
    assert numbers[-1] == backbone.block_count
    assert set(numbers) - {STEM} == set(range(backbone.block_count + 1))
    # A layer with a telling name may come beside layers of the next block, but blocks follow each other.
    firsts = [numbers.index(number) for number in range(backbone.block_count + 1)]
    assert firsts == sorted(firsts)
    if find_entry(name).family == "nasnet":
        return  # Its layers do not fit together at this width, as the next test says.
    with keras.StatelessScope(initialize_variables=False):
        thin = build_backbone(name, size, 0.25, "none")
        narrow = keras.Model(thin.pixels, thin.features)
    assert backbone.features.shape[-1] == pytest.approx(4 * thin.features.shape[-1], rel=0.02)
    # The parameters of a convolution grow with the square of the width, and others with the width.
    assert 1 / 16 < narrow.count_params() / whole.count_params() < 1 / 6


def test_a_width_at_which_layers_do_not_fit_together_is_refused() -> None:
    with pytest.raises(NetworkInvalid, match=r"nasnet_mobile cannot be built at width 0\.25"):
        build_backbone("nasnet_mobile", 64, 0.25, "none")


def test_the_blocks_of_resnet50_and_vgg16_are_those_of_the_papers() -> None:
    with keras.StatelessScope(initialize_variables=False):
        resnet, vgg = build_backbone("resnet50", 64, weights="none"), build_backbone("vgg16", 64, weights="none")
    assert (resnet.block_count, vgg.block_count) == (16, 5)
    assert resnet.block_of("conv1_conv") == STEM
    assert resnet.block_of("conv5_block3_3_conv") == 15
    assert vgg.block_of("block1_conv1") == 0


@pytest.mark.parametrize(("name", "first"), [("vgg16", "block1_conv1"), ("efficientnet_lite0", "stem_conv")])
def test_without_preprocessing_a_backbone_sees_the_colours_of_the_picture(name: str, first: str) -> None:
    backbone = build_backbone(name, 32, WIDTH, "none", preprocessing="none")
    model = keras.Model(backbone.pixels, backbone.features)
    seen = keras.Model(backbone.pixels, model.get_layer(first).input)
    np.testing.assert_array_equal(seen.predict_on_batch(pictures(32)), pictures(32))


def test_fashionnet_pools_where_its_maps_are() -> None:
    """The mean of a landmark's part of the features is the local features weighted with its map."""
    backbone = build_backbone("fashionnet", 64, WIDTH, "none")
    model = keras.Model(backbone.pixels, backbone.features)
    parts = [model.get_layer(name).output for name in ("block4_pool", "landmark_maps", "landmark_visibility")]
    watched = keras.Model(model.input, [backbone.features, *parts])
    features, local, maps, visible = watched.predict_on_batch(pictures(64))
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1.0, atol=1e-5)
    expected = np.einsum("nhwc,nhwl->nlc", local, maps) * visible[:, :, None]
    channels = local.shape[-1]
    pooled = features.mean(axis=(1, 2))[:, channels:].reshape(len(local), -1, channels)
    np.testing.assert_allclose(pooled, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "size", "width", "weights", "reason"),
    [
        ("resnet51", 64, 1.0, "none", "expected a backbone among .*resnet50"),
        ("inception_v3", 64, 1.0, "none", "at least 75 pixels"),
        ("inception_v4_small", 299, 1.0, "imagenet", "no ImageNet weights of inception_v4_small"),
        ("vgg16", 64, 0.5, "imagenet", "fit width 1 only, got width 0.5"),
    ],
)
def test_a_backbone_that_cannot_be_built_is_refused(
    name: str, size: int, width: float, weights: str, reason: str
) -> None:
    with pytest.raises(NetworkInvalid, match=reason):
        build_backbone(name, size, width, weights)


def test_the_command_lists_every_backbone_and_invents_no_speed() -> None:
    listed = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["backbones"])
    assert listed.exit_code == 0
    lines = listed.output.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(ENTRIES)
    assert next(line for line in lines if line.startswith("vgg16 ")).split()[1:5] == ["14,714,688", "15.35", "224", "–"]
    (row,) = json.loads(CliRunner().invoke(app, ["backbones", "vgg16", "--json"]).output)
    assert row["pictures_per_second"] is None
    assert row["parameters"] == 14_714_688


def test_the_command_measures_the_speed_of_a_backbone() -> None:
    done = CliRunner().invoke(app, ["backbones", "mobilenet", "--measure", "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    (row,) = json.loads(done.stdout)
    assert row["pictures_per_second"] > 0
