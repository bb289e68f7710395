"""Each head: its scores, its activation maps, and what training sees of it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from classifier.artifact import FEATURES, GROUP_HEAD, LABEL_HEAD, SCORES, SUB_SCORES
from classifier.keras_graph import load_graph, with_activation_maps
from classifier.learning.networks.heads import HeadKind, log_answers
from classifier.learning.networks.registry import build_backbone
from classifier.runtime import answer, predict
from classifier.runtimes import open_runtime
from tests.integration.networks import TAXONOMY, WIDTH, pictures, published, same_weights_in_every_run, with_head

__all__ = ["same_weights_in_every_run"]


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
    written = load_graph(tmp_path)
    features = keras.Model(written.input, written.get_layer(FEATURES).output).predict_on_batch(pictures(64))
    for runtime in (openvino, tensorflow):
        embeddings = answer(runtime, pictures(64)).embeddings
        assert embeddings is not None
        np.testing.assert_allclose(embeddings, features.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
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


def test_a_multi_label_network_answers_with_sub_labels_that_are_independent() -> None:
    model = with_head(build_backbone("vgg16", 32, WIDTH, "none"), "multi_label")
    answers = model.predict_on_batch(pictures(32))
    assert answers.keys() == {SCORES, SUB_SCORES}
    np.testing.assert_allclose(answers[SCORES].sum(axis=1), 1.0, atol=1e-5)
    assert ((answers[SUB_SCORES] > 0) & (answers[SUB_SCORES] < 1)).all()
