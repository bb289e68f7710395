"""Answers about the comparison of two jobs."""

from __future__ import annotations

from dataclasses import dataclass

from lookbook.answer import Answer
from lookbook.answers import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelChange(Answer):
    """How many pictures have one label in the first job and another one in the second. None: no label fits."""

    from_: str | None
    to: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Answer):
    """How two jobs label the same pictures. Each picture counts once, and only with a prediction."""

    same: int
    changed: int
    only_here: int
    """Pictures that only the first job has."""
    only_there: int
    changes: list[LabelChange]
    """The most frequent change first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(Answer):
    """One picture in two jobs."""

    here: Item
    there: Item
