"""Answers to searches for pictures that look alike, and for the same picture."""

from __future__ import annotations

from dataclasses import dataclass

from lookbook.answer import Answer
from lookbook.answers import Item


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike(Answer):
    """An item that looks like the one that was asked about."""

    similarity: float
    """The cosine of the angle between the two vectors: 1 for the same direction."""
    relation: str | None
    """shot: another picture of the same product. variant: one in another colour. None: another product."""
    item: Item


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlikes(Answer):
    """Items that look alike: those of the same product first, each part with the most similar first."""

    data: list[LookAlike]
    model: str
    """The model version whose vectors were compared."""
    searched: int
    """How many vectors were compared or were in the index."""
    exact: bool
    """Whether every vector was compared. Otherwise the index may have missed a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult(LookAlikes):
    """The answer to a search with a picture."""

    asked: Item
    """The picture itself, with its prediction. The service has removed it, unless it was to be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDuplicate(Answer):
    """An item of an earlier job that shows the same picture."""

    distance: int
    """Bits, of 256, in which the perceptual hashes differ. 0 for identical bytes."""
    item: Item
