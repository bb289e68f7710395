"""Training runs: killed and continued, on several devices, in mixed precision, and what their folders say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image, ImageDraw
from tensorflow.core.util import event_pb2
from typer.testing import CliRunner, Result

from classifier.artifact import SCORES, Artifact
from classifier.keras_graph import load_graph
from classifier.learning.networks.heads import HeadOptions, add_head
from classifier.learning.networks.registry import build_backbone
from classifier.learning.training.devices import use_precision
from classifier.learning.training.recipe import read_recipe
from classifier.learning.training.recipe_parts import Precision
from classifier.learning.training.run_folder import RunFolder
from cli.main import app
from core.errors import RunInvalid, RunUnknown
from core.settings import PROJECT

GARMENTS = PROJECT / "recipes" / "training" / "garments.yaml"
RECIPE: dict[str, Any] = {
    "name": "tiny",
    "backbone": "vgg16",
    "weights": "vgg16.keras",
    "width": 0.125,
    "taxonomy": str(GARMENTS.with_name("garments.labels.json")),
    "data": {"title": "drawn garments", "source": "this test", "licence": "none", "limits": "They are drawn."},
    "size": 32,
    "crop_from": 32,
    "seed": 1,
    "batch": 4,
    "head": {"epochs": 2, "learning_rate": 1e-3},
    # Only the last block is trained, because compiling the steps of more layers takes long.
    "fine_tune": {"from_block": 4, "epochs": 2, "learning_rate": 1e-2, "average": 0.5},
    "augment": {"area": 0.6, "flip": True},
    "mix": {"mixup": {"max_share": 0.2}},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with drawn pictures, and with weights of a small VGG16 to start from."""
    folder = tmp_path_factory.mktemp("runs")
    for side, count in (("train", 12), ("validation", 4)):
        for number in range(count):
            for label, colour in (("dress", (200, 30, 30)), ("pants", (30, 30, 160))):
                path = folder / "data" / side / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = Image.new("RGB", (32, 32), "white")
                ImageDraw.Draw(picture).rectangle((6, number, 24, 30), fill=colour)
                picture.save(path)
    keras.utils.set_random_seed(1)
    source = build_backbone("vgg16", 32, 0.125, "none")
    keras.Model(source.pixels, source.features).save(folder / "vgg16.keras")
    return folder


def recipe_in(place: Path, name: str, **changes: object) -> Path:
    path = place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(RECIPE | changes), "utf-8")
    return path


def lookbook(home: Path, *arguments: object) -> Result:
    env = {"LOOKBOOK_HOME": str(home), "LOOKBOOK_MODELS": str(home / "models"), "COLUMNS": "200"}
    return CliRunner(env=env).invoke(app, [str(argument) for argument in arguments])


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.integration.training_processes", *map(str, arguments)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, env=env)


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Return the values that TensorBoard shows, by name and step."""
    found: dict[str, dict[int, float]] = {}
    for record in tf.data.TFRecordDataset([str(path) for path in folder.iterdir()]):
        event = event_pb2.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "scalars"
            found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_a_killed_run_continues_with_the_same_batches_and_ends_with_the_same_weights(place: Path) -> None:
    recipe, home = recipe_in(place, "killed"), place / "killed"
    killed = process("killed", home, place / "data", recipe, "fine-tuning", 5)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (record,) = RunFolder.list(home)
    assert (record.state, record.published, record.ended_at) == ("interrupted", None, None)
    added = place / "data" / "train" / "dress" / "new.png"
    Image.new("RGB", (32, 32), "green").save(added)
    changed = lookbook(home, "train", "--resume", record.id)
    assert "the pictures are not those with which" in str(changed.exception)
    added.unlink()
    resumed = lookbook(home, "train", "--resume", record.id)
    assert resumed.exit_code == 0, (resumed.output, resumed.exception)
    whole = lookbook(home, "train", "--data", place / "data", "--recipe", recipe)
    assert whole.exit_code == 0, (whole.output, whole.exception)
    after_kill, uninterrupted = (Artifact.open(home / "models" / "tiny" / version) for version in ("1", "2"))
    pairs = zip(load_graph(after_kill.folder).weights, load_graph(uninterrupted.folder).weights, strict=True)
    for one, other in pairs:
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert after_kill.metrics["curves"] == uninterrupted.metrics["curves"]
    again = lookbook(home, "train", "--resume", record.id)
    assert isinstance(again.exception, RunInvalid)
    assert "is finished: it published tiny@1" in str(again.exception)
    check_the_folder_of_the_finished_run(home, uninterrupted)


def check_the_folder_of_the_finished_run(home: Path, artifact: Artifact) -> None:
    record = RunFolder.list(home)[0]
    assert (record.state, record.model, record.published) == ("finished", "tiny", str(artifact.ref))
    assert record.ended_at is not None
    assert record.ended_at >= record.started_at
    assert record.recipe["fine_tune"]["average"] == 0.5
    assert (record.data.title, record.data.hash) == ("drawn garments", artifact.metrics["data_hash"])
    assert (record.data.training_pictures, record.data.validation_pictures) == (24, 8)
    assert record.metrics == artifact.metrics
    assert record.cost.seconds > 0
    folder = RunFolder.find(home, record.id)
    assert not folder.checkpoint.exists()
    curves = scalars(folder.tensorboard)
    # 24 pictures in batches of 4 are 6 steps, for 2 epochs in each phase.
    assert list(curves["head/validation_accuracy"]) == [6, 12]
    assert list(curves["fine-tuning/epoch_loss"].values()) == pytest.approx(artifact.metrics["curves"]["loss"])
    assert curves["fine-tuning/learning_rate"][10] == pytest.approx(1e-2)


def test_a_run_without_fine_tuning_trains_only_its_head(place: Path) -> None:
    home = place / "head"
    head = {"kind": "flatten", "dropout": 0.0, "epochs": 2, "learning_rate": 0.01}
    schedule = {"kind": "halving", "every": 1}
    recipe = recipe_in(
        place,
        "head",
        head=head | {"schedule": schedule},
        fine_tune=None,
        augment={},
        mix={},
        preprocessing="none",
        optimizer={"kind": "adam"},
    )
    done = lookbook(home, "train", "--data", place / "data", "--recipe", recipe)
    assert done.exit_code == 0, (done.output, done.exception)
    artifact = Artifact.open(home / "models" / "tiny" / "1")
    start, trained = keras.saving.load_model(place / "vgg16.keras"), load_graph(artifact.folder)
    before, after = (model.get_layer("block5_conv3").kernel.numpy() for model in (start, trained))
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-6)
    assert len(artifact.metrics["curves"]["validation_accuracy"]) == 2
    assert "preprocessing: none" in artifact.card


def test_two_devices_train_as_one_does(place: Path) -> None:
    # Dropout draws for each device on its own, and a schedule of AdamW would magnify rounding.
    head = {"epochs": 1, "dropout": 0.0, "learning_rate": 1e-2}
    changes = {"head": head, "optimizer": {"kind": "sgd"}, "batch": 8, "augment": {}, "mix": {}}
    recipe = recipe_in(place, "devices", **changes)
    done = process("devices", place / "on devices", place / "data", recipe)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    one, two = found["losses"]
    np.testing.assert_allclose(one, two, rtol=1e-4)
    assert found["difference"] < 1e-4


def test_mixed_precision_trains_a_graph_that_is_published_in_float32(place: Path) -> None:
    home = place / "precise"
    changes = {"precision": "mixed_float16", "head": RECIPE["head"] | {"epochs": 1}, "augment": {}, "mix": {}}
    done = lookbook(home, "train", "--data", place / "data", "--recipe", recipe_in(place, "precise", **changes))
    assert done.exit_code == 0, (done.output, done.exception)
    artifact = Artifact.open(home / "models" / "tiny" / "1")
    assert {layer.compute_dtype for layer in load_graph(artifact.folder).layers} <= {"float32", "uint8"}
    assert np.isfinite(artifact.metrics["curves"]["loss"]).all()


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_only_the_backbone_computes_in_a_mixed_precision(precision: Precision) -> None:
    backbone = build_backbone("vgg16", 32, 0.125, "none")
    model = add_head(backbone, HeadOptions("straight", 0.0, 1, 1), read_recipe(GARMENTS)[1], "tiny")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    exact = model.predict_on_batch(pixels)
    use_precision(model, precision)
    assert model.get_layer("block1_conv1").compute_dtype == precision.removeprefix("mixed_")
    assert model.get_layer(SCORES).compute_dtype == "float32"
    rounded = model(pixels).numpy()
    assert rounded.dtype == np.float32
    assert not np.array_equal(rounded, exact)
    np.testing.assert_allclose(rounded, exact, atol=0.02)


def test_a_run_that_cannot_continue_says_why(place: Path) -> None:
    home = place / "refused"
    assert isinstance(lookbook(home, "train", "--resume", "tiny-1").exception, RunUnknown)
    both = lookbook(home, "train", "--resume", "tiny-1", "--name", "other")
    assert both.exit_code == 2
    assert "expected no other option" in both.output
    neither = lookbook(home, "train")
    assert neither.exit_code == 2
    assert "expected a dataset, or --resume" in neither.output


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fine_tune": None}, "augment, mix and distill belong to the phase fine_tune"),
        ({"fine_tune": None, "augment": {}, "mix": {}, "weights": "none"}, "does not train a backbone with random"),
        ({"mix": {"mixup": {}}}, "expected either alpha or max_share"),
        ({"mix": {"mixup": {"alpha": 1, "chance": 0.6}, "cutmix": {}}}, "sum to 1 at most, got 0.6 \\+ 0.5"),
        ({"optimizer": {"momentum": 0.9}}, "expected the kind sgd, got adamw"),
        ({"optimizer": {"kind": "adam", "weight_decay": 0.1}}, "expected the kind adamw"),
        ({"sampler": "even"}, "Input should be 'natural', 'square_root' or 'balanced'"),
        ({"loss": {"class_balance": 1.0}}, "loss.class_balance: Input should be less than 1"),
        ({"backbone": "efficientnet_b0", "preprocessing": "none"}, "the preprocessing of efficientnet_b0 is a part"),
        ({"head": {"epochs": 1, "learning_rate": 1, "schedule": {"kind": "step"}}}, "head.schedule: .*'halving'"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(place: Path, changes: dict[str, object], reason: str) -> None:
    recipe = recipe_in(place, "refused", **changes)
    done = lookbook(place, "train", "--data", place / "data", "--recipe", recipe)
    assert done.exception is not None
    with pytest.raises(type(done.exception), match=reason):
        raise done.exception
