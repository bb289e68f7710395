"""Answers about models: their versions, labels, promotions, and how reviews confuse their labels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Names(Answer):
    en: str
    ko: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Answer):
    id: str
    name: str
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Answer):
    id: str
    name: str
    group: str
    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels(Answer):
    """The taxonomy of one model version."""

    model: str
    groups: list[Group]
    labels: list[Label]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion(Answer):
    name: str
    version: str
    aliases: list[str]
    digest: str
    input: dict[str, Any]
    metrics: dict[str, Any]
    created_at: datetime

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionDetail(ModelVersion):
    """A model version with its taxonomy and its card (Markdown)."""

    groups: list[Group]
    labels: list[Label]
    card: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedJob(Answer):
    id: str
    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion(Answer):
    """How often a model version predicted one label where people gave another one, or the same."""

    predicted: str
    label: str | None
    """The label of the reviews. None if no label fits."""
    count: int
    jobs: list[ReviewedJob]
    """The jobs with these pictures, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Answer):
    promoted: bool
    workers: int
    """Workers that sent a heartbeat recently."""
    waiting_for: list[str]
    """Workers that have not loaded the model version yet."""
