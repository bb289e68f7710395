"""Tables of the figures of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

TITLES = {
    "accuracy": "accuracy",
    "recall_at_3": "recall@3",
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "group_accuracy": "accuracy of groups",
}
"""The figures with an interval, and their titles in the table."""


def label_table(metrics: dict[str, Any]) -> Table:
    """Return the table of the labels."""
    table = Table("label", "precision", "recall", "F1", "pictures", box=None, header_style="bold")
    for row in metrics["labels"]:
        figures = [f"{row[name]:.3f}" for name in ("precision", "recall", "f1")]
        table.add_row(row["id"], *figures, str(row["support"]))
    return table


def figure_table(metrics: dict[str, Any]) -> Table:
    """Return the table of the figures of all pictures, with their intervals."""
    table = Table("figure", "value", "95 % interval", box=None, header_style="bold")
    for name, title in TITLES.items():
        low, high = metrics["intervals"][name]
        table.add_row(title, f"{metrics[name]:.4f}", f"{low:.4f} to {high:.4f}")
    table.add_row("calibration error", f"{metrics['calibration_error']:.4f}", "")
    return table


def robustness_table(robustness: dict[str, dict[str, Any]]) -> Table:
    """Return the table of changed pictures."""
    table = Table("pictures", "accuracy", "95 % interval", "macro-F1", "other labels", box=None, header_style="bold")
    for name, row in robustness.items():
        low, high = row["intervals"]["accuracy"]
        cells = (f"{row['accuracy']:.4f}", f"{low:.4f} to {high:.4f}", f"{row['macro_f1']:.4f}")
        table.add_row(name, *cells, f"{row['changed']:.1%}")
    return table


def throughput_table(speeds: list[dict[str, Any]]) -> Table:
    """Return the table of runtimes and precisions. The range is that of the rounds."""
    columns = ("runtime", "precision", "pictures/s", "range", "batch", "parallel", "")
    table = Table(*columns, box=None, header_style="bold")
    for row in speeds:
        span = f"{min(row['rounds']):,.0f} to {max(row['rounds']):,.0f}"
        cells = (f"{row['rate']:,.0f}", span, str(row["batch"]), str(row["slots"]))
        table.add_row(row["runtime"], row["precision"], *cells, row["refusal"] or "")
    return table


def shortcut_tables(report: dict[str, Any]) -> Iterator[Table]:
    """Yield the tables of a report on shortcuts: parts of the pictures, formats, shops."""
    for title, member in (("shown", "parts"), ("shooting format", "formats"), ("shop", "shops")):
        if not report[member]:
            continue
        table = Table(box=None, header_style="bold", pad_edge=False)
        for column in (title, "pictures", "accuracy", "chance", "balanced", "chance"):
            table.add_column(column, no_wrap=True)
        for row in report[member]:
            table.add_row(
                row["name"],
                f"{row['pictures']:,}",
                _with_interval(row["accuracy"], row["interval"]),
                f"{row['chance']:.2f}",
                _with_interval(row["balanced_accuracy"], row["balanced_interval"]),
                f"{row['balanced_chance']:.2f}",
            )
        yield table


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    # Two digits are enough for shares of some hundred pictures, and the table fits 80 columns.
    return f"{value:.2f} ({interval[0]:.2f}–{interval[1]:.2f})"
