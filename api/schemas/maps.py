"""Models of the maps of jobs."""

from __future__ import annotations

from pydantic import Field

from core.maps import MAX_POINTS, SIDE
from db.views.job import Output, Time
from db.views.maps import MapStatus


class NoMapOut(Output):
    """Why the job cannot have a map."""

    code: str = Field(description="`no_embedding`, `too_few_pictures` or `no_vectors`.")
    detail: str


class MapOut(Output):
    status: MapStatus = Field(description="While it is `waiting` or `computing`, the points of an earlier map remain.")
    progress: float | None = Field(description="The part of the work that is done, from 0 to 1. Null unless computing.")
    revision: int = Field(description="How often points were stored. 0: there are none yet.")
    computed_at: Time | None = Field(description="When the points were stored.")
    points: int = Field(description=f"The points of the map: at most {MAX_POINTS:,}.")
    pictures: int = Field(description="The pictures from which they were taken: more than `points` if it is a sample.")
    outdated: bool = Field(description="Whether the job has other classified pictures now than at that time.")
    error: str | None = Field(description="Why the last request has failed.")
    unavailable: NoMapOut | None = Field(description="Why the job cannot have a map. Null: it can.")


class MapPointsOut(Output):
    """The points as columns: the n-th value of each list belongs to the n-th point."""

    revision: int
    pictures: int = Field(description="The pictures from which the points were taken.")
    labels: list[str] = Field(description="The ids of the labels to which `label` refers.")
    id: list[str] = Field(description="The ids of the items, in the order of their positions.")
    position: list[int]
    x: list[int] = Field(description=f"From 0 to {SIDE - 1}, to the right.")
    y: list[int] = Field(description=f"From 0 to {SIDE - 1}, downwards.")
    label: list[int] = Field(
        description="The index of the label of the review, else of the predicted one, in `labels`. -1: a review says "
        "that no label fits."
    )
    predicted: list[int] = Field(description="The index of the predicted label.")
    confidence: list[float]
    review: list[int] = Field(
        description="0: none, 1: with the predicted label, 2: with another label, 3: no label fits."
    )
