"""`lookbook compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.output import AsJson, JobId, Key, Url, open_job, out, print_json, table
from lookbook import DEFAULT_URL


def compare(
    job_id: JobId,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The id of the other job.", show_default=False)],
    url: Url = DEFAULT_URL,
    key: Key = "",
    as_json: AsJson = False,
) -> None:
    """Compare the labels of two jobs for the same pictures, for example of a job and its rerun with another model.

    Pictures are the same if they have the same bytes and the same crop. The label of a review wins over the predicted
    one. Each line of the table is a change of labels with its number of pictures.

    Examples:

        lookbook compare job_01k… job_02m…

        lookbook compare job_01k… job_02m… --json
    """
    with open_job(job_id, url, key) as job:
        found = job.compare(other)
    if as_json:
        print_json(found.raw)
        return
    out.print(f"{found.same:,} the same, {found.changed:,} changed")
    if found.only_here or found.only_there:
        out.print(f"{found.only_here:,} only in {job.id}, {found.only_there:,} only in {other}")
    if not found.changes:
        return
    changes = table("pictures", "label", "label there")
    for change in found.changes:
        changes.add_row(f"{change.count:,}", change.from_ or "no label fits", change.to or "no label fits")
    out.print(changes)
