"""Teaching: the seconds of a fit, and held-out labels that are taught from 5 to 50 reviews each.

    python -m benchmarks.teaching --data ~/garments --partial six@1 --partial-models ~/models

The honest test: four of the ten garment labels are held out of the training of a backbone (`--partial`, a model of
the other six). Heads are then taught on its vectors, from 5, 10, 20 and 50 reviewed pictures of each of the four
labels, and from the vectors of training pictures of the other six. They are judged on the validation pictures of all
ten labels, which neither backbone nor head has seen.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from classifier.artifact import Artifact, find_artifact
from classifier.prepare import prepare
from classifier.runtime import answer
from classifier.runtime_openvino import OpenVinoRuntime
from classifier.teaching.curve import learning_curve
from classifier.teaching.fitting import Examples, Fitter, Reviewed
from core.types import ModelRef

HELD_OUT = ("hat", "outwear", "shirt", "skirt")
COUNTS = (5, 10, 20, 50)
KEPT = 1024
"""Training pictures of the six labels, as many as an artifact brings at most."""
DRAWS = 3
"""Different reviewed pictures of each count. The figures are means over them."""
_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Side:
    """The vectors, float32 [N, length], the labels [N] and the scores, float32 [N, labels], of a side of a dataset."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.str_]
    scores: NDArray[np.float32]


def read_side(artifact: Artifact, folder: Path) -> Side:
    """Return the answers of a model to the pictures of `<folder>/<label>/`."""
    files = sorted(folder.rglob("*.jpg"))
    runtime = OpenVinoRuntime(artifact)
    vectors, scores = [], []
    for start in range(0, len(files), _BLOCK):
        block = [prepare(file.read_bytes(), artifact.input).pixels for file in files[start : start + _BLOCK]]
        found = answer(runtime, np.stack(block))
        assert found.embeddings is not None, f"{artifact.ref} has no embedding"
        vectors.append(found.embeddings)
        scores.append(found.scores)
    runtime.close()
    labels = np.array([file.parent.name for file in files])
    return Side(np.concatenate(vectors), labels, np.concatenate(scores))


def held_out_accuracy(train: Side, unseen: Side, count: int, draw: int) -> dict[str, float]:
    """Return the accuracy on unseen pictures of a head that was taught `count` pictures of each held-out label."""
    random = np.random.default_rng(draw)
    names = sorted(set(unseen.labels.tolist()))
    numbers = {name: number for number, name in enumerate(names)}
    truth = np.array([numbers[name] for name in train.labels])
    reviewed = np.concatenate([random.permutation(np.flatnonzero(train.labels == label))[:count] for label in HELD_OUT])
    kept = random.permutation(np.flatnonzero(~np.isin(train.labels, HELD_OUT)))[:KEPT]
    fitter = Fitter(
        Reviewed(train.vectors[reviewed], truth[reviewed], np.arange(len(reviewed))),
        Examples(train.vectors[kept], truth[kept]),
        len(names),
    )
    predicted = fitter.fit().head.scores(unseen.vectors).argmax(axis=1)
    expected = np.array([numbers[name] for name in unseen.labels])
    held = np.isin(unseen.labels, HELD_OUT)
    right = predicted == expected
    return {"all": float(right.mean()), "held out": float(right[held].mean()), "others": float(right[~held].mean())}


def fit_seconds(train: Side, reviews: int) -> dict[str, float]:
    """Return the seconds of processor time and of wall time that a fit and its learning curve take."""
    names = sorted(set(train.labels.tolist()))
    truth = np.array([names.index(name) for name in train.labels])
    order = np.random.default_rng(0).permutation(len(truth))
    reviewed, kept = order[:reviews], order[reviews : reviews + KEPT]
    began, processor = time.monotonic(), time.process_time()
    fitter = Fitter(
        Reviewed(train.vectors[reviewed], truth[reviewed], np.arange(len(reviewed))),
        Examples(train.vectors[kept], truth[kept]),
        len(names),
    )
    fitted = fitter.fit()
    fit = time.monotonic() - began, time.process_time() - processor
    learning_curve(fitter, fitted)
    return {
        "fit": round(fit[0], 2),
        "fit, processor": round(fit[1], 2),
        "with the curve": round(time.monotonic() - began, 2),
        "with the curve, processor": round(time.process_time() - processor, 2),
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and validation/ of ten labels")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the full model")
    parser.add_argument("--full", default="garments@4", help="the model that was trained on all ten labels")
    parser.add_argument("--partial", help="the model whose backbone has not seen the held-out labels: name@version")
    parser.add_argument("--partial-models", type=Path, help="its folder of models")
    parser.add_argument("--reviews", type=int, default=1000, help="reviews of the timed fit")
    chosen = parser.parse_args()
    full = find_artifact(chosen.models, ModelRef.parse(chosen.full))
    result: dict[str, object] = {}
    with threadpool_limits(1):
        train, unseen = (read_side(full, chosen.data / side) for side in ("train", "validation"))
        result["seconds"] = fit_seconds(train, chosen.reviews)
        labels = np.array(full.taxonomy.label_ids)[unseen.scores.argmax(axis=1)]
        held = np.isin(unseen.labels, HELD_OUT)
        right = labels == unseen.labels
        result["trained on all"] = {"all": right.mean(), "held out": right[held].mean(), "others": right[~held].mean()}
        if chosen.partial:
            partial = find_artifact(chosen.partial_models or chosen.models, ModelRef.parse(chosen.partial))
            train, unseen = (read_side(partial, chosen.data / side) for side in ("train", "validation"))
            for count in COUNTS:
                draws = [held_out_accuracy(train, unseen, count, draw) for draw in range(DRAWS)]
                result[f"{count} reviews"] = {name: np.mean([one[name] for one in draws]) for name in draws[0]}
    print(json.dumps(result, indent=1, default=float))


if __name__ == "__main__":
    main()
