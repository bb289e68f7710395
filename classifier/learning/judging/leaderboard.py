"""The leaderboard: training runs on the same pictures, ranked by one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from classifier.learning.training.run_folder import RunData, RunRecord


class By(StrEnum):
    """The figures by which runs can be ranked."""

    MACRO_F1 = "macro_f1"
    ACCURACY = "accuracy"
    RECALL_AT_3 = "recall_at_3"
    BALANCED_ACCURACY = "balanced_accuracy"
    GROUP_ACCURACY = "group_accuracy"
    CALIBRATION_ERROR = "calibration_error"
    SECONDS = "seconds"

    @property
    def is_better_if_lower(self) -> bool:
        return self in (By.CALIBRATION_ERROR, By.SECONDS)


TITLES: Mapping[By, str] = {
    By.MACRO_F1: "macro-F1",
    By.ACCURACY: "accuracy",
    By.RECALL_AT_3: "recall@3",
    By.BALANCED_ACCURACY: "balanced accuracy",
    By.GROUP_ACCURACY: "accuracy of groups",
    By.CALIBRATION_ERROR: "calibration error",
    By.SECONDS: "time",
}
"""The figures in the words of tables."""

_NOT_COMPARED = ("name", "data", "notes", "taxonomy")
"""Members of a recipe that change no figure, or that the hash of the data covers."""


@dataclass(frozen=True, slots=True)
class RankedRun:
    """A run with its place. Runs without the figure come last and have no place."""

    place: int | None
    record: RunRecord
    settings: dict[str, Any]
    """The settings of its recipe, such as {"head.kind": "straight"}, that are not the same in all runs of its board."""


@dataclass(frozen=True, slots=True)
class Board:
    """The runs on the same pictures with the same labels. Only they can be compared."""

    data: RunData
    runs: tuple[RankedRun, ...]


def make_boards(records: Sequence[RunRecord], by: By) -> list[Board]:
    """Return a board for each data hash, the one with the newest run first. Each has its best run first."""
    by_hash: dict[str, list[RunRecord]] = {}
    for record in sorted(records, key=lambda record: record.started_at, reverse=True):
        by_hash.setdefault(record.data.hash, []).append(record)
    return [Board(together[0].data, _ranked(together, by)) for together in by_hash.values()]


def figure(record: RunRecord, by: By) -> float | None:
    """Return a figure of a run, or None if the run has no figures yet."""
    if record.metrics is None:
        return None
    value = record.cost.seconds if by is By.SECONDS else record.metrics.get(by)
    return None if value is None else float(value)


def interval(record: RunRecord, by: By) -> tuple[float, float] | None:
    """Return the 95 % interval of a figure, or None if the figure has none."""
    found = (record.metrics or {}).get("intervals", {}).get(by)
    return None if found is None else (float(found[0]), float(found[1]))


def flat_settings(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings of a recipe by their dotted names, without those that change no figure."""
    settings: dict[str, Any] = {}
    for name, value in recipe.items():
        if not prefix and name in _NOT_COMPARED:
            continue
        if isinstance(value, Mapping):
            settings |= flat_settings(value, f"{prefix}{name}.")
        else:
            settings[f"{prefix}{name}"] = value
    return settings


def differing(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each recipe the settings that are not the same in all of them. A missing setting is None."""
    names = list(dict.fromkeys(name for each in settings for name in each))
    varying = [name for name in names if any(each.get(name) != settings[0].get(name) for each in settings)]
    return [{name: each.get(name) for name in varying} for each in settings]


def _ranked(records: Sequence[RunRecord], by: By) -> tuple[RankedRun, ...]:
    settings = differing([flat_settings(record.recipe) for record in records])
    sign = 1 if by.is_better_if_lower else -1
    figures = [figure(record, by) for record in records]
    with_figure = sorted(
        (number for number, value in enumerate(figures) if value is not None),
        key=lambda number: sign * (figures[number] or 0.0),
    )
    without = [number for number, value in enumerate(figures) if value is None]
    places = {number: place for place, number in enumerate(with_figure, 1)}
    return tuple(RankedRun(places.get(number), records[number], settings[number]) for number in with_figure + without)
