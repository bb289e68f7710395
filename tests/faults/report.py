"""Writes the tables of docs/reliability.md from the campaigns' results in results/."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from benchmarks.run import Machine
from core.settings import PROJECT
from tests.faults.campaign import Result, median_and_worst, to_json
from tests.faults.installation import DatabaseKind
from tests.faults.scenario import FAULTS

PAGE = PROJECT / "docs" / "reliability.md"
RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- faults:begin -->", "<!-- faults:end -->"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_COUNTED = {
    "items lost": ("nothing is lost",),
    "predictions doubled": ("no prediction is doubled",),
    "wrong pictures answered": ("no wrong picture is answered",),
    "jobs stuck": ("no job is stuck", "no chunk is left", "the service recovers"),
}
"""The rows of the table of outcomes, and the promises that each row counts. All other promises share one row."""


def keep(result: Result, command: str) -> Path:
    """Store a campaign's result and return the path of its file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{result.database}.json"
    figures = {"machine": Machine.here().name, "python": platform.python_version(), "command": command}
    path.write_text(json.dumps(figures | to_json(result), indent=1) + "\n", "utf-8")
    return path


def read() -> dict[str, dict[str, Any]]:
    """Return the figures of each database's last campaign. A database without a campaign is missing."""
    paths = {kind: RESULTS / f"{kind}.json" for kind in get_args(DatabaseKind)}
    return {kind: json.loads(path.read_text("utf-8")) for kind, path in paths.items() if path.is_file()}


def write_page() -> None:
    """Write the tables of all results between the markers of the page."""
    text = PAGE.read_text("utf-8")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{tables()}\n{END}{tail}", "utf-8")


def tables() -> str:
    """Return the text that belongs between the markers of the page."""
    found = read()
    return "\n\n".join([_outcomes(found), _recoveries(found), _provenance(found)])


def _outcomes(found: dict[str, dict[str, Any]]) -> str:
    rows = [("", *(NAMES[kind] for kind in found))]
    for title in ("pictures", "different pictures", "jobs", "singles", "jobs canceled", "jobs retried"):
        rows.append((title, *(f"{figures['totals'][title]:,}" for figures in found.values())))
    rows.append(("faults", *(str(len(figures["recoveries"])) for figures in found.values())))
    for title, promises in _COUNTED.items():
        counts = [sum(figures["broken"].get(promise, 0) for promise in promises) for figures in found.values()]
        rows.append((f"**{title}**", *(f"**{count}**" for count in counts)))
    covered = {promise for promises in _COUNTED.values() for promise in promises}
    others = [sum(n for promise, n in f["broken"].items() if promise not in covered) for f in found.values()]
    rows.append(("**other promises broken**", *(f"**{count}**" for count in others)))
    return _table(rows)


def _recoveries(found: dict[str, dict[str, Any]]) -> str:
    rows = [("fault", *(title for kind in found for title in (NAMES[kind], "answering again", "all recorded")))]
    for fault in FAULTS:
        cells = [cell for figures in found.values() for cell in _cells(figures, fault)]
        if any(cells):
            rows.append((fault, *(cell or "–" for cell in cells)))
    return _table(rows)


def _cells(figures: dict[str, Any], fault: str) -> tuple[str, str, str]:
    recoveries = [recovery for recovery in figures["recoveries"] if recovery["fault"] == fault]
    if not recoveries:
        return "", "", ""
    answering, recorded = (
        _times([recovery[figure] for recovery in recoveries]) for figure in ("answering", "recorded")
    )
    return str(len(recoveries)), answering, recorded


def _times(values: Sequence[float | None]) -> str:
    return " / ".join("never" if math.isinf(value) else f"{value:.1f}" for value in median_and_worst(values))


def _provenance(found: dict[str, dict[str, Any]]) -> str:
    lines = []
    for kind, figures in found.items():
        minutes = figures["seconds"] / 60
        left_out = ", ".join(figures["left_out"]) or "nothing"
        lines.append(
            f"{NAMES[kind]}: {figures['date']}, seed {figures['seed']}, {minutes:.0f} minutes, "
            f"`{figures['command']}`; left out: {left_out}. {figures['machine']}, Python {figures['python']}."
        )
    return "\n\n".join(lines)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])
