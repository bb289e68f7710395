"""Plots of an evaluation: confusion matrix, reliability diagram, and figures of each label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from classifier.calibration import BINS
from classifier.learning.judging.plot_style import ACCENT, INK, STYLE
from classifier.learning.judging.plots import plot_confusion

MUTED = "#d5d0c5"


def plot_evaluation(
    folder: Path, scores: NDArray[np.float32], labels: NDArray[np.int64], metrics: dict[str, Any]
) -> list[Path]:
    """Write `confusion.png`, `reliability.png` and `labels.png` into a folder, and return their paths.

    `metrics` are those of `evaluate()` for the scores, float32 [N, labels], and the true labels, int64 [N].
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.png" for name in ("confusion", "reliability", "labels")]
    plot_confusion(metrics, paths[0])
    plot_reliability(scores, labels, metrics, paths[1])
    plot_labels(metrics, paths[2])
    return paths


def plot_reliability(
    scores: NDArray[np.float32], labels: NDArray[np.int64], metrics: dict[str, Any], path: Path
) -> None:
    """Plot the accuracy of pictures with similar confidence against that confidence (Guo et al. 2017, figure 1)."""
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    accuracy = np.bincount(bins, right, BINS)[filled] / counts[filled]
    mean = np.bincount(bins, confidence, BINS)[filled] / counts[filled]
    # The standard error of a share of n pictures.
    error = np.sqrt(accuracy * (1 - accuracy) / counts[filled])
    centres = (np.arange(BINS) + 0.5) / BINS
    with plt.rc_context(STYLE):
        figure, (upper, lower) = plt.subplots(
            2, 1, figsize=(4.6, 5.4), height_ratios=(4, 1), sharex=True, layout="constrained"
        )
        upper.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        upper.errorbar(mean, accuracy, yerr=error, color=ACCENT, marker="o", markersize=5, linewidth=1, capsize=2)
        upper.set(ylim=(0, 1.02), ylabel="accuracy", title=f"calibration error {metrics['calibration_error']:.3f}")
        lower.bar(centres, counts, width=0.9 / BINS, color=INK)
        lower.set(xlim=(0, 1), xlabel="confidence", ylabel="pictures")
        figure.savefig(path, dpi=130)
        plt.close(figure)


def plot_labels(metrics: dict[str, Any], path: Path) -> None:
    """Plot precision and recall of each label as the ends of a bar, the label with the lowest F1 first."""
    rows = sorted(metrics["labels"], key=lambda row: row["f1"], reverse=True)
    rows = [row for row in rows if row["support"]]
    places = np.arange(len(rows))
    with plt.rc_context({**STYLE, "axes.spines.left": False}):
        figure, axes = plt.subplots(figsize=(6, 1.2 + 0.28 * len(rows)), layout="constrained")
        axes.barh(places, [row["f1"] for row in rows], color=MUTED, height=0.62, label="F1")
        axes.plot([row["precision"] for row in rows], places, "o", color=INK, markersize=5, label="precision")
        axes.plot([row["recall"] for row in rows], places, "o", color=ACCENT, markersize=5, label="recall")
        axes.set_yticks(places, [f"{row['id']}  {row['support']:,}" for row in rows])
        axes.tick_params(left=False)
        axes.set(xlim=(0, 1.02), ylim=(-0.6, len(rows) - 0.4))
        axes.axvline(metrics["macro_f1"], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_title(f"macro-F1 {metrics['macro_f1']:.3f}", loc="left")
        axes.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
        figure.savefig(path, dpi=130)
        plt.close(figure)
