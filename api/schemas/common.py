"""Models that several requests and answers share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypeVar

from flask import Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from core.types import MAX_REGION_NAME, MAX_REGIONS, Crop, Region
from db.views.job import Output


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected text without NUL characters")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text without NUL, because PostgreSQL refuses NUL."""


RegionName = Annotated[Text, Field(min_length=1, max_length=MAX_REGION_NAME)]


class Named(Protocol):
    name: str


RegionT = TypeVar("RegionT", bound=Named)


class Input(BaseModel):
    """The base class of requests. Unknown members are errors, so that misspelt options do not go unnoticed."""

    model_config = ConfigDict(extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _take_whole_numbers_as_integers(cls, value: Any) -> Any:
        # In JSON, 12.0 is an integer. Programs that compute with floats write it in this way.
        return int(value) if isinstance(value, float) and value.is_integer() else value


Answer = Response | Output | tuple[Output, int] | tuple[Output, int, dict[str, str]]
"""The return types of views. APIFlask turns models into JSON."""


class CropIn(Input):
    """A rectangle in pixels of the picture as people see it, that is, after EXIF rotation."""

    # A crop is JSON in forms, too.
    model_config = ConfigDict(strict=True)

    x: int = Field(ge=0, lt=2**31)
    y: int = Field(ge=0, lt=2**31)
    width: int = Field(gt=0, lt=2**31)
    height: int = Field(gt=0, lt=2**31)


class RegionIn(Input):
    """A named part of a picture, which gets a prediction of its own. Only models for single garments take regions."""

    name: RegionName
    box: CropIn


def distinct_names(regions: list[RegionT]) -> list[RegionT]:
    """Return the regions of a request.

    Raises:
        ValueError: two of them have the same name.
    """
    names = [region.name for region in regions]
    if len(set(names)) < len(names):
        raise ValueError("expected every name once")
    return regions


RegionsIn = Annotated[list[RegionIn], Field(min_length=1, max_length=MAX_REGIONS), AfterValidator(distinct_names)]


def regions_of(regions: Sequence[RegionIn] | None) -> tuple[Region, ...]:
    return tuple(
        Region(region.name, Crop(region.box.x, region.box.y, region.box.width, region.box.height))
        for region in regions or ()
    )


def crop_of(crop: CropIn | None) -> Crop | None:
    return None if crop is None else Crop(crop.x, crop.y, crop.width, crop.height)


class PageQuery(Input):
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = None


class FieldErrorOut(Output):
    pointer: str
    detail: str


class ProblemOut(Output):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldErrorOut] | None = None
