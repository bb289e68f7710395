"""Models of searches for look-alikes."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from api.schemas.common import Input, Text
from api.schemas.items import ItemOut, PictureIn, PictureOptions
from core.searches import MAX_FOUND, Relation
from db.views.job import Output

MAX_JOBS = 100
"""Most jobs that one search names."""
ALL = "all"
"""The value of `jobs` for everything that the caller may see."""

Limit = Annotated[int, Field(ge=1, le=MAX_FOUND, description="The most items in the answer.")]


def _few_jobs(text: str) -> str:
    names = text.split(",")
    if len(names) > MAX_JOBS or not all(names):
        raise ValueError(f"expected 1 to {MAX_JOBS} ids of jobs, separated by commas")
    return text


JobList = Annotated[Text, AfterValidator(_few_jobs)]
"""The ids of jobs, separated by commas. They are a text, because forms and queries hold no lists."""


class SimilarQuery(Input):
    jobs: JobList | None = Field(
        None,
        description="The ids of up to 100 jobs to look in, separated by commas, or `all` for every job that the caller "
        "may see. Default: the job of the item.",
    )
    limit: Limit = 20


class SearchFields(Input):
    """The options of a search with a picture, in JSON as in a form."""

    jobs: JobList = Field(
        ALL, description="The ids of up to 100 jobs to look in, separated by commas, or `all` for every job."
    )
    limit: Limit = 20
    model: Text = Field("production", description="A name, `name@version` or an alias. Only its vectors are compared.")
    keep: bool = Field(False, description="Whether to keep the picture, as a single classification.")


class SearchOptions(PictureOptions, SearchFields):
    """The form fields of a multipart request, or the query parameters of a raw one."""


class SearchIn(PictureIn, SearchFields):
    """A picture to search with."""


class LookAlikeOut(Output):
    similarity: float = Field(description="The cosine of the angle between the two vectors: 1 for the same direction.")
    relation: Relation | None = Field(
        description="`shot`: another picture of the same product. `variant`: one in another colour. Null: another "
        "product, or none is known."
    )
    item: ItemOut


class LookAlikesOut(Output):
    """Items that look alike: those of the same product first, each part with the most similar first."""

    data: list[LookAlikeOut]
    model: str = Field(description="The model version whose vectors were compared.")
    searched: int = Field(description="How many vectors were compared or were in the index.")
    exact: bool = Field(description="Whether every vector was compared. Otherwise the index may have missed a few.")


class SearchOut(LookAlikesOut):
    asked: ItemOut = Field(description="The picture of the request, with its prediction. It is removed unless kept.")
