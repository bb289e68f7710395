"""Models of comparisons of two jobs."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from api.schemas.common import Input, PageQuery, Text
from api.schemas.items import ItemOut
from db.views.job import Output


class ComparisonQuery(Input):
    other: Text = Field(alias="with", description="The id of the other job.")


class PairsQuery(PageQuery):
    other: Text = Field(alias="with", description="The id of the other job.")
    before: Text | None = Field(
        None, alias="from", description="The label in this job. The empty text means that no label fits."
    )
    after: Text | None = Field(
        None, alias="to", description="The label in the other job. The empty text means that no label fits."
    )


class LabelChangeOut(Output):
    model_config = ConfigDict(from_attributes=True, populate_by_name=True)

    before: str | None = Field(alias="from", description="The label in this job. Null means that no label fits.")
    after: str | None = Field(alias="to", description="The label in the other job. Null means that no label fits.")
    count: int


class ComparisonOut(Output):
    same: int = Field(description="Pictures with the same label in both jobs.")
    changed: int = Field(description="Pictures with another label in the other job.")
    only_here: int = Field(description="Pictures that only this job has.")
    only_there: int = Field(description="Pictures that only the other job has.")
    changes: list[LabelChangeOut] = Field(description="The most frequent change first.")


class PairOut(Output):
    here: ItemOut
    there: ItemOut


class PairsOut(Output):
    data: list[PairOut]
    next_cursor: str | None
