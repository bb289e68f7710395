"""Plots of a training run, for the artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from classifier.learning.judging.plot_style import ACCENT, INK, STYLE
from classifier.learning.training.checkpoints import Curves


def plot_curves(curves: Curves, path: Path) -> None:
    """Plot loss and accuracy after each epoch of the fine-tuning, for training and validation."""
    epochs = np.arange(1, len(curves.loss) + 1)
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        for axes, name, train, validation in (
            (left, "loss", curves.loss, curves.validation_loss),
            (right, "accuracy", curves.accuracy, curves.validation_accuracy),
        ):
            axes.plot(epochs, train, color=INK, linewidth=1, label="train (augmented)")
            axes.plot(epochs, validation, color=ACCENT, linewidth=1.5, label="validation")
            axes.set(xlabel="epoch", title=name)
            axes.legend(frameon=False)
        figure.savefig(path, dpi=110)
        plt.close(figure)


def plot_confusion(metrics: dict[str, Any], path: Path) -> None:
    """Plot the confusion matrix: rows are true labels, columns are predicted labels, shades are shares of the row."""
    confusion = np.array(metrics["confusion"])
    names = [row["id"] for row in metrics["labels"]]
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.42 * len(names)
    with plt.rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
        axes.imshow(share, cmap="Greys", vmin=0, vmax=1)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="true")
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if share[row, column] > 0.5 else (ACCENT if row != column else INK)
            axes.text(column, row, confusion[row, column], ha="center", va="center", color=colour, fontsize=8)
        figure.savefig(path, dpi=110)
        plt.close(figure)
