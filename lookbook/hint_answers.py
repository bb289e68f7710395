"""Answers about hints: which items a person should look at first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lookbook.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint(Answer):
    kind: str
    """doubt, surprise, mislabelled, unknown or diverse."""
    items: int
    """Items that have a value."""
    listed: int
    """The first of them, which `Job.items` yields with this `sort`."""
    flagged: int
    """Items that the filter `hint` keeps."""
    missing: str | None
    """Why there is no such order. None: there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints(Answer):
    requested_at: datetime | None
    computed_at: datetime | None
    """None: a worker has not computed yet what was asked for last."""
    changed_reviews: int
    """Reviews that were given or removed after that."""
    hints: list[Hint]
