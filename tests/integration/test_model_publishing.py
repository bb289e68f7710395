"""`lookbook models publish`, `card` and `diff` with tiny Keras models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from classifier.artifact import Artifact
from classifier.learning.judging.throughput import measure_throughput
from classifier.runtime import predict
from classifier.runtime_openvino import supported_precisions
from classifier.runtimes import open_runtime
from cli.main import app

SIDE = 16
LABELS = ["red", "green", "blue"]


def colour_model(*ending: Any, factor: float = 9.0) -> keras.Model:
    """Return a model as people train them elsewhere: a backbone as one layer, floats from -1 to 1, and other layers."""
    backbone = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), keras.layers.Conv2D(3, 1, use_bias=False), keras.layers.ReLU()], name="base"
    )
    backbone.set_weights([np.eye(3, dtype=np.float32)[None, None]])
    layers = ending or (
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(3, name="out"),
        keras.layers.Softmax(),
    )
    x = pixels = keras.Input((SIDE, SIDE, 3))
    for layer in (backbone, *layers):
        x = layer(x)
    model = keras.Model(pixels, x)
    for layer in model.layers:
        if layer.name == "out":
            layer.set_weights([factor * np.eye(3, dtype=np.float32), np.zeros(3, np.float32)])
    return model


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the labels in `labels.json` and pictures of one colour each in `data`."""
    (tmp_path / "labels.json").write_text(json.dumps(LABELS), "utf-8")
    random = np.random.default_rng(0)
    for label in range(3):
        folder = tmp_path / "data" / LABELS[label]
        folder.mkdir(parents=True)
        for number in range(5):
            colour = random.integers(0, 90, 3)
            colour[label] = 250
            # Each label has a picture whose colour is wrong.
            shown = np.roll(colour, number == 0)
            Image.new("RGB", (SIDE, SIDE), tuple(shown.tolist())).save(folder / f"{number}.png")
    return tmp_path


def run(home: Path, *arguments: str) -> Result:
    environment = {"LOOKBOOK_HOME": str(home), "LOOKBOOK_MODELS": str(home / "models"), "COLUMNS": "200"}
    return CliRunner(env=environment).invoke(app, ["models", *arguments])


def publish(home: Path, model: keras.Model, *options: str) -> Result:
    model.save(home / "mine.keras")
    named = ("--name", "mine", "--labels", str(home / "labels.json"))
    return run(home, "publish", str(home / "mine.keras"), *named, *options)


def test_a_model_that_was_trained_elsewhere_is_served_with_the_scores_that_it_gave_there(home: Path) -> None:
    model = colour_model()
    done = publish(home, model, "--pixels", "-1..1", "--data", str(home / "data"))
    assert done.exit_code == 0, (done.output, done.exception)
    artifact = Artifact.open(home / "models" / "mine" / "1")
    pixels = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    expected = model.predict(pixels / 127.5 - 1, verbose=0)
    for name in ("openvino", "tensorflow"):
        runtime = open_runtime(artifact, name)
        np.testing.assert_allclose(predict(runtime, pixels), expected, atol=1e-5)
        # The means of the maps are the logits.
        maps = runtime.activation_maps(pixels[0]).mean(axis=(0, 1))
        np.testing.assert_allclose(np.exp(maps) / np.exp(maps).sum(), expected[0], atol=1e-4)
    assert artifact.taxonomy.label_ids == LABELS
    assert artifact.metrics["accuracy"] == pytest.approx(12 / 15)
    assert "trained outside of Lookbook" in run(home, "card", "mine").stdout
    assert json.loads(run(home, "card", "mine", "--json").stdout)["card"].startswith("# mine@1\n")


def test_a_model_that_flattens_its_features_is_served_and_explained(home: Path) -> None:
    model = colour_model(keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax"))
    assert publish(home, model, "--pixels", "0..1").exit_code == 0
    runtime = open_runtime(Artifact.open(home / "models" / "mine" / "1"), "openvino")
    pixels = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    expected = model.predict(pixels / 255, verbose=0)[0]
    np.testing.assert_allclose(predict(runtime, pixels)[0], expected, atol=1e-5)
    # The sums of the maps are the logits.
    maps = runtime.activation_maps(pixels[0]).sum(axis=(0, 1))
    np.testing.assert_allclose(np.exp(maps) / np.exp(maps).sum(), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (["GlobalAveragePooling2D", {}, "Dense", {"units": 4, "activation": "softmax"}], "expected 3 scores"),
        (["GlobalAveragePooling2D", {}, "Dense", {"units": 3}], "expected a model that ends with"),
        (["GlobalMaxPooling2D", {}, "Dense", {"units": 3, "activation": "softmax"}], "got GlobalMaxPooling2D"),
    ],
)
def test_a_model_whose_output_does_not_fit_is_refused_and_nothing_is_published(
    home: Path, ending: list[Any], reason: str
) -> None:
    layers = [getattr(keras.layers, kind)(**options) for kind, options in zip(ending[::2], ending[1::2], strict=True)]
    refused = publish(home, colour_model(*layers))
    assert refused.exit_code != 0
    assert reason in str(refused.exception)
    assert not list((home / "models").glob("mine/[0-9]*"))


def test_a_file_that_is_no_model_and_one_without_labels_are_refused(home: Path) -> None:
    (home / "broken.keras").write_bytes(b"no model")
    refused = run(home, "publish", str(home / "broken.keras"), "--name", "mine", "--labels", str(home / "labels.json"))
    assert "expected a Keras file (.keras), got another format" in str(refused.exception)
    refused = run(home, "publish", str(home / "broken.keras"), "--name", "mine")
    assert refused.exit_code == 2
    assert "expected --labels" in refused.output


def test_the_speed_of_each_runtime_is_measured_and_precisions_that_workers_refuse_say_why(home: Path) -> None:
    assert publish(home, colour_model(), "--pixels", "0..1").exit_code == 0
    speeds = measure_throughput(Artifact.open(home / "models" / "mine" / "1"), lambda rounds, _: rounds, seconds=0)
    found = {(speed.runtime, speed.precision): speed for speed in speeds}
    assert {("openvino", "f32"), ("tensorflow", "f32")} <= found.keys()
    assert all(len(speed.rounds) == 5 and min(speed.rounds) > 0 for speed in speeds)
    assert found["openvino", "f32"].refusal is None
    if "bf16" in supported_precisions():
        assert "never checked in bf16" in (found["openvino", "bf16"].refusal or "")


@pytest.mark.parametrize("name", ["../mine", "Mine", "a/b", ""])
def test_a_name_that_is_no_name_of_a_folder_is_refused(home: Path, name: str) -> None:
    refused = run(home, "publish", str(home), "--name", name)
    assert refused.exit_code == 2
    assert "expected lower-case letters" in refused.output


def test_an_artifact_of_another_folder_is_published_with_its_figures(home: Path) -> None:
    publish(home, colour_model(), "--pixels", "-1..1", "--data", str(home / "data"))
    first = home / "models" / "mine" / "1"
    done = run(home, "publish", str(first), "--name", "yours", "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    second = Artifact.open(home / "models" / "yours" / "1")
    assert second.metrics == Artifact.open(first).metrics
    assert second.card.startswith("# yours@1\n")
    (first / "metrics.json").write_text("{}", "utf-8")
    assert "SHA-256" in str(run(home, "publish", str(first), "--name", "yours").exception)


def test_two_versions_are_compared_on_the_same_pictures(home: Path) -> None:
    for factor in (9.0, -9.0):
        assert publish(home, colour_model(factor=factor), "--pixels", "0..1").exit_code == 0
    without = json.loads(run(home, "diff", "mine@1", "mine@2", "--json").stdout)
    assert without["figures"]["accuracy"] == [{"value": None, "interval": None}] * 2
    assert without["labels"] == {"only_first": [], "only_second": [], "same_order": True}
    compared = run(home, "diff", "mine@1", "mine@2", "--data", str(home / "data"), "--json")
    assert compared.exit_code == 0, (compared.output, compared.exception)
    found = json.loads(compared.stdout)
    assert found["figures"]["accuracy"][0]["value"] == pytest.approx(12 / 15)
    answers = found["answers"]
    assert answers["pictures"] == len(answers["changed"]) == 15
    assert answers["only_first_right"] == 12
    assert answers["p_value"] < 0.05
    shown = run(home, "diff", "mine@1", "mine@2", "--data", str(home / "data")).stdout
    assert "15 of 15 pictures get another label. Only mine@1 gets 12 right" in shown
