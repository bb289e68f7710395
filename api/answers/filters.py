"""The filter that a query puts on the items of a job."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_
from sqlalchemy.orm import Session

from api.answers.problems import invalid_field_problem
from api.schemas.items import ItemsFilter
from core.maps import Area
from db.bulk import in_numbers, in_values
from db.tables import Item, Job
from db.views import labels as job_labels
from db.views import maps, trust
from db.views.acceptances import Policy
from db.views.item_pages import ItemFilter


def item_filter(session: Session, job: Job, query: ItemsFilter) -> ItemFilter:
    """Return the filter of a query, with the labels that the items of the job may have.

    Raises:
        Problem: 422, items of the job cannot have such a label or group, or the job's map has no such area.
    """
    taxonomy = {"labels": job_labels.labels_of(job), "groups": job_labels.groups_of(job)}
    named = (("label", "labels", query.label), ("group", "groups", query.group), ("label", "labels", query.predicted))
    for field, (kind, members, value) in zip(("label", "group", "predicted"), named, strict=True):
        known_ids = [row["id"] for row in taxonomy[members]]
        if value is not None and value not in known_ids:
            detail = f"expected one of {', '.join(known_ids)}; got {value!r}"
            raise invalid_field_problem(field, detail, f"unknown_{kind}")
    labels = None
    if query.label is not None or query.group is not None:
        labels = tuple(
            row["id"]
            for row in taxonomy["labels"]
            if query.label in (None, row["id"]) and query.group in (None, row["group"])
        )
    return ItemFilter(
        query.status,
        labels,
        query.predicted,
        query.min_confidence,
        query.max_confidence,
        query.reviewed,
        query.rejected,
        query.error,
        query.q,
        query.product_id,
        query.sku,
        hide_duplicates=query.duplicates == "hide",
        hint=query.hint,
        accepted=query.accepted,
        policy=None if query.accepted is None or job.acceptance is None else Policy.of(job.acceptance),
        chosen=_chosen(session, job, query),
    )


def _chosen(session: Session, job: Job, query: ItemsFilter) -> ColumnElement[bool] | None:
    """Return the condition for items that a computation chooses. None: the query names none."""
    conditions = []
    if query.narrows is not None:
        conditions.append(_narrowing(session, job, query.narrows))
    if query.area is not None:
        conditions.append(_in_area(session, job, query.area))
    return and_(*conditions) if conditions else None


def _narrowing(session: Session, job: Job, target: float) -> ColumnElement[bool]:
    """Return the condition for the items whose reviews narrow the estimate of trust most."""
    return in_values(session, Item.id, trust.choose_reviews(session, job, trust.read(session, job), target))


def _in_area(session: Session, job: Job, text: str) -> ColumnElement[bool]:
    """Return the condition that an item is inside of a polygon on the map of its job.

    Raises:
        Problem: 422, the text is no polygon, or the polygon was drawn on an earlier map.
    """
    try:
        area = Area.parse(text)
    except ValueError as error:
        raise invalid_field_problem("area", str(error)) from error
    row, points = maps.get(session, job.id), maps.read_points(session, job.id)
    if row is None or points is None:
        raise invalid_field_problem("area", f"expected a job with a map; {job.id!r} has none", "no_map")
    if area.revision != row.revision:
        detail = f"expected an area on revision {row.revision} of the map, got one on revision {area.revision}"
        raise invalid_field_problem("area", f"{detail}. The map was made again; draw the area again", "map_changed")
    return in_numbers(session, Item.position, area.positions(points))
