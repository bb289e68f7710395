"""The part of a request that classifies the pictures of another job again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.schemas.common import Text
from api.schemas.items import ItemsFilter


class RerunIn(ItemsFilter):
    """The job whose pictures are classified again. The other members choose some of its items."""

    job: Text = Field(description="The id of the job.")
    items: Annotated[list[Text], Field(min_length=1, max_length=10_000)] | None = Field(
        None, description="Ids of items of the job."
    )
