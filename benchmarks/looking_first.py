"""`python -m benchmarks.looking_first --validation DIR [--train DIR]`: how well trust and hints find what they promise.

DIR has a folder of photographs for each label. The model must not have learned from those in `--validation`. `--train`
adds photographs of garments to those among which other things are looked for. docs/trust.md and docs/hints.md have the
figures. The model is garments, or `--model NAME@VERSION`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.strange_pictures import strange_pictures
from classifier import hints
from classifier.artifact import Artifact, list_artifacts
from classifier.hints import Reference
from classifier.prepare import prepare
from classifier.runtime import Answers, answer, joined
from classifier.runtimes import open_runtime
from core import trust
from core.settings import PROJECT
from core.trust import BINS, Judged

TARGET = 0.98
TRIALS = 200
"""Random halves, and random sets of planted wrong labels."""
PLANTED, LOOKED_AT = 0.03, 0.05
"""The share of wrong labels, and the share of the order that is looked at."""
STRANGE = 200
"""Pictures without a garment."""
_BLOCK = 64

Labels = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looking_first", description=__doc__)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--model", default="garments")
    options = parser.parse_args()
    artifact = _artifact(options.model)
    ids = [label.id for label in artifact.taxonomy.labels]
    files, labels = _files(options.validation, ids)
    runtime = open_runtime(artifact)

    def answers_to(pictures: Iterable[bytes]) -> Answers:
        pixels = (prepare(data, artifact.input).pixels for data in pictures)
        return joined([answer(runtime, np.stack(block)) for block in _blocks(pixels)])

    found = answers_to(path.read_bytes() for path in files)
    print(f"{artifact.ref}: {len(files)} photographs, {(found.scores.argmax(axis=1) == labels).mean():.1%} right")
    _trust(found.scores, labels)
    _mislabelled(found.scores, labels)
    known = artifact.reference()
    if known is None or found.embeddings is None:
        print("the model has no vectors of its training pictures")
        return
    reference = Reference(known.train_embeddings, known.train_labels, known.validation_embeddings)
    _surprise(reference, found, labels)
    strange = answers_to(strange_pictures(STRANGE)).embeddings
    garments = [found.embeddings]
    if options.train is not None:
        others = answers_to(path.read_bytes() for path in _files(options.train, ids)[0]).embeddings
        assert others is not None
        garments.append(others)
    assert strange is not None
    for count in range(1, len(garments) + 1):
        _unknown(reference, np.concatenate(garments[:count]), strange)
    runtime.close()


def _artifact(model: str) -> Artifact:
    artifacts = list_artifacts(PROJECT / "models")
    return [one for one in artifacts if model in (str(one.ref), one.ref.name)][-1]


def _files(folder: Path, ids: list[str]) -> tuple[list[Path], Labels]:
    files = [path for label in ids for path in sorted((folder / label).glob("*.jpg"))]
    return files, np.array([ids.index(path.parent.name) for path in files], np.int64)


def _blocks(pixels: Iterator[NDArray[np.uint8]]) -> Iterator[list[NDArray[np.uint8]]]:
    block: list[NDArray[np.uint8]] = []
    for one in pixels:
        block.append(one)
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _trust(scores: NDArray[np.float32], labels: Labels) -> None:
    """Estimate from one half, and accept in the other one, whose answers the estimate does not know."""
    bins = np.array([trust.bin_of(float(score)) for score in scores.max(axis=1)])
    right = scores.argmax(axis=1) == labels

    def judged(rows: Labels) -> Judged:
        return Judged(
            np.bincount(bins[rows], minlength=BINS).astype(np.int64),
            np.bincount(bins[rows][right[rows]], minlength=BINS).astype(np.int64),
        )

    outcomes = []
    for trial in range(TRIALS):
        order = np.random.default_rng(trial).permutation(len(labels))
        known, unseen = order[: len(order) // 2], order[len(order) // 2 :]
        estimate = trust.find_threshold(judged(known), judged(unseen).pictures, TARGET)
        if estimate is None:
            continue
        accepted = bins[unseen] >= estimate.threshold * BINS
        precision = float(right[unseen][accepted].mean())
        inside = estimate.low <= precision <= estimate.high
        outcomes.append((accepted.mean(), precision, estimate.precision, inside))
    share, precision, estimated, inside = np.array(outcomes, float).T
    low, high = np.quantile(share, (0.05, 0.95))
    print(
        f"trust, target {TARGET:.0%}, {len(outcomes)} of {TRIALS} halves: {share.mean():.1%} of the unseen half "
        f"accepted ({low:.1%} to {high:.1%}), {precision.mean():.1%} right ({estimated.mean():.1%} were estimated), "
        f"within the interval in {inside.mean():.0%} of the halves"
    )


def _mislabelled(scores: NDArray[np.float32], labels: Labels) -> None:
    looked_at = round(LOOKED_AT * len(labels))
    shares = []
    for trial in range(TRIALS):
        random = np.random.default_rng(trial)
        given = labels.copy()
        planted = random.choice(len(labels), round(PLANTED * len(labels)), replace=False)
        given[planted] = (labels[planted] + random.integers(1, scores.shape[1], len(planted))) % scores.shape[1]
        quality, _ = hints.label_quality(scores, given)
        shares.append(np.isin(planted, np.argsort(quality, kind="stable")[:looked_at]).mean())
    low = np.quantile(shares, 0.05)
    print(
        f"mislabelled: of {PLANTED:.0%} planted wrong labels, {np.mean(shares):.1%} are in the first {LOOKED_AT:.0%} "
        f"(at least {low:.0%} in 95% of {TRIALS} trials)"
    )


def _surprise(reference: Reference, found: Answers, labels: Labels) -> None:
    predicted = found.scores.argmax(axis=1)
    wrong = predicted != labels
    embeddings: NDArray[Any] = np.asarray(found.embeddings)
    agreement, _ = reference.compare(embeddings, predicted)
    by_votes, by_margin = _area(wrong, -agreement), _area(wrong, -hints.margins(found.scores))
    print(f"wrong predictions first, area under the ROC curve: surprise {by_votes:.3f}, doubt {by_margin:.3f}")


def _area(is_positive: NDArray[np.bool_], values: NDArray[Any]) -> float:
    """Return the area under the ROC curve: how often a positive has a larger value than a negative (Mann-Whitney U)."""
    ranks, positives = rankdata(values), int(is_positive.sum())
    above = ranks[is_positive].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(values) - positives)))


def _unknown(reference: Reference, garments: NDArray[Any], strange: NDArray[Any]) -> None:
    vectors = np.concatenate([garments, strange])
    _, familiarity = reference.compare(vectors, np.zeros(len(vectors), np.int64))
    is_strange = np.arange(len(vectors)) >= len(garments)
    area, flagged = _area(is_strange, -familiarity), familiarity < 1
    print(
        f"unknown: {len(strange)} other things among {len(garments)} garments, area under the ROC curve {area:.4f}; "
        f"flagged are {flagged[is_strange].mean():.1%} of them and {flagged[~is_strange].mean():.1%} of the garments"
    )


if __name__ == "__main__":
    main()
