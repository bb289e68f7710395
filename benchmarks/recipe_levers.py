"""`python -m benchmarks.recipe_levers --data DIR --split CSV --out DIR`: which part of a recipe gives what.

It trains the prototype's procedure, and then adds one part of the recipe `kfashion` after the other. Parts that the
recipe lacks are tried alone. All recipes see each picture equally often. A run that is already in `--out` is not
repeated, so the command continues after a kill. `--only 8 9` runs two of the steps, which are numbered from 0. The
table that it prints is that of docs/recipes/comparison.md.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from classifier.learning.networks.registry import build_backbone
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"
EPOCHS, HEAD_EPOCHS = 12, 4
SIZE = 96
PROTOTYPE_WIDTH = 0.5
FIGURES = ("macro_f1", "balanced_accuracy", "accuracy", "recall_at_3", "group_accuracy", "calibration_error")

Changes = dict[str, Any]
"""Members of a recipe, with those of its parts."""


@dataclass(frozen=True, slots=True)
class Step:
    """A recipe as its difference from the recipe of the step before, or from the prototype if it `starts` a ladder.

    A step that is `alone` leaves the recipe as it was: the next step changes the same one.
    """

    title: str
    changes: Changes
    starts: bool = False
    alone: bool = False


def prototype() -> dict[str, Any]:
    """Return the recipe prototype-vgg19 at this benchmark's size and number of epochs."""
    recipe: dict[str, Any] = yaml.safe_load((RECIPES / "prototype-vgg19.yaml").read_text("utf-8"))
    recipe |= {"size": SIZE, "crop_from": SIZE, "taxonomy": str(RECIPES / "kfashion.labels.json"), "name": "levers"}
    recipe["head"] |= {"epochs": EPOCHS, "schedule": {"kind": "halving", "every": EPOCHS // 3}}
    return recipe


def steps(weights: Path) -> Iterator[Step]:
    """Yield the recipes. `weights` is a folder for files of random weights."""
    kfashion: dict[str, Any] = yaml.safe_load((RECIPES / "kfashion.yaml").read_text("utf-8"))
    lite = {"backbone": "efficientnet_lite0"}
    longer = {"epochs": 10 * EPOCHS, "schedule": {"kind": "halving", "every": 10 * EPOCHS // 3}}
    yield Step("the prototype's procedure on EfficientNet-Lite0, ten times as long", lite | {"head": longer}, True)
    yield Step("the prototype's procedure on EfficientNet-Lite0", lite, True)
    yield Step("+ the backbone's own preprocessing", {"preprocessing": "own"})
    straight = {"kind": "straight", "dropout": 0.2, "learning_rate": 1e-3, "schedule": {"kind": "constant"}}
    yield Step("+ pooled features, a tenth of the learning rate, dropout", {"head": straight})
    second = {key: kfashion["fine_tune"][key] for key in ("from_block", "learning_rate", "schedule")}
    yield Step(
        "+ a second phase that trains the backbone from block 3 on",
        {
            "optimizer": kfashion["optimizer"],
            "head": {"epochs": HEAD_EPOCHS},
            "fine_tune": second | {"epochs": EPOCHS - HEAD_EPOCHS},
        },
    )
    yield Step("+ crops, flips, changes of colour", {"crop_from": SIZE * 9 // 8, "augment": kfashion["augment"]})
    yield Step(
        "+ square-root sampler, logit adjustment: the recipe kfashion on EfficientNet-Lite0",
        {"sampler": kfashion["sampler"], "loss": {"logit_adjustment": kfashion["loss"]["logit_adjustment"]}},
    )
    # These parts were left out of the recipe, because they gave nothing here.
    smooth = {"loss": {"label_smoothing": 0.1}, "fine_tune": {"average": 0.99}}
    mix = {"mix": {"mixup": {"chance": 0.3, "alpha": 0.2}, "cutmix": {"chance": 0.3, "alpha": 1.0}}}
    grouped = {"head": {"kind": "hierarchical"}}
    yield Step("… + label smoothing, averaged weights", smooth, alone=True)
    yield Step("… + mixup and CutMix", mix, alone=True)
    yield Step("… + hierarchical head", grouped, alone=True)
    yield Step("… + all three", smooth | mix | grouped, alone=True)
    yield Step("+ EfficientNet-Lite2: the recipe kfashion", {"backbone": kfashion["backbone"]})
    for backbone in ("vgg19", "resnet50"):
        name = f"prototype-{backbone}, random weights, width {PROTOTYPE_WIDTH:g}"
        path = str(weights / f"{backbone}.keras")
        yield Step(name, {"backbone": backbone, "width": PROTOTYPE_WIDTH, "weights": path}, starts=True)


def changed(recipe: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """Return a recipe with changes. Objects are changed member by member, unless their kind changes."""
    result = copy.deepcopy(recipe)
    for key, value in changes.items():
        inner = result.get(key)
        if key == "schedule" or not (isinstance(value, dict) and isinstance(inner, dict)):
            result[key] = value
        else:
            result[key] = changed(inner, value)
    return result


def train(recipe: dict[str, Any], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train a recipe in a process of its own, and return the record of its run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False), "utf-8")
    command = [sys.executable, "-m", "cli", "train", "--data", options.data, "--recipe", str(folder / "recipe.yaml")]
    command += ["--models", str(folder / "models"), *(["--split", options.split] if options.split else [])]
    environment = {**os.environ, "LOOKBOOK_HOME": str(options.out / "home")}
    before = set((options.out / "home" / "runs").glob("*"))
    subprocess.run(command, env=environment, cwd=PROJECT, check=True)
    (run,) = set((options.out / "home" / "runs").glob("*")) - before
    record: dict[str, Any] = json.loads((run / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps(record), "utf-8")
    return record


def save_random_weights(folder: Path) -> None:
    """Write a file of random weights for each backbone of the prototype, because a frozen backbone needs a file."""
    import keras

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("vgg19", "resnet50"):
        if not (folder / f"{name}.keras").exists():
            keras.utils.set_random_seed(1)
            backbone = build_backbone(name, SIZE, PROTOTYPE_WIDTH, "none")
            keras.Model(backbone.pixels, backbone.features).save(folder / f"{name}.keras")


def table_row(title: str, record: dict[str, Any]) -> str:
    metrics = record["metrics"]
    low, high = metrics["intervals"]["macro_f1"]
    figures = [f"{metrics[name]:.3f}" for name in FIGURES]
    figures[0] += f" ({low:.3f}–{high:.3f})"
    return f"| {title} | {' | '.join(figures)} | {record['cost']['cpu_seconds']:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipe_levers", description=__doc__)
    parser.add_argument("--data", required=True, help="a dataset of lookbook dataset synthesize, or its index")
    parser.add_argument("--split", help="the file of lookbook dataset split")
    parser.add_argument("--out", type=Path, required=True, help="folder for recipes, runs and models")
    parser.add_argument("--only", type=int, nargs="+", metavar="STEP", help="numbers of steps; the default is all")
    options = parser.parse_args()
    save_random_weights(options.out / "weights")
    recipe, rows = prototype(), []
    for number, step in enumerate(steps(options.out / "weights")):
        changed_recipe = changed(prototype() if step.starts else recipe, step.changes)
        recipe = recipe if step.alone else changed_recipe
        if options.only and number not in options.only:
            continue
        folder = options.out / f"{number:02}"
        done = folder / "run.json"
        record = json.loads(done.read_text("utf-8")) if done.exists() else train(changed_recipe, options, folder)
        rows.append(table_row(step.title, record))
        print(rows[-1], flush=True)
    print("\n".join(["", "| recipe | macro-F1 | balanced | top-1 | recall@3 | groups | ECE | CPU s |", *rows]))


if __name__ == "__main__":
    main()
