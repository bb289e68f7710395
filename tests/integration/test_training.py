from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from classifier.artifact import Artifact
from classifier.runtime import predict
from classifier.runtime_openvino import OpenVinoRuntime
from classifier.runtimes import open_runtime
from cli.main import app
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"


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
    recipe["head"]["epochs"] = 5
    recipe["fine_tune"]["epochs"] = 2
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
