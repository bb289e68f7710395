"""Which items of a job a query asks for, in the terms of its model."""

from __future__ import annotations

from api.answers.problems import invalid_field_problem
from api.schemas.items import ItemsFilter
from db.tables import Job
from db.views.item_pages import ItemFilter


def item_filter(job: Job, query: ItemsFilter) -> ItemFilter:
    """The filter of a query.

    Raises:
        Problem: 422, the job's model has no such label or group.
    """
    taxonomy = job.model_version.taxonomy
    for kind, members, given in (("label", "labels", query.label), ("group", "groups", query.group)):
        known = [row["id"] for row in taxonomy[members]]
        if given is not None and given not in known:
            raise invalid_field_problem(kind, f"expected one of {', '.join(known)}; got {given!r}", f"unknown_{kind}")
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
        query.min_confidence,
        query.max_confidence,
        query.reviewed,
        hide_duplicates=query.duplicates == "hide",
    )
