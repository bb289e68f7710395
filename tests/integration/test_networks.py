"""Each backbone and each head: it trains a step, is saved, and gives the same scores in both runtimes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from typer.testing import CliRunner

from classifier.artifact import GROUP_HEAD, LABEL_HEAD, SCORES, SUB_SCORES, Artifact
from classifier.keras_graph import load_graph, with_activation_maps
from classifier.learning.networks import applications, inception_v4
from classifier.learning.networks.backbone import STEM, Backbone
from classifier.learning.networks.catalogue import ENTRIES, NAMED, find_entry, recorded_costs
from classifier.learning.networks.cost import cost
from classifier.learning.networks.heads import HeadKind, HeadOptions, add_head, log_answers
from classifier.learning.networks.registry import build_backbone
from classifier.learning.publishing.exporting import save_keras, save_openvino
from classifier.prepare import InputSpec
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from classifier.taxonomy import Group, Label, Taxonomy
from cli.main import app
from core.errors import NetworkInvalid, WeightsUnavailable
from core.settings import PROJECT
from core.types import ModelRef

STAND_INS = {"efficientnet_v2_l": "efficientnet_v2_b0", "efficientnet_b7": "efficientnet_b0"}
"""The smallest of their families stand for two large backbones here, because each of these takes most of a minute."""
TESTED = (*dict.fromkeys(STAND_INS.get(name, name) for name in NAMED), "mobilenet_v2")
"""The backbones that the documents name one by one, and one more of keras.applications."""

OWN = ("efficientnet_lite0", "inception_v4_small")
FAMILIES = {entry.family: entry for entry in reversed(ENTRIES.values()) if entry.family}
"""One backbone of each family: the smallest."""
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
def _same_weights_in_every_run() -> Iterator[None]:
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


def train_step(model: Any, size: int) -> None:
    """Train one step, and give the batch normalisation the statistics of the pictures."""
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    before = [weight.numpy() for weight in model.trainable_weights]
    optimizer = keras.optimizers.SGD(0.01, global_clipnorm=1.0)
    # Compiling the graph of a large network would take longer than one step.
    model.compile(optimizer, "categorical_crossentropy", run_eagerly=True)
    assert np.isfinite(model.train_on_batch(pictures(size), targets))
    changed = [not np.array_equal(old, new.numpy()) for old, new in zip(before, model.trainable_weights, strict=True)]
    assert np.mean(changed) > 0.5
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model(pictures(size, 16), training=True)


def published(model: Any, size: int, folder: Path) -> Artifact:
    save_keras(model, folder)
    save_openvino(folder, TAXONOMY)
    return Artifact(ModelRef("tiny", "1"), folder, "", TAXONOMY, InputSpec(size), {}, "")


@pytest.mark.parametrize("name", TESTED)
def test_a_backbone_trains_a_step_and_openvino_gives_its_scores(name: str, tmp_path: Path) -> None:
    size = max(find_entry(name).smallest, 64)
    model = with_head(build_backbone(name, size, WIDTH, "none"))
    train_step(model, size)
    artifact = published(model, size, tmp_path)
    runtime = open_runtime(artifact, "openvino")
    scores = predict(runtime, pictures(size))
    assert runtime.activation_maps(pictures(size)[0]).shape[-1] == 3
    runtime.close()
    np.testing.assert_allclose(scores, load_graph(tmp_path).predict_on_batch(pictures(size)), atol=1e-3)
    assert not np.allclose(scores[0], scores[1], atol=1e-6)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)


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
def test_blocks_are_numbered_from_the_pixels_to_the_features(name: str) -> None:
    with keras.StatelessScope(initialize_variables=False):
        backbone = build_backbone(name, find_entry(name).size, weights="none")
        layers = keras.Model(backbone.pixels, backbone.features).layers
    numbers = [backbone.block_of(layer.name) for layer in layers]
    assert numbers[0] <= 0
    assert numbers[-1] == backbone.block_count
    assert set(numbers) - {STEM} == set(range(backbone.block_count + 1))
    # A layer with a telling name may come beside layers of the next block, but blocks follow each other.
    firsts = [numbers.index(number) for number in range(backbone.block_count + 1)]
    assert firsts == sorted(firsts)


@pytest.mark.parametrize("name", [*(entry.name for entry in FAMILIES.values() if entry.family != "nasnet"), *OWN])
def test_width_scales_the_channels_of_all_layers(name: str) -> None:
    size = find_entry(name).smallest
    with keras.StatelessScope(initialize_variables=False):
        whole, narrow = (build_backbone(name, size, width, "none") for width in (1.0, 0.25))
        counts = [keras.Model(each.pixels, each.features).count_params() for each in (whole, narrow)]
    assert whole.features.shape[-1] == pytest.approx(4 * narrow.features.shape[-1], rel=0.02)
    # The parameters of a convolution grow with the square of the width, and others with the width.
    assert 1 / 16 < counts[1] / counts[0] < 1 / 6


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


def test_the_hierarchical_head_gives_the_score_of_a_group_to_its_labels() -> None:
    model = with_head(build_backbone("vgg16", 32, WIDTH, "none"), "hierarchical")
    groups = keras.Model(model.input, model.get_layer("group_scores").output)
    model.get_layer(LABEL_HEAD).bias.assign([3.0, -2.0, 1.0])
    scores, of_groups = (part.predict_on_batch(pictures(32)) for part in (model, groups))
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(scores[:, 0] + scores[:, 2], of_groups[:, 0], atol=1e-6)
    np.testing.assert_allclose(scores[:, 1], of_groups[:, 1], atol=1e-6)
    # The labels of one group compare as their logits do.
    logits = keras.Model(model.input, model.get_layer(LABEL_HEAD).output).predict_on_batch(pictures(32))
    np.testing.assert_allclose(np.log(scores[:, 0] / scores[:, 2]), logits[:, 0] - logits[:, 2], atol=1e-3)


def test_the_hierarchical_head_stays_finite_for_far_apart_logits() -> None:
    model = with_head(build_backbone("vgg16", 32, WIDTH, "none"), "hierarchical")
    model.get_layer(LABEL_HEAD).bias.assign([500.0, -500.0, -500.0])
    model.get_layer(GROUP_HEAD).bias.assign([-50.0, 50.0])
    np.testing.assert_allclose(model.predict_on_batch(pictures(32)), [[0, 1, 0]] * 4, atol=1e-6)


@pytest.mark.parametrize("kind", ["flatten", "two_dense", "hierarchical", "multi_label"])
def test_both_runtimes_serve_a_head_and_its_activation_maps(kind: HeadKind, tmp_path: Path) -> None:
    model = with_head(build_backbone("vgg16", 64, WIDTH, "none"), kind)
    artifact = published(model, 64, tmp_path)
    openvino, tensorflow = open_runtime(artifact, "openvino"), open_runtime(artifact, "tensorflow")
    scores = predict(openvino, pictures(64))
    assert scores.shape == (4, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(scores, predict(tensorflow, pictures(64)), atol=1e-5)
    maps = openvino.activation_maps(pictures(64)[0])
    assert maps.shape == (2, 2, 3)
    np.testing.assert_allclose(maps, tensorflow.activation_maps(pictures(64)[0]), atol=1e-4)
    openvino.close()
    tensorflow.close()


def test_maps_of_the_hierarchical_head_differ_within_a_group_as_its_scores_do() -> None:
    model = with_head(build_backbone("vgg16", 64, WIDTH, "none"), "hierarchical")
    outputs = with_activation_maps(model, TAXONOMY).predict_on_batch(pictures(64))
    evidence, scores = outputs["activation_maps"].mean(axis=(1, 2)), outputs[SCORES]
    np.testing.assert_allclose(
        evidence[:, 0] - evidence[:, 2], np.log(scores[:, 0] / scores[:, 2]), atol=1e-3, rtol=1e-3
    )


def test_maps_of_the_head_flatten_sum_to_its_logits() -> None:
    model = with_head(build_backbone("vgg16", 64, WIDTH, "none"), "flatten")
    model.get_layer(SCORES).bias.assign([0.5, -1.0, 2.0])
    outputs = with_activation_maps(model, TAXONOMY).predict_on_batch(pictures(64))
    evidence = outputs["activation_maps"].sum(axis=(1, 2)) + model.get_layer(SCORES).bias.numpy()
    expected = evidence - np.log(np.exp(evidence).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(np.log(outputs[SCORES]), expected, atol=1e-4)


@pytest.mark.parametrize("kind", get_args(HeadKind))
def test_training_sees_the_logarithms_of_the_scores_of_every_head(kind: HeadKind) -> None:
    model = with_head(build_backbone("vgg16", 32, WIDTH, "none"), kind)
    answers, logs = model.predict_on_batch(pictures(32)), log_answers(model, TAXONOMY).predict_on_batch(pictures(32))
    scores = answers[SCORES] if kind == "multi_label" else answers
    np.testing.assert_allclose(np.exp(logs[:, :3]), scores, atol=1e-6)
    if kind == "multi_label":
        np.testing.assert_allclose(1 / (1 + np.exp(-logs[:, 3:])), answers[SUB_SCORES], atol=1e-6)


def test_the_logarithm_of_a_score_that_is_rounded_to_0_is_finite_and_learned() -> None:
    model = with_head(build_backbone("vgg16", 32, WIDTH, "none"), "hierarchical")
    model.get_layer(LABEL_HEAD).bias.assign([500.0, -500.0, -500.0])
    model.get_layer(GROUP_HEAD).bias.assign([-500.0, 500.0])
    assert model.predict_on_batch(pictures(32))[0, 2] == 0
    trained = log_answers(model, TAXONOMY)
    np.testing.assert_allclose(trained.predict_on_batch(pictures(32))[0], [-1000, 0, -2000], atol=1.0)
    with tf.GradientTape() as tape:
        loss = -tf.reduce_sum(trained(pictures(32), training=False)[:, 2])
    gradient = tape.gradient(loss, [model.get_layer(name).bias.value for name in (GROUP_HEAD, LABEL_HEAD)])
    # Both the group and the label within it rise.
    np.testing.assert_allclose(gradient[0], [-4, 4], atol=1e-3)
    np.testing.assert_allclose(gradient[1], [4, 0, -4], atol=1e-3)


@pytest.mark.parametrize(("name", "first"), [("vgg16", "block1_conv1"), ("efficientnet_lite0", "stem_conv")])
def test_without_preprocessing_a_backbone_sees_the_colours_of_the_picture(name: str, first: str) -> None:
    backbone = build_backbone(name, 32, WIDTH, "none", preprocessing="none")
    model = keras.Model(backbone.pixels, backbone.features)
    seen = keras.Model(backbone.pixels, model.get_layer(first).input)
    np.testing.assert_array_equal(seen.predict_on_batch(pictures(32)), pictures(32))


def test_a_multi_label_network_answers_with_sub_labels_that_are_independent() -> None:
    model = with_head(build_backbone("vgg16", 32, WIDTH, "none"), "multi_label")
    answers = model.predict_on_batch(pictures(32))
    assert answers.keys() == {SCORES, SUB_SCORES}
    np.testing.assert_allclose(answers[SCORES].sum(axis=1), 1.0, atol=1e-5)
    assert ((answers[SUB_SCORES] > 0) & (answers[SUB_SCORES] < 1)).all()


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


def output_of(backbone: Backbone, layer: str) -> NDArray[np.float32]:
    whole = keras.Model(backbone.pixels, backbone.features)
    part = keras.Model(backbone.pixels, whole.get_layer(layer).output)
    values: NDArray[np.float32] = part.predict_on_batch(pictures(32))
    return values


@pytest.mark.parametrize(
    ("name", "base", "layer"),
    [
        ("vgg16", "vgg16", "block5_pool"),
        ("bcrnn", "vgg16", "block4_conv3"),
        ("efficientnet_lite0", "efficientnet_lite0", "head_bn"),
    ],
)
def test_a_backbone_starts_from_a_file(name: str, base: str, layer: str, tmp_path: Path) -> None:
    source = build_backbone(base, 32, WIDTH, "none")
    # The file may be a whole model with a head.
    with_head(source).save(tmp_path / "weights.keras")
    loaded = build_backbone(name, 32, WIDTH, str(tmp_path / "weights.keras"))
    np.testing.assert_allclose(output_of(loaded, layer), output_of(source, layer), rtol=1e-5)
    assert layer in loaded.pretrained
    assert "landmark_map" not in loaded.pretrained


def test_a_file_of_efficientnet_keeps_the_rescaling_that_keras_adds_to_downloaded_weights(tmp_path: Path) -> None:
    scratch = build_backbone("efficientnet_b0", 32, WIDTH, "none")

    def call(layer: Any, *args: Any, **options: Any) -> Any:
        output = layer(*args, **options)
        if isinstance(layer, keras.layers.Normalization):
            output = keras.layers.Rescaling([deviation**-0.5 for deviation in (0.229, 0.224, 0.225)])(output)
        return output

    whole = keras.Model(scratch.pixels, scratch.features)
    # The graph that keras.applications makes if it downloads the weights.
    downloaded = keras.models.clone_model(whole, call_function=call)
    downloaded.save(tmp_path / "b0.keras")
    loaded = build_backbone("efficientnet_b0", 32, WIDTH, str(tmp_path / "b0.keras"))
    features = keras.Model(loaded.pixels, loaded.features).predict_on_batch(pictures(32))
    np.testing.assert_allclose(features, downloaded.predict_on_batch(pictures(32)), rtol=1e-3, atol=1e-6)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = build_backbone("vgg16", 32, 0.25, "none")
    keras.Model(other.pixels, other.features).save(tmp_path / "wide.keras")
    with pytest.raises(WeightsUnavailable, match=r"wide\.keras: expected weights of vgg16: expected the shapes"):
        build_backbone("vgg16", 32, WIDTH, str(tmp_path / "wide.keras"))
    with pytest.raises(WeightsUnavailable, match="got none"):
        build_backbone("vgg16", 32, WIDTH, str(tmp_path / "missing.keras"))


def test_a_machine_without_a_network_is_told_what_to_do(tmp_path: Path) -> None:
    # Port 9 of this machine refuses connections. Another home of Keras keeps an earlier download out.
    proxies = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "cli", "convert-backbone", "mobilenet_v2", str(tmp_path / "out.keras")],
        cwd=PROJECT,
        env={**os.environ, **proxies, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "the ImageNet weights of mobilenet_v2 could not be downloaded: URL fetch failure" in done.stderr
    assert "`lookbook convert-backbone mobilenet_v2 mobilenet_v2.keras`" in done.stderr
    assert "`weights: none`" in done.stderr


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
