"""Plots of a dataset's figures (classifier/learning/data/figures.py)."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from classifier.learning.judging.plot_style import ACCENT, INK, STYLE

_SHADES = {"train": INK, "validation": ACCENT, "test": "#8a8a86", "": "#b9b5ac"}


def plot_labels(counts: dict[str, Counter[str]], path: Path) -> None:
    """Plot the number of pictures of each label as a bar of its splits. The axis is logarithmic."""
    names = [name or "no label" for name in counts]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 1 + 0.24 * len(names)), layout="constrained")
        splits = [split for split in _SHADES if any(row[split] for row in counts.values())]
        height = 0.8 / max(1, len(splits))
        for number, split in enumerate(splits):
            places = np.arange(len(names)) + (number - (len(splits) - 1) / 2) * height
            values = [row[split] for row in counts.values()]
            bars = axes.barh(places, values, height, color=_SHADES[split], label=split or "no split")
            axes.bar_label(bars, [f"{value:,}" for value in values], padding=2, fontsize=6)
        axes.set_yticks(range(len(names)), names)
        axes.set_xscale("symlog")
        axes.set(xlabel="pictures")
        axes.invert_yaxis()
        axes.legend(frameon=False)
        _save(figure, path)


def plot_sizes(width: NDArray[np.int32], height: NDArray[np.int32], path: Path) -> None:
    """Plot the widths and heights of pictures, and their ratios."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        left.hist([width, height], bins=40, color=[INK, ACCENT], label=["width", "height"])
        left.set(xlabel="pixels", ylabel="pictures")
        left.legend(frameon=False)
        right.hist(width / height, bins=40, color=INK)
        right.set(xlabel="width / height")
        _save(figure, path)


def plot_sub_labels(matrix: NDArray[np.int64], names: list[str], path: Path) -> None:
    """Plot which sub-labels go with which labels. The shades are shares of a label's sub-labels."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2 + 0.36 * len(names)
    with plt.rc_context({**STYLE, "axes.spines.left": False, "axes.spines.bottom": False}):
        figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
        axes.imshow(share, cmap="Greys", vmin=0, vmax=max(share.max(), 1e-9))
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="sub-label", ylabel="label")
        for row, column in zip(*np.nonzero(matrix), strict=True):
            colour = "white" if share[row, column] > share.max() / 2 else INK
            axes.text(column, row, matrix[row, column], ha="center", va="center", color=colour, fontsize=6)
        _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with warnings.catch_warnings():
        # The names of folders may be Korean, and the font of matplotlib has no Korean letters.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(path, dpi=110)
    plt.close(figure)
