from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from classifier.artifact import Artifact
from classifier.learning.training.recipe import read_recipe
from classifier.runtime import predict
from classifier.runtime_openvino import OpenVinoRuntime
from classifier.runtimes import open_runtime
from cli.main import app
from core.errors import LookbookError
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKBOOK_HOME", str(tmp_path / "home"))


@pytest.fixture
def drawn_dataset(tmp_path: Path) -> Path:
    """Dresses that are red triangles and pants that are pairs of blue bars, which a model learns quickly."""
    for part, count in (("train", 12), ("validation", 4)):
        for number in range(count):
            for label in ("dress", "pants"):
                folder = tmp_path / "data" / part / label
                folder.mkdir(parents=True, exist_ok=True)
                picture = Image.new("RGB", (120, 160), "white")
                pen = ImageDraw.Draw(picture)
                if label == "dress":
                    pen.polygon([(60, 10 + number), (10, 150), (110, 150)], fill=(200, 30, 30))
                else:
                    for left in (20, 70):
                        pen.rectangle((left, 10 + number, left + 30, 150), fill=(30, 30, 160))
                picture.save(folder / f"{number}.jpg")
    return tmp_path / "data"


def test_a_trained_artifact_reproduces_its_metrics_and_can_be_quantized(drawn_dataset: Path, tmp_path: Path) -> None:
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"size": 64, "crop_from": 72, "batch": 8, "taxonomy": str(RECIPES / "garments.labels.json")}
    recipe["head"]["epochs"] = 2
    recipe["fine_tune"] |= {"epochs": 2, "from_block": 12, "size": 48}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    (drawn_dataset / "train" / "dress" / "broken.jpg").write_bytes(b"no picture")
    models = tmp_path / "models"
    done = CliRunner().invoke(
        app,
        ["train", "--data", str(drawn_dataset), "--recipe", str(tmp_path / "recipe.yaml"), "--models", str(models)],
    )
    assert done.exit_code == 0, (done.output, done.exception)
    artifact = Artifact.open(models / "garments" / "1")
    assert artifact.metrics["train_pictures"] == 24
    assert artifact.metrics["unreadable_files"] == 1
    assert len(artifact.metrics["curves"]["loss"]) == 2
    assert {path.name for path in artifact.folder.iterdir()} >= {"curves.png", "confusion.png", "card.md", "openvino"}
    evaluated = CliRunner(env={"LOOKBOOK_MODELS": str(models)}).invoke(
        app, ["evaluate", str(drawn_dataset / "validation"), "--json", "--predictions", str(tmp_path / "out.jsonl")]
    )
    assert evaluated.exit_code == 0, evaluated.output
    assert f'"accuracy": {artifact.metrics["accuracy"]}' in evaluated.output
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 8
    exported = CliRunner(env={"LOOKBOOK_MODELS": str(models), "COLUMNS": "200"}).invoke(
        app, ["models", "export", "garments@1", "--data", str(drawn_dataset), "--int8"]
    )
    assert exported.exit_code == 0, exported.output
    second = Artifact.open(models / "garments" / "2")
    check = second.metrics["precisions"]["int8"]
    assert check["pictures"] == 8
    assert f"| int8 | 8 | {check['flips']} |" in second.card
    assert second.card.startswith("# garments@2\n")
    assert {"int8.xml", "model.xml"} <= {path.name for path in (second.folder / "openvino").iterdir()}
    exact, quantized = open_runtime(second, "openvino"), OpenVinoRuntime(second, "int8")
    pixels = np.stack([np.asarray(Image.open(path).resize((64, 64))) for path in drawn_dataset.rglob("0.jpg")])
    assert 0 < np.abs(predict(exact, pixels) - predict(quantized, pixels)).max() < 0.5


def tiny_recipe(folder: Path, **changes: object) -> Path:
    """Write the recipe of the default model for pictures of 32 pixels, with other members."""
    recipe = yaml.safe_load((RECIPES / "garments.yaml").read_text("utf-8"))
    recipe |= {"size": 32, "crop_from": 36, "batch": 8, "taxonomy": str(RECIPES / "garments.labels.json")}
    recipe["fine_tune"] |= {"epochs": 1, "from_block": 3, "size": 32}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe | changes), "utf-8")
    return path


def train(data: Path, recipe: Path) -> Artifact:
    models = recipe.parent / "models"
    done = CliRunner().invoke(app, ["train", "--data", str(data), "--recipe", str(recipe), "--models", str(models)])
    assert done.exit_code == 0, (done.output, done.exception)
    return Artifact.open(models / "garments" / "1")


# Measuring coverage slows TensorFlow down. The training above and the tests of heads and weights cover these lines.
@pytest.mark.no_cover
def test_a_backbone_from_scratch_trains_with_a_hierarchical_head(drawn_dataset: Path, tmp_path: Path) -> None:
    head = {"kind": "hierarchical", "epochs": 1, "learning_rate": 1e-3}
    recipe = tiny_recipe(tmp_path, backbone="vgg16", weights="none", width=0.125, head=head)
    artifact = train(drawn_dataset, recipe)
    assert "the backbone started from random weights" in artifact.card
    scores = predict(open_runtime(artifact, "openvino"), np.zeros((1, 32, 32, 3), np.uint8))
    np.testing.assert_allclose(scores.sum(), 1.0, atol=1e-5)


@pytest.mark.no_cover
def test_a_backbone_from_a_file_trains_only_later_blocks_and_learns_sub_labels(
    drawn_dataset: Path, tmp_path: Path
) -> None:
    import keras

    from classifier.keras_graph import load_graph
    from classifier.learning.networks.registry import build_backbone

    source = build_backbone("vgg16", 32, 0.125, "none")
    keras.Model(source.pixels, source.features).save(tmp_path / "vgg16.keras")
    head = {"kind": "multi_label", "epochs": 1, "learning_rate": 1e-3}
    recipe = tiny_recipe(tmp_path, backbone="fashionnet", weights="vgg16.keras", width=0.125, head=head)
    without = CliRunner().invoke(app, ["train", "--data", str(drawn_dataset), "--recipe", str(recipe)])
    assert "expected the member sub_labels in some lines of manifest.jsonl, or sub-styles" in str(without.exception)
    rows = [
        {"file": f"{part}/dress/{number}.jpg", "label": "dress", "sub_labels": ["skirt"]}
        for part in ("train", "validation")
        for number in range(4)
    ]
    (drawn_dataset / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    artifact = train(drawn_dataset, recipe)
    assert "backbone weights: the file vgg16.keras" in artifact.card
    assert str(tmp_path) not in artifact.card
    network, start = load_graph(artifact.folder), keras.Model(source.pixels, source.features)

    def changed(layer: str) -> bool:
        before, after = (model.get_layer(layer).get_weights()[0] for model in (start, network))
        # The published weights have the precision of float16.
        return not np.array_equal(before.astype(np.float16), after)

    # Blocks are numbered from 0, and from_block is 3.
    names = ["block1_conv1", "block3_conv3", "block4_conv1", "block5_conv1"]
    assert [changed(name) for name in names] == [False, False, True, True]
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    assert network.predict_on_batch(pixels)["sub_scores"].shape == (1, 10)
    assert predict(open_runtime(artifact, "tensorflow"), pixels).shape == (1, 10)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"backbone": "resnet51"}, "expected a backbone among"),
        ({"backbone": "inception_v4_small", "size": 96, "crop_from": 96}, "no ImageNet weights of inception_v4_small"),
        ({"width": 0.5}, "fit width 1 only"),
        ({"head": {"kind": "flat", "epochs": 1, "learning_rate": 0.1}}, "head.kind: Input should be 'straight'"),
    ],
)
def test_a_recipe_for_a_network_that_cannot_be_built_is_refused(
    changes: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(LookbookError, match=rf"recipe\.yaml: .*{reason}"):
        read_recipe(tiny_recipe(tmp_path, **changes))


def test_an_older_spelling_of_a_backbone_is_accepted(tmp_path: Path) -> None:
    recipe, _ = read_recipe(tiny_recipe(tmp_path, backbone="efficientnet-lite0"))
    assert recipe.backbone == "efficientnet_lite0"
