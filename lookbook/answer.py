"""The base of everything that is read from an answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Anything that is read from an answer."""

    raw: dict[str, Any] = field(repr=False, compare=False)
