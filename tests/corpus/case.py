"""One file of the corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "whole",
    "cut short",
    "bits flipped",
    "header lies",
    "parts moved",
    "bomb",
    "metadata",
    "other format",
    "polyglot",
    "wrong name",
    "outside",
]


@dataclass(frozen=True, slots=True)
class Case:
    """A file, and what has to become of it: a prediction, an error, or either of them."""

    kind: Kind
    name: str
    """A path with `/`, unique in the corpus."""
    data: bytes
    is_picture: bool | None = None
    """Whether the file has to be classified (True) or refused (False). None: both are right."""
