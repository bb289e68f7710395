"""Draw the plots of docs/benchmarks.md as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
# A fixed salt makes matplotlib write the same file for the same figures.
mpl.rcParams.update({"svg.hashsalt": "lookbook", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})

import matplotlib.pyplot as plt  # noqa: E402 (mpl.use must come first)

_LINES = ("o-", "s--", "^-.")
_COLOURS = {"limit": "#b8b2a6", "service": "#d8432e", "keras": "#1a1917"}


def throughput(figures: dict[str, Any], path: Path) -> None:
    """Draw bars of limit, service and Keras, by picture size and precision."""
    groups = [(size, precision) for size, found in figures["sizes"].items() for precision in found]
    chart, axes = plt.subplots(figsize=(7.5, 3))
    for number, (name, colour) in enumerate(_COLOURS.items()):
        found = [figures["sizes"][size][precision]["rates"][name] for size, precision in groups]
        medians = [rate["median"] for rate in found]
        error_bars = [[rate["median"] - rate["lowest"] for rate in found]]
        error_bars += [[rate["highest"] - rate["median"] for rate in found]]
        positions = [position + 0.27 * (number - 1) for position in range(len(groups))]
        axes.bar(positions, medians, 0.25, yerr=error_bars, label=name, color=colour, ecolor="#808080", capsize=2)
    axes.set_xticks(range(len(groups)), [f"{size} px\n{precision}" for size, precision in groups])
    axes.set_ylabel("pictures per second")
    axes.legend(frameon=False)
    _save(chart, path)


def bars(values: Mapping[str, float], unit: str, path: Path) -> None:
    """Draw one bar for each value, the first one in another colour."""
    chart, axes = plt.subplots(figsize=(7.5, 0.5 + 0.4 * len(values)))
    colours = [_COLOURS["service"]] + [_COLOURS["limit"]] * (len(values) - 1)
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    _save(chart, path)


def memory(figures: dict[str, Any], path: Path) -> None:
    """Draw the memory of API, worker and decoders over the number of pictures."""
    samples = figures["samples"]
    chart, axes = plt.subplots(figsize=(7.5, 2.8))
    for name, colour in (("worker", "#d8432e"), ("decoders", "#1a1917"), ("api", "#b8b2a6")):
        axes.plot([s["pictures"] for s in samples], [s[name] for s in samples], label=name, color=colour)
    axes.set_xlabel("pictures")
    axes.set_ylabel("MB")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(chart, path)


def to_linear(cases: Mapping[str, list[dict[str, Any]]], target: float, path: Path) -> None:
    """Draw the ratio to the linear rate over the number of workers, one line for each case, and the target."""
    chart, axes = plt.subplots(figsize=(7.5, 2.8))
    for (name, rows), style in zip(cases.items(), _LINES, strict=True):
        axes.plot([r["workers"] for r in rows], [r["to_linear"] for r in rows], style, label=name)
    axes.axhline(target, color="#808080", linewidth=0.8, linestyle="--")
    ticks = sorted({row["workers"] for rows in cases.values() for row in rows})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlabel("workers")
    axes.set_ylabel("rate, compared with linear")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(chart, path)


def _save(chart: Any, path: Path) -> None:
    chart.tight_layout()
    chart.savefig(path, metadata={"Date": None})
    plt.close(chart)
