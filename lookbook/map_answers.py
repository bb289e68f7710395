"""Answers about the map of a job: its pictures laid out by likeness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class NoMap(Answer):
    """Why a job cannot have a map."""

    code: str
    """no_embedding, too_few_pictures or no_vectors."""
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MapState(Answer):
    status: str
    """none, waiting, computing, ready or failed. Points of an earlier map remain while a new one is made."""
    progress: float | None
    """From 0 to 1. None unless computing."""
    revision: int
    """How often points were stored. 0: there are none yet."""
    computed_at: datetime | None
    points: int
    pictures: int
    """The pictures from which the points were taken: more than `points` if they are a sample."""
    outdated: bool
    """Whether the job has other classified pictures now."""
    error: str | None
    """Why the last request has failed."""
    unavailable: NoMap | None
    """None: the job can have a map."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoints(Answer):
    """The points of a map as columns: the n-th value of each list belongs to the n-th point."""

    revision: int
    pictures: int
    labels: list[str]
    """The ids of the labels to which `label` refers."""
    id: list[str]
    """The ids of the items, in the order of their positions."""
    position: list[int]
    x: list[int]
    """From 0 to 65,535, to the right."""
    y: list[int]
    """From 0 to 65,535, downwards."""
    label: list[int]
    """Indexes in `labels`. The label of a review wins over the predicted one. -1: a review says that no label fits."""
    predicted: list[int]
    """Indexes of the predicted labels."""
    confidence: list[float]
    review: list[int]
    """0: none, 1: with the predicted label, 2: with another label, 3: no label fits."""
