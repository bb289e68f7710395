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
from classifier.learning.judging.calibration import logits_of
from classifier.learning.publishing.calibrating import calibrate_model
from classifier.learning.publishing.exporting import save_int8, save_keras, save_openvino, write_json
from classifier.prepare import InputSpec
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from classifier.taxonomy import Taxonomy
from cli.main import app
from core.errors import ArtifactInvalid
from core.settings import PROJECT

SIDE = 16
TEMPERATURE = 3.0
TAXONOMY = Taxonomy.from_json(
    json.loads((PROJECT / "recipes/training/garments.labels.json").read_text("utf-8"))
).restricted_to(["dress", "shirt", "pants"])


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


def test_models_with_another_head_are_refused() -> None:
    model = colour_model()
    scores = model.output
    pooled = model.layers[-2].output
    joined = keras.layers.Dense(3, activation="softmax", name="joined")(pooled)
    hierarchical = keras.Model(model.input, keras.layers.Identity(name=SCORES)(joined))
    with pytest.raises(ArtifactInvalid, match="got a layer Identity"):
        calibrate_model(hierarchical, 2.0)
    sub_scores = keras.layers.Dense(3, activation="sigmoid", name=SUB_SCORES)(pooled)
    with pytest.raises(ArtifactInvalid, match="got 2 outputs"):
        calibrate_model(keras.Model(model.input, {SCORES: scores, SUB_SCORES: sub_scores}), 2.0)
