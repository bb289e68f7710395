"""The questions and answers of searches for look-alikes, as they travel through Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

MAX_FOUND = 200
"""Most items that a search returns."""


class Relation(StrEnum):
    """How an item that was found is related to the one that was asked about, by the product that both show."""

    SHOT = "shot"
    """Another picture of the same product."""
    VARIANT = "variant"
    """A picture of the same product in another colour."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which items look like this one?"""

    item_id: str
    limit: int
    """The most items to return, 1 to `MAX_FOUND`."""
    job_ids: list[str] | None
    """The jobs to look in, which the caller may see. None: all that the caller may see."""
    same_picture: bool
    """Whether to return other items with the same bytes, too."""
    owner: str | None
    """The next three are those of the caller (`db.access.keys.Caller`)."""
    is_admin: bool
    inherited_owners: list[str] | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Found:
    """An item that looks like the one that was asked about."""

    item_id: str
    similarity: float
    """The cosine of the angle between the two vectors, -1 to 1. 1: the same direction."""
    relation: Relation | None


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The items that were found, those of the same product first, each part with the most similar first."""

    found: list[Found]
    searched: int
    """How many vectors were compared or were in the index."""
    exact: bool
    """Whether every vector of the scope was compared. Otherwise the index may have missed a few."""
    problem: str | None = None
    """The code of the reason why nothing was searched: `no_vector`, `index_building` or `index_missing`."""
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> SearchAnswer:
        found = [
            Found(row["item_id"], row["similarity"], None if row["relation"] is None else Relation(row["relation"]))
            for row in answer["found"]
        ]
        return cls(found, answer["searched"], answer["exact"], answer["problem"], answer["detail"])
