"""`python -m benchmarks.served_backbones [NAME ...]`: each backbone learns one epoch and answers through the service.

The pictures are synthetic K-Fashion, the networks are narrow and their pictures small. So this says that a backbone
works from the dataset to the answer, and not how good it is. It prints a line for each backbone, and fails at the first
answer whose scores do not sum to 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.service import Service, running_service
from classifier.learning.networks.catalogue import NAMED, find_entry
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"
PICTURES, SIZE, WIDTH = 92, 64, 0.125


def recipe_of(name: str) -> dict[str, Any]:
    """Return the recipe kfashion with another backbone, from random weights, for one epoch."""
    recipe: dict[str, Any] = yaml.safe_load((RECIPES / "kfashion.yaml").read_text("utf-8"))
    side = max(SIZE, find_entry(name).smallest)
    recipe |= {
        "name": name.replace("_", "-"),
        "backbone": name,
        "weights": "none",
        "width": WIDTH,
        "size": side,
        "crop_from": side,
        "batch": 8,
        "taxonomy": str(RECIPES / "kfashion.labels.json"),
    }
    recipe["fine_tune"] |= {"epochs": 1, "average": 0.0}
    return recipe


def run_cli(*words: str, home: Path) -> None:
    environment = {**os.environ, "LOOKBOOK_HOME": str(home)}
    subprocess.run(
        [sys.executable, "-m", "cli", *words], env=environment, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL
    )


def train(name: str, folder: Path, data: Path) -> float:
    """Train a backbone for one epoch, publish it, and return the seconds."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe_of(name)), "utf-8")
    started = time.perf_counter()
    run_cli(
        "train", "--data", str(data), "--recipe", str(path), "--models", str(folder / "models"), home=folder / "home"
    )
    return time.perf_counter() - started


def answer(service: Service, model: str, picture: Path) -> list[dict[str, Any]]:
    """Return the ranked labels of a picture from a model of the service."""
    sent = service.http.post(
        "/v1/classifications",
        files={"image": (picture.name, picture.read_bytes(), "image/jpeg")},
        data={"model": model, "top_k": "23"},
    )
    labels: list[dict[str, Any]] = sent.raise_for_status().json()["prediction"]["labels"]
    total = sum(label["score"] for label in labels)
    if len(labels) != 23 or abs(total - 1) > 1e-3:
        raise RuntimeError(f"{model}: expected 23 scores with the sum 1, got {len(labels)} with the sum {total}")
    return labels


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.served_backbones", description=__doc__)
    parser.add_argument("names", nargs="*", default=NAMED, metavar="name", help=f"default: {', '.join(NAMED)}")
    names = parser.parse_args().names
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = folder / "kfashion"
        run_cli(
            *("dataset", "synthesize", "--out", str(data), "--pictures", str(PICTURES), "--size", "96"),
            *("--imbalance", "0", "--leaks", "0"),
            home=folder / "home",
        )
        index = folder / "kfashion.arrow"
        run_cli("dataset", "check", str(data), "--index", str(index), home=folder / "home")
        seconds = {name: train(name, folder, index) for name in names}
        picture = next(path for path in data.rglob("*.jpg"))
        with running_service(LOOKBOOK_MODELS=str(folder / "models")) as service:
            for name in names:
                best = answer(service, name.replace("_", "-"), picture)[0]
                print(f"{name:20} trained in {seconds[name]:5.1f} s, answers {best['id']} {best['score']:.3f}")


if __name__ == "__main__":
    main()
