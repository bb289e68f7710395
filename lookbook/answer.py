"""The base class of all answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Data that the service answered. `raw` is the JSON object as it was received."""

    raw: dict[str, Any] = field(repr=False, compare=False)
