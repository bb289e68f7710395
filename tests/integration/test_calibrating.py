from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax
from typer.testing import CliRunner

from classifier.artifact import FEATURES, SCORES, SUB_SCORES, Artifact, publish
from classifier.calibration import logits_of
from classifier.keras_graph import load_graph, only_scores
from classifier.learning.data.cache import DataCache
from classifier.learning.data.opened import ALL, open_pictures
from classifier.learning.networks.backbone import Backbone
from classifier.learning.networks.heads import HeadKind, HeadOptions, add_head
from classifier.learning.publishing.exporting import save_int8, save_keras, save_openvino, write_json
from classifier.learning.publishing.tempering import calibrate_network, tempered
from classifier.prepare import InputSpec
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from classifier.taxonomy import Taxonomy
from cli.main import app
from core.settings import PROJECT
from core.types import ModelRef

SIDE = 16
TEMPERATURE = 3.0
TAXONOMY = Taxonomy.from_json(
    json.loads((PROJECT / "recipes/training/garments.labels.json").read_text("utf-8"))
).restricted_to(["dress", "shirt", "pants"])


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_HOME", str(tmp_path / "home"))


def colour_model() -> Any:
    """Return a network that scores the labels by the mean red, green and blue of a picture, far too confidently."""
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    features = keras.layers.Conv2D(3, 1, use_bias=False, name=FEATURES)(scaled)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    model = keras.Model(pixels, keras.layers.Dense(3, activation="softmax", name=SCORES)(pooled), name="colours")
    model.get_layer(FEATURES).set_weights([np.eye(3, dtype=np.float32)[None, None]])
    kernel = 20 * np.eye(3) + np.random.default_rng(1).normal(0, 0.5, (3, 3))
    model.get_layer(SCORES).set_weights([kernel.astype(np.float32), np.array([0.7, -0.4, 0.1], np.float32)])
    return model


@pytest.fixture(scope="module")
def drawn() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures of one colour each, and labels that have the chances of the model at a temperature."""
    random = np.random.default_rng(2)
    colours = random.integers(0, 256, (400, 1, 1, 3), dtype=np.uint8)
    pixels = np.broadcast_to(colours, (400, SIDE, SIDE, 3)).copy()
    chances = softmax(logits_of(colour_model().predict(pixels, verbose=0)) / TEMPERATURE, axis=1)
    labels = (chances.cumsum(axis=1) < random.random((400, 1))).sum(axis=1)
    return pixels, np.minimum(labels, 2)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models with `colours@1`."""
    publish_colours(tmp_path / "models", None)
    return tmp_path / "models"


def publish_colours(models: Path, quantizing: NDArray[np.uint8] | None) -> None:
    def write(folder: Path, _ref: object) -> None:
        save_keras(colour_model(), folder)
        save_openvino(folder, TAXONOMY)
        if quantizing is not None:
            save_int8(folder, quantizing)
        write_json(folder / "labels.json", TAXONOMY.to_json())
        write_json(folder / "input.json", InputSpec(SIDE).to_json())
        write_json(folder / "metrics.json", {"accuracy": 0.5, "calibration_error": 0.4})
        (folder / "card.md").write_text("# colours@1\n\nA test.\n\n## Limits\n- Colours only.\n", "utf-8")

    publish(models, "colours", datetime(2026, 1, 31, tzinfo=UTC), write)


def write_pictures(folder: Path, pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    for number, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        path = folder / TAXONOMY.label_ids[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


def calibrate(models: Path, data: Path, *options: str) -> str:
    arguments = ["models", "calibrate", "colours", "--data", str(data), *options]
    done = CliRunner(env={"LOOKBOOK_MODELS": str(models), "COLUMNS": "200"}).invoke(app, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_a_calibrated_version_gives_the_same_labels_with_confidences_that_match_the_accuracy(
    models: Path, drawn: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    pixels, labels = drawn
    write_pictures(tmp_path / "data" / "validation", pixels, labels)
    figures = json.loads(calibrate(models, tmp_path / "data", "--json"))
    first, second = (Artifact.open(models / "colours" / version) for version in "12")
    assert figures["model"] == "colours@2"
    assert figures["temperature"] == pytest.approx(TEMPERATURE, rel=0.25)
    assert figures["temperature_pictures"] == 400
    assert figures["calibration_error"] < 0.07
    assert figures["calibration_error_before"] > 0.1
    assert second.metrics.items() >= {"accuracy": 0.5, "calibration_error": figures["calibration_error"]}.items()
    assert second.card.startswith("# colours@2\n")
    assert f"temperature {figures['temperature']:.3f} (" in second.card
    for runtime in ("openvino", "tensorflow"):
        before, after = (predict(open_runtime(artifact, runtime), pixels) for artifact in (first, second))
        np.testing.assert_array_equal(before.argmax(axis=1), after.argmax(axis=1))
        expected = softmax(logits_of(before) / figures["temperature"], axis=1)
        np.testing.assert_allclose(after, expected, atol=1e-4)


def test_a_second_calibration_changes_nothing_and_int8_is_exported_if_there_are_pictures_to_quantize_it(
    drawn: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    pixels, labels = drawn
    models, data = tmp_path / "models", tmp_path / "data"
    publish_colours(models, pixels[:40])
    write_pictures(data / "validation", pixels, labels)
    write_pictures(data / "train", pixels[:40], labels[:40])
    calibrate(models, data)
    (data / "train").rename(tmp_path / "elsewhere")
    shown = calibrate(models, data)
    second, third = (Artifact.open(models / "colours" / version) for version in "23")
    assert second.metrics["precisions"]["int8"]["pictures"] == 400
    assert "int8" not in third.metrics["precisions"]
    assert not (third.folder / "openvino" / "int8.xml").exists()
    # The temperature is that of the weights as trained, and not that of the second step.
    assert third.metrics["temperature"] == pytest.approx(second.metrics["temperature"], rel=1e-3)
    assert third.card.count("## Calibration\n") == third.card.count("## Precisions\n") == 1
    assert f"{third.metrics['temperature']:.3f}" in shown
    assert "published colours@3" in shown


def test_pictures_that_the_model_gets_all_right_are_refused_and_nothing_is_published(
    models: Path, drawn: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    pixels = drawn[0][:40]
    write_pictures(tmp_path / "validation", pixels, colour_model().predict(pixels, verbose=0).argmax(axis=1))
    arguments = ["models", "calibrate", "colours", "--data", str(tmp_path)]
    refused = CliRunner(env={"LOOKBOOK_MODELS": str(models)}).invoke(app, arguments)
    assert refused.exit_code != 0
    assert "some wrong" in str(refused.exception)
    assert [path.name for path in (models / "colours").iterdir()] == ["1"]


def test_evaluate_shows_the_intervals(
    models: Path, drawn: tuple[NDArray[np.uint8], NDArray[np.int64]], tmp_path: Path
) -> None:
    write_pictures(tmp_path / "data", *drawn)
    run = CliRunner(env={"LOOKBOOK_MODELS": str(models), "COLUMNS": "200"})
    arguments = ["evaluate", str(tmp_path / "data"), "--model", "colours"]
    figures = json.loads(run.invoke(app, [*arguments, "--json"]).stdout)
    low, high = figures["intervals"]["accuracy"]
    assert low < figures["accuracy"] < high
    assert f"{figures['accuracy']:.4f}  {low:.4f} to {high:.4f}" in run.invoke(app, arguments).stdout


@pytest.mark.parametrize("kind", ["straight", "flatten", "two_dense", "hierarchical", "multi_label"])
def test_every_head_is_calibrated_inside_the_graph_and_in_its_exports(kind: HeadKind, tmp_path: Path) -> None:
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    features = keras.layers.Conv2D(4, 3, name=FEATURES)(keras.layers.Rescaling(1 / 128)(pixels))
    backbone = Backbone(pixels, features, {}, frozenset(), has_new_part=False)
    keras.utils.set_random_seed(3)
    model = add_head(backbone, HeadOptions(kind, dropout=0.0, units=5, seed=0), TAXONOMY, "colours")
    batch = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)
    before = only_scores(model).predict(batch, verbose=0)
    save_keras(tempered(model, TEMPERATURE), tmp_path, exact=True)
    # Calibrating again multiplies the temperatures.
    again = tempered(load_graph(tmp_path), 0.5)
    save_keras(again, tmp_path, exact=True)
    save_openvino(tmp_path, TAXONOMY)
    artifact = Artifact(ModelRef("colours", "1"), tmp_path, "", TAXONOMY, InputSpec(SIDE), {}, "")
    expected = softmax(logits_of(before) / (TEMPERATURE * 0.5), axis=1)
    for runtime in ("openvino", "tensorflow"):
        np.testing.assert_allclose(predict(open_runtime(artifact, runtime), batch), expected, atol=1e-5)
    if kind == "multi_label":
        sub_scores = [network.predict(batch, verbose=0)[SUB_SCORES] for network in (model, again)]
        np.testing.assert_array_equal(*sub_scores)
    if kind == "hierarchical":
        maps = open_runtime(artifact, "openvino").activation_maps(batch[0]).mean(axis=(0, 1))
        # The labels of the group `tops` differ in the means of their maps as in the logarithms of their scores.
        bias = again.get_layer("label_logits").get_weights()[1] / (TEMPERATURE * 0.5)
        pair = [TAXONOMY.label_ids.index(label) for label in ("dress", "shirt")]
        logits = np.log(expected[0])[pair]
        assert np.ptp(maps[pair] + bias[pair]) == pytest.approx(np.ptp(logits), abs=1e-3)


def test_few_pictures_do_not_calibrate_a_trained_network_and_the_reason_is_stored(tmp_path: Path) -> None:
    model = colour_model()
    pixels = np.random.default_rng(0).integers(0, 256, (10, SIDE, SIDE, 3), dtype=np.uint8)
    write_pictures(tmp_path / "data", pixels, np.zeros(10, np.int64))
    cache = DataCache(tmp_path / "home", lambda _what, iterable, _length, /: iterable, lambda _sentence: None)
    pictures = open_pictures(tmp_path / "data", TAXONOMY, InputSpec(SIDE), cache, part=ALL)
    same, addition = calibrate_network(model, pictures)
    assert same is model
    assert addition == {"uncalibrated": "a temperature needs at least 30 labelled pictures, got 10"}
