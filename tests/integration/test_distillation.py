"""Training with teachers: networks that learn the scores of finished models."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from classifier.artifact import Artifact
from classifier.learning.training.distillation import Teachers
from classifier.learning.training.recipe import read_recipe
from classifier.learning.training.recipe_parts import Distill
from classifier.runtime import predict
from classifier.runtimes import open_runtime
from cli.main import app
from core.errors import LookbookError
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"
COLOURS = {"dress": (200, 30, 30), "pants": (30, 30, 160)}
LABELS = 10
PLAIN = {
    "augment": {},
    "mix": {},
    "loss": {},
    "fine_tune": {"from_block": 0, "epochs": 12, "learning_rate": 1e-3},
    "seed": 1,
}
"""Members of a recipe that learns a few pictures by heart."""

# Measuring coverage slows TensorFlow down. The tests of training cover these lines.
pytestmark = pytest.mark.no_cover


def write_recipe(path: Path, **changes: object) -> Path:
    """Write the recipe of the default model for a small network and pictures of 32 pixels, with other members."""
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"backbone": "vgg16", "weights": "none", "width": 0.125, "size": 32, "crop_from": 36, "batch": 8}
    recipe |= {"taxonomy": str(RECIPES / "garments.labels.json"), "name": path.stem}
    recipe["fine_tune"] |= {"epochs": 1, "from_block": 0, "size": 32, "average": 0.0}
    path.write_text(yaml.safe_dump(recipe | changes), "utf-8")
    return path


def train(data: Path, recipe: Path) -> Artifact:
    models = recipe.parent / "models"
    done = CliRunner().invoke(app, ["train", "--data", str(data), "--recipe", str(recipe), "--models", str(models)])
    assert done.exit_code == 0, (done.output, done.exception)
    return Artifact.open(models / recipe.stem / "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, and with two models that were trained on it: `pooled` knows it well, `flat` hardly."""
    path = tmp_path_factory.mktemp("distillation")
    for part in ("train", "validation"):
        for label, colour in COLOURS.items():
            (path / "data" / part / label).mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (40, 40), (*colour[:2], colour[2] + number)).save(
                    path / "data" / part / label / f"{number}.png"
                )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKBOOK_HOME", str(path / "home"))
        train(path / "data", write_recipe(path / "pooled.yaml", **PLAIN))
        flat = {"kind": "flatten", "epochs": 1, "learning_rate": 1e-3}
        train(path / "data", write_recipe(path / "flat.yaml", head=flat))
    return path


def student(folder: Path, **changes: Any) -> Path:
    return write_recipe(folder / "student.yaml", **changes)


def teachers_of(folder: Path, distill: dict[str, Any]) -> Teachers:
    recipe, taxonomy = read_recipe(student(folder, distill=distill))
    assert isinstance(recipe.distill, Distill)
    return Teachers(recipe, recipe.distill, taxonomy)


def scores_of(folder: Path, name: str, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return predict(open_runtime(Artifact.open(folder / "models" / name / "1"), "openvino"), pixels)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_targets_are_blended_with_the_mean_of_the_scores_of_the_teachers(folder: Path, temperature: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    wanted = np.eye(LABELS, dtype=np.float32)[[0, 3, 3, 9]]
    options = {"teachers": ["models/pooled/1", "models/flat/1"], "share": 0.25, "temperature": temperature}
    powers = np.stack([scores_of(folder, name, pixels) for name in ("pooled", "flat")]) ** (1.0 / temperature)
    scores = (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=0)
    blended = teachers_of(folder, options).targets(pixels, wanted)
    np.testing.assert_allclose(blended, 0.75 * wanted + 0.25 * scores, atol=2e-3)


def test_targets_of_sub_labels_stay_as_they_are(folder: Path) -> None:
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    wanted = np.random.default_rng(0).random((2, 2 * LABELS), np.float32)
    blended = np.asarray(teachers_of(folder, {"teachers": ["models/pooled/1"], "share": 1.0}).targets(pixels, wanted))
    np.testing.assert_allclose(blended[:, :LABELS], scores_of(folder, "pooled", pixels), atol=2e-3)
    np.testing.assert_array_equal(blended[:, LABELS:], wanted[:, LABELS:])


@pytest.mark.parametrize(
    ("name", "difference"),
    # The padding of convolutions covers less of a larger picture. A network for one side gets a smaller picture.
    [("pooled", 0.1), ("flat", 2e-3)],
)
def test_a_teacher_judges_pictures_of_another_side(folder: Path, name: str, difference: float) -> None:
    tuning = yaml.safe_load((folder / "pooled.yaml").read_text("utf-8"))["fine_tune"] | {"size": 64}
    distill = {"teachers": [f"models/{name}/1"], "share": 1.0}
    recipe, taxonomy = read_recipe(student(folder, distill=distill, fine_tune=tuning, crop_from=64))
    assert recipe.distill is not None
    pixels = np.full((1, 64, 64, 3), (200, 30, 30), np.uint8)
    targets = Teachers(recipe, recipe.distill, taxonomy).targets(pixels, np.zeros((1, LABELS), np.float32))
    np.testing.assert_allclose(targets, scores_of(folder, name, pixels[:, :32, :32]), atol=difference)


def test_a_network_learns_what_its_teacher_says_instead_of_the_labels(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKBOOK_HOME", str(tmp_path / "home"))
    swapped = shutil.copytree(folder / "data", tmp_path / "data")
    (swapped / "train" / "dress").rename(swapped / "train" / "other")
    (swapped / "train" / "pants").rename(swapped / "train" / "dress")
    (swapped / "train" / "other").rename(swapped / "train" / "pants")
    distill = {"teachers": [str(folder / "models" / "pooled" / "1")], "share": 1.0}
    learned = train(swapped, write_recipe(tmp_path / "student.yaml", distill=distill, **PLAIN))
    teacher = Artifact.open(folder / "models" / "pooled" / "1")
    assert (teacher.metrics["accuracy"], learned.metrics["accuracy"]) == (1.0, 1.0)
    assert "- pooled@1\n" in learned.card
    assert str(folder) not in learned.card


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"taxonomy": str(RECIPES / "kfashion.labels.json")}, "the teacher pooled@1 has other labels: expected retro"),
        ({"input": {"view": "crop"}}, "the teacher pooled@1 has another input: expected the view crop"),
        ({"distill": {"teachers": ["models/nobody/1"]}}, "models/nobody/1"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(folder: Path, changes: dict[str, Any], reason: str) -> None:
    recipe, taxonomy = read_recipe(student(folder, **{"distill": {"teachers": ["models/pooled/1"]}, **changes}))
    assert recipe.distill is not None
    with pytest.raises(LookbookError, match=reason):
        Teachers(recipe, recipe.distill, taxonomy)


def test_teachers_need_the_second_phase(folder: Path) -> None:
    path = student(folder, distill={"teachers": ["models/pooled/1"]}, fine_tune=None, augment={}, mix={})
    with pytest.raises(LookbookError, match="distill belong to the phase fine_tune: expected fine_tune"):
        read_recipe(path)
