"""The figures of a run, as a table and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from tests.corpus.running import Outcome


def summary(outcomes: Sequence[Outcome], in_jobs: Sequence[str], decoders_lost: int, seconds: float) -> dict[str, Any]:
    """Return all figures as JSON: counts by kind and outcome, the worst file by time and by memory, broken rules."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        counts[outcome.case.kind][outcome.code] += 1
    slowest = max(outcomes, key=lambda outcome: outcome.seconds, default=None)
    largest = max(outcomes, key=lambda outcome: outcome.peak, default=None)
    return {
        "files": len(outcomes),
        "seconds": round(seconds, 1),
        "outcomes": {kind: dict(found.most_common()) for kind, found in counts.items()},
        "slowest": slowest and {"file": slowest.case.name, "seconds": round(slowest.seconds, 2)},
        "largest": largest and largest.peak and {"file": largest.case.name, "mebibytes": largest.peak // 2**20},
        "decoders_lost": decoders_lost,
        "broken": [{"file": outcome.case.name, "rules": outcome.broken} for outcome in outcomes if outcome.broken],
        "broken_in_jobs": list(in_jobs),
    }


def table(figures: dict[str, Any]) -> Table:
    """Return the counts by kind of file (rows) and outcome (columns)."""
    codes: Counter[str] = Counter()
    for found in figures["outcomes"].values():
        codes.update(found)
    drawn = Table("kind", *(code for code, _ in codes.most_common()), "all")
    for column in drawn.columns[1:]:
        column.justify = "right"
    for kind, found in figures["outcomes"].items():
        drawn.add_row(
            kind, *(_count(found.get(code, 0)) for code, _ in codes.most_common()), _count(sum(found.values()))
        )
    drawn.add_section()
    drawn.add_row("all", *(_count(number) for _, number in codes.most_common()), _count(codes.total()))
    return drawn


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
