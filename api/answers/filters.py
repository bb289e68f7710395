"""The filter that a query puts on the items of a job."""

from __future__ import annotations

from api.answers.problems import invalid_field_problem
from api.schemas.items import ItemsFilter
from db.tables import Job
from db.views.item_pages import ItemFilter


def item_filter(job: Job, query: ItemsFilter) -> ItemFilter:
    """Return the filter of a query, with the labels of the job's model.

    Raises:
        Problem: 422, the job's model has no such label or group.
    """
    taxonomy = job.model_version.taxonomy
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
    )
