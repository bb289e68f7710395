"""The look that all plots share."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

mpl.use("agg")

INK, ACCENT, PAPER = "#1b1a18", "#d9402a", "#faf9f6"
STYLE: Any = {
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
}
