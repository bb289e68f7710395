"""Models of hints: which items a person should look at first."""

from __future__ import annotations

from pydantic import Field

from db.tables import HintKind
from db.views.job import Output, Time


class HintOut(Output):
    kind: HintKind
    items: int = Field(description="Items that have a value.")
    listed: int = Field(description="The first of them, which the list of items shows with this `sort`.")
    flagged: int = Field(description="Items that the filter `hint` keeps.")
    missing: str | None = Field(description="Why there is no such order, in words. Null if there is one.")


class HintsOut(Output):
    """The hints of a job. They do not change by themselves when people review."""

    requested_at: Time | None = Field(description="When they were last asked for. Null: not yet.")
    computed_at: Time | None = Field(description="Null until a worker has computed what was asked for last.")
    changed_reviews: int = Field(description="Reviews that were given or removed after that.")
    hints: list[HintOut]
