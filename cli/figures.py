"""Tables of the figures of an evaluation."""

from __future__ import annotations

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
