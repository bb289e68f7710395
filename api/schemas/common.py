"""What the shapes have in common: texts, crops, pages, problems."""

from __future__ import annotations

from typing import Annotated

from flask import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core.types import Crop
from db.views.job import Output


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""What every database keeps."""


class Input(BaseModel):
    """What a client sends: unknown members are errors, so that a misspelt option does not pass unseen."""

    model_config = ConfigDict(extra="forbid")


Answer = Response | Output | tuple[Output, int] | tuple[Output, int, dict[str, str]]
"""What a view returns: APIFlask turns the model into JSON."""


class CropIn(Input):
    """A rectangle in pixels of the picture as a person sees it (after EXIF rotation)."""

    x: int = Field(ge=0, lt=2**31)
    y: int = Field(ge=0, lt=2**31)
    width: int = Field(gt=0, lt=2**31)
    height: int = Field(gt=0, lt=2**31)


def crop_of(given: CropIn | None) -> Crop | None:
    return None if given is None else Crop(given.x, given.y, given.width, given.height)


class PageQuery(Input):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = None


class FieldErrorOut(Output):
    pointer: str
    detail: str


class ProblemOut(Output):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldErrorOut] | None = None
