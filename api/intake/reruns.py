"""Reads the items that a rerun takes from another job, whose stored pictures are classified again."""

from __future__ import annotations

from collections.abc import Sequence

from werkzeug.exceptions import RequestEntityTooLarge

from api.answers.filters import item_filter
from api.answers.problems import invalid_field_problem
from api.door.access import require_job
from api.schemas.reruns import RerunIn
from api.services import current_services
from db.steps import rerunning
from db.steps.submitting import NewItem

MAX_ITEMS = 100_000
"""Most items of one rerun. They are stored in one transaction, which keeps other writers waiting."""


def read_rerun(rerun: RerunIn, model: str) -> tuple[str, Sequence[NewItem]]:
    """Return the name of the job to repeat, and the items that its pictures become.

    Regions are taken over only if `model` takes them.

    Raises:
        Problem: 404 or 410, the caller may see no such job; 422, the job has none of the items, or none with a picture.
        ModelUnknown: There is no such model.
        RequestEntityTooLarge: The job has too many of them.
    """
    services = current_services()
    version = services.versions.resolve(model)
    with services.database.reading() as session:
        job = require_job(session, rerun.job)
        selected = item_filter(session, job, rerun)
        if rerun.items is not None:
            unknown = rerunning.missing_ids(session, job.id, rerun.items)
            if unknown:
                raise invalid_field_problem("rerun/items", f"job {job.id!r} has no item {unknown[0]!r}", "unknown_item")
        with_regions = version.takes_regions and job.model_version.takes_regions
        found = rerunning.read_items(session, job.id, selected, rerun.items, MAX_ITEMS + 1, with_regions=with_regions)
    if len(found) > MAX_ITEMS:
        raise RequestEntityTooLarge(f"A rerun takes at most {MAX_ITEMS:,} items. Choose some of them with a filter.")
    if not found:
        detail = "expected items with a stored picture, or with a URL that may be fetched again; got none"
        raise invalid_field_problem("rerun", detail, "nothing_to_rerun")
    return job.name, found
