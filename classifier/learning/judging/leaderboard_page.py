"""Writes the leaderboard as one page of HTML that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from classifier.learning.judging.leaderboard import TITLES, Board, By, figure, interval
from classifier.learning.training.run_folder import RunRecord
from core.settings import PROJECT

_TEMPLATE = Path(__file__).with_name("leaderboard.html")
_CSS = PROJECT / "frontend" / "css" / "lookbook.css"
"""The colours and the type of the pages of the service."""
_ROOM = 0.08
"""The room beside the outermost figures of an axis, as a share of its length."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """The range of one figure of all runs of a board."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Return the place of a value on the axis, 0 to 100."""
        return 100 * (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A figure of a run as its row shows it. The places are percent of the axis."""

    value: float
    text: str
    at: float
    start: float
    end: float
    detail: str


def leaderboard_page(boards: Sequence[Board], by: By, created_at: datetime) -> str:
    """Return the page. `by` is the figure that it shows first; buttons on the page choose another one."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text("utf-8"))
    return template.render(
        boards=[_board(board, by) for board in boards],
        by=by.value,
        titles={each.value: TITLES[each] for each in By},
        lower_is_better=[each.value for each in By if each.is_better_if_lower],
        css=_CSS.read_text("utf-8"),
        created_at=f"{created_at:%Y-%m-%d %H:%M} UTC",
        runs=sum(len(board.runs) for board in boards),
    )


def _board(board: Board, by: By) -> dict[str, Any]:
    records = [ranked.record for ranked in board.runs]
    axes = {each: axis for each in By if (axis := _axis(records, each)) is not None}
    best = {each: axis.percent(_best(records, each)) for each, axis in axes.items()}
    return {
        "data": board.data,
        "axes": {each.value: (_text(axis.low, each), _text(axis.high, each)) for each, axis in axes.items()},
        "best": {each.value: place for each, place in best.items()},
        "shown": by.value if by in axes else next((each.value for each in axes), by.value),
        "runs": [
            {
                "record": ranked.record,
                "place": ranked.place,
                "settings": {name: _setting(value) for name, value in ranked.settings.items()},
                "marks": {each.value: _mark(ranked.record, each, axes[each]) for each in axes},
                "recipe": yaml.safe_dump(ranked.record.recipe, sort_keys=False, allow_unicode=True),
                "cost": _cost(ranked.record),
            }
            for ranked in board.runs
        ],
    }


def _axis(records: Sequence[RunRecord], by: By) -> _Axis | None:
    """Return an axis that holds all figures and intervals, or None without any figure. That of costs starts at 0."""
    figures = [value for record in records if (value := figure(record, by)) is not None]
    if not figures:
        return None
    ends = [end for record in records for end in interval(record, by) or ()]
    low, high = min(figures + ends), max(figures + ends)
    if by.is_better_if_lower:
        return _Axis(0.0, max(high, 1e-9) * (1 + _ROOM))
    room = max(_ROOM * (high - low), 0.005)
    return _Axis(max(0.0, low - room), min(1.0, high + room) if high < 1 else 1.0)


def _best(records: Sequence[RunRecord], by: By) -> float:
    figures = [value for record in records if (value := figure(record, by)) is not None]
    return min(figures) if by.is_better_if_lower else max(figures)


def _mark(record: RunRecord, by: By, axis: _Axis) -> _Mark | None:
    value = figure(record, by)
    if value is None:
        return None
    ends = interval(record, by)
    start, end = ends or ((axis.low, value) if by.is_better_if_lower else (value, value))
    detail = f"95 % interval {ends[0]:.3f} to {ends[1]:.3f}" if ends else ""
    return _Mark(value, _text(value, by), axis.percent(value), axis.percent(start), axis.percent(end), detail)


def _text(value: float, by: By) -> str:
    return duration(value) if by is By.SECONDS else f"{value:.3f}"


def duration(seconds: float) -> str:
    """Return a duration as people say it: `48 s`, `12 min`, `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _setting(value: Any) -> str:
    return "none" if value is None else str(value)


def _cost(record: RunRecord) -> str:
    cost = record.cost
    return (
        f"{duration(cost.seconds)}, {duration(cost.cpu_seconds)} of processor time, "
        f"{cost.peak_memory_bytes / 2**30:.1f} GiB of memory, {record.machine.cpus} cores, {record.machine.gpus} GPUs"
    )
