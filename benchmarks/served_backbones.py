"""`python -m benchmarks.served_backbones [NAME ...]`: each backbone learns one epoch and answers through the service.

The pictures are synthetic K-Fashion, the networks are narrow and their pictures small. So this says that a backbone
works from the dataset to the answer, and not how good it is. The service is asked for the backbones in turn. The table
goes into docs/backbones.md. The command fails at the first answer whose scores do not sum to 1.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.service import Service, running_service
from classifier.learning.networks.catalogue import NAMED, find_entry
from core.settings import PROJECT

RECIPES = PROJECT / "recipes" / "training"
PICTURES, SIZE, WIDTH = 92, 64, 0.125
REQUESTS = 6


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
    """Train a backbone for one epoch, publish it, and return the seconds of processor time."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe_of(name)), "utf-8")
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_cli(
        "train", "--data", str(data), "--recipe", str(path), "--models", str(folder / "models"), home=folder / "home"
    )
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime


def answer(service: Service, model: str, picture: Path) -> float:
    """Ask a model of the service for a picture, and return the seconds until the answer."""
    started = time.perf_counter()
    sent = service.http.post(
        "/v1/classifications",
        files={"image": (picture.name, picture.read_bytes(), "image/jpeg")},
        data={"model": model, "top_k": "23"},
    )
    seconds = time.perf_counter() - started
    labels: list[dict[str, Any]] = sent.raise_for_status().json()["prediction"]["labels"]
    total = sum(label["score"] for label in labels)
    if len(labels) != 23 or abs(total - 1) > 1e-3:
        raise RuntimeError(f"{model}: expected 23 scores with the sum 1, got {len(labels)} with the sum {total}")
    return seconds


def answer_in_turn(service: Service, names: Sequence[str], pictures: Sequence[Path]) -> dict[str, float]:
    """Return the median seconds of each backbone over the pictures.

    The first picture is not counted, because the worker loads the model for it. A picture that was classified before
    would be answered from the database, so each is sent once.
    """
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for picture in pictures:
        for name in names:
            seconds[name].append(answer(service, name.replace("_", "-"), picture))
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


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
        trained = {name: train(name, folder, index) for name in names}
        pictures = sorted(data.rglob("*.jpg"))[:REQUESTS]
        with running_service(LOOKBOOK_MODELS=str(folder / "models")) as service:
            answered = answer_in_turn(service, names, pictures)
    print("| backbone | side of the pictures | training and export, core s | an answer, ms |\n|---|---|---|---|")
    for name in names:
        side = recipe_of(name)["size"]
        print(f"| `{name}` | {side} | {trained[name]:.0f} | {1000 * answered[name]:.0f} |")


if __name__ == "__main__":
    main()
